"""Authorising a return: which units the customer may send back, and why; shown before it is done.

For people who speak with customers. The command goes to returns in the person's name.
"""

from collections.abc import Iterable, Mapping
from typing import Annotated
from uuid import UUID, uuid4

from fastapi import APIRouter, Depends, Form, Query, Request, Response

from libs.events.contract import OrderId
from libs.events.returns import AuthoriseReturn, ReturnLine
from libs.runtime.problems import Problem
from services.console.facts import State
from services.console.pages.one_order import found, one_line, told, units_of
from services.console.pages.reasons import OF_ORDER, needed
from services.console.queries import Row
from services.console.return_view import may_come_back, preview_return
from services.console.stored import read_state
from services.console.web.sessions import Session
from services.console.web.site import Site

_LINES_MAX = 1000
_FIELD = "units-"
"""And a line's number: how many units of it."""


def routes(site: Site) -> APIRouter:
    """/orders/{id}/return: the form, what it would come to, and its confirmation."""
    router = APIRouter(include_in_schema=False)
    authoriser = Annotated[Session, Depends(site.guard.require("returns"))]

    @router.get("/orders/{order_id}/return")
    async def ask(request: Request, session: authoriser, order_id: OrderId) -> Response:
        row, state = await _order(site, session, order_id)
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
        _, state = await _order(site, session, order_id)
        fields = [(name, value) for name, value in request.query_params.items() if name.startswith(_FIELD)]
        asked = _asked(f"{name.removeprefix(_FIELD)}:{value}" for name, value in fields[:_LINES_MAX])
        return await site.page(
            request,
            session,
            "return_confirm.html",
            order_id=order_id,
            preview=preview_return(state, asked),
            asked=[f"{line}:{units}" for line, units in asked.items() if units],
            attempt=uuid4(),
            note=one_line(note),
        )

    @router.post("/orders/{order_id}/return")
    async def authorise(
        request: Request,
        session: authoriser,
        order_id: OrderId,
        attempt: Annotated[UUID, Form()],
        units: Annotated[list[str], Form(max_length=_LINES_MAX)] = [],  # noqa: B006  (FastAPI copies it)
        note: Annotated[str, Form(max_length=500)] = "",
    ) -> Response:
        await found(site, session, order_id)
        reason = needed(one_line(note), OF_ORDER)
        asked = {line: count for line, count in _asked(units).items() if count}
        if not asked:
            raise _no_units()
        lines = tuple(ReturnLine(line=line, quantity=count, reason=reason) for line, count in asked.items())
        command = AuthoriseReturn(order_id=order_id, lines=lines)
        outcome = await site.actions.send(session, command, reason=reason[:200], id_=attempt)
        return await told(site, request, session, order_id, outcome)

    return router


async def _order(site: Site, session: Session, order_id: str) -> tuple[Row, State]:
    """The order's row and facts. Raises Problem 404."""
    row, _ = await found(site, session, order_id)
    return row, read_state(row["facts"])


def _asked(texts: Iterable[str]) -> Mapping[int, int]:
    """`LINE:UNITS` as units by line. Raises Problem 422."""
    asked: dict[int, int] = {}
    for text in texts:
        line, _, count = text.partition(":")
        number, units = units_of(line), units_of(count)
        if not number or units is None:
            raise _no_units()
        asked[number] = asked.get(number, 0) + units
    return asked


def _no_units() -> Problem:
    return Problem(
        422,
        "invalid_units",
        "These are no units of lines",
        "Each line takes a whole number of units, and one line some at least.",
        "Go back to the order, and choose how many units of each line may come back.",
    )
