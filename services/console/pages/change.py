"""Changing one order: lines cancelled after a preview, a hold placed, a note written.

Each is a command in the person's name; the order's page then tells what came of it.
"""

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Query, Request, Response

from libs.events.changes import CancelLines, LineUnits, PlaceHold
from libs.events.contract import OrderId
from libs.events.intake import HoldName
from libs.runtime.problems import Problem
from services.console.amend_view import terms_now
from services.console.change_view import (
    HOLDS,
    changeable,
    choices,
    preview_amend,
    preview_hold,
    preview_lines,
)
from services.console.pages.amend import SERVICES
from services.console.pages.line_units import Confirmed, chosen, confirmed, to_confirm
from services.console.pages.one_order import found, one_line, order_of, told
from services.console.pages.reasons import OF_ORDER, needed
from services.console.web.sessions import Session
from services.console.web.site import Site

NOTE_MAX = 2000
"""Characters, as intake's edge takes them."""
Why = Annotated[str, Form(max_length=500)]


def routes(site: Site) -> APIRouter:
    """/orders/{id}/change and what its forms lead to."""
    router = site.router()
    _line_routes(router, site)
    _hold_routes(router, site)
    _note_routes(router, site)
    changer = Annotated[Session, Depends(site.guard.require("cancel"))]

    @router.get("/orders/{order_id}/change")
    async def change(request: Request, session: changer, order_id: OrderId) -> Response:
        row, state = await order_of(site, session, order_id)
        return await site.page(
            request,
            session,
            "change.html",
            row=row,
            order_id=order_id,
            choices=choices(state),
            changeable=changeable(state),
            held=preview_hold(state),
            amendable=preview_amend(state, "?", ""),
            now_terms=terms_now(state),
            services=SERVICES,
            holds=HOLDS,
            note_max=NOTE_MAX,
        )

    return router


def _line_routes(router: APIRouter, site: Site) -> None:
    canceller = Annotated[Session, Depends(site.guard.require("cancel"))]

    @router.get("/orders/{order_id}/cancel-lines")
    async def ask(
        request: Request,
        session: canceller,
        order_id: OrderId,
        note: Annotated[str, Query(max_length=500)] = "",
    ) -> Response:
        _, state = await order_of(site, session, order_id)
        asked = chosen(request, _no_units)
        return await site.page(
            request,
            session,
            "cancel_lines.html",
            order_id=order_id,
            preview=preview_lines(state, asked),
            asked=to_confirm(asked),
            note=one_line(note),
        )

    @router.post("/orders/{order_id}/cancel-lines")
    async def cancel(
        request: Request,
        session: canceller,
        order_id: OrderId,
        units: Confirmed = [],  # noqa: B006  (FastAPI copies it)
        note: Why = "",
    ) -> Response:
        await found(site, session, order_id)
        asked = confirmed(units, _no_units)
        lines = [LineUnits(line=line, quantity=count) for line, count in asked.items() if count]
        if not lines:
            raise _no_units()
        reason = needed(one_line(note), OF_ORDER)
        command = CancelLines(order_id=order_id, lines=tuple(lines), reason=reason)
        outcome = await site.actions.send(session, command, reason=reason[:200])
        return await told(site, request, session, order_id, outcome)


def _hold_routes(router: APIRouter, site: Site) -> None:
    holder = Annotated[Session, Depends(site.guard.require("hold"))]

    @router.post("/orders/{order_id}/holds")
    async def hold(
        request: Request,
        session: holder,
        order_id: OrderId,
        hold: Annotated[HoldName, Form()],
        note: Why = "",
    ) -> Response:
        await found(site, session, order_id)
        message = needed(one_line(note), OF_ORDER)
        command = PlaceHold(order_id=order_id, hold=hold, message=message)
        outcome = await site.actions.send(session, command, reason=message[:200])
        return await told(site, request, session, order_id, outcome)


def _note_routes(router: APIRouter, site: Site) -> None:
    writer = Annotated[Session, Depends(site.guard.require("note"))]

    @router.post("/orders/{order_id}/notes")
    async def note(
        request: Request,
        session: writer,
        order_id: OrderId,
        text: Annotated[str, Form(min_length=1, max_length=2 * NOTE_MAX)],
    ) -> Response:
        await found(site, session, order_id)
        body = {"text": text.replace("\x00", " ").replace("\r\n", "\n")}
        outcome = await site.actions.call(
            session, "intake", "POST", f"/v1/orders/{order_id}/notes", body=body
        )
        return await told(site, request, session, order_id, outcome)


def _no_units() -> Problem:
    return Problem(
        422,
        "invalid_units",
        "These are no units of lines",
        "Each line takes a whole number of units.",
        "Go back to the order, and choose how many units of each line to cancel.",
    )
