"""Authorising a return: which units the customer may send back, and why; shown before it is done.

For people who speak with customers. The command goes to returns in the person's name.
"""

from typing import Annotated
from uuid import UUID, uuid4

from fastapi import APIRouter, Depends, Form, Query, Request, Response

from libs.events.contract import OrderId
from libs.events.returns import AuthoriseReturn, ReturnLine
from libs.runtime.problems import Problem
from services.console.pages.line_units import Confirmed, chosen, confirmed, to_confirm
from services.console.pages.one_order import found, one_line, order_of, told
from services.console.pages.reasons import OF_ORDER, needed
from services.console.return_view import may_come_back, preview_return
from services.console.web.sessions import Session
from services.console.web.site import Site


def routes(site: Site) -> APIRouter:
    """/orders/{id}/return: the form, what it would come to, and its confirmation."""
    router = site.router()
    authoriser = Annotated[Session, Depends(site.guard.require("returns"))]

    @router.get("/orders/{order_id}/return")
    async def ask(request: Request, session: authoriser, order_id: OrderId) -> Response:
        row, state = await order_of(site, session, order_id)
        return await site.page(
            request, session, "return.html", row=row, order_id=order_id, lines=may_come_back(state)
        )

    @router.get("/orders/{order_id}/return/preview")
    async def preview(
        request: Request,
        session: authoriser,
        order_id: OrderId,
        note: Annotated[str, Query(max_length=500)] = "",
    ) -> Response:
        _, state = await order_of(site, session, order_id)
        asked = chosen(request, _no_units)
        return await site.page(
            request,
            session,
            "return_confirm.html",
            order_id=order_id,
            preview=preview_return(state, asked),
            asked=to_confirm(asked),
            attempt=uuid4(),
            note=one_line(note),
        )

    @router.post("/orders/{order_id}/return")
    async def authorise(
        request: Request,
        session: authoriser,
        order_id: OrderId,
        attempt: Annotated[UUID, Form()],
        units: Confirmed = [],  # noqa: B006  (FastAPI copies it)
        note: Annotated[str, Form(max_length=500)] = "",
    ) -> Response:
        await found(site, session, order_id)
        reason = needed(one_line(note), OF_ORDER)
        asked = {line: count for line, count in confirmed(units, _no_units).items() if count}
        if not asked:
            raise _no_units()
        lines = tuple(ReturnLine(line=line, quantity=count, reason=reason) for line, count in asked.items())
        command = AuthoriseReturn(order_id=order_id, lines=lines)
        outcome = await site.actions.send(session, command, reason=reason[:200], id_=attempt)
        return await told(site, request, session, order_id, outcome)

    return router


def _no_units() -> Problem:
    return Problem(
        422,
        "invalid_units",
        "These are no units of lines",
        "Each line takes a whole number of units, and one line some at least.",
        "Go back to the order, and choose how many units of each line may come back.",
    )
