"""Exceptions: one queue of what needs a person, and what they do about it."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Form, Query, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import ValidationError

from libs.events.contract import Command, Name, OrderId
from libs.events.exception_rules import Owner
from libs.events.intake import (
    AssignException,
    ExceptionItem,
    HoldName,
    ReleaseHold,
    ResolveException,
    SnoozeException,
)
from libs.runtime.problems import Problem
from services.console.cursor import CURSOR_LENGTH_MAX, write_cursor
from services.console.exceptions import NOBODY, QueueFilter, count_queue, place_of, read_place, read_queue
from services.console.pages.reasons import OF_ORDER, as_header, missing, needed
from services.console.rules import KINDS, OWNERS, Kind
from services.console.web.actions import Outcome
from services.console.web.holds import check_release, may_release
from services.console.web.sessions import Session
from services.console.web.site import Site

ROWS = 50
Whose = Literal["anybody", "mine", "nobody"]
Reason = Annotated[str, Form(max_length=500, pattern=r"^[^\x00]*$")]


def routes(site: Site) -> APIRouter:
    """The page, its part that follows the log, and what is done about an item."""
    router = APIRouter(include_in_schema=False)
    looks = Annotated[Session, Depends(site.guard.require("read"))]
    works = Annotated[Session, Depends(site.guard.require("work"))]
    releases = Annotated[Session, Depends(site.guard.require("release"))]

    @router.get("/exceptions")
    async def exceptions(
        request: Request,
        session: looks,
        owner: Owner | Literal[""] = "",
        kind: Kind | Literal[""] = "",
        whose: Whose = "anybody",
        snoozed: bool = False,
        node: Annotated[str, Query(max_length=32, pattern=r"^[^\x00]*$")] = "",
        overdue: bool = False,
        after: Annotated[str | None, Query(max_length=CURSOR_LENGTH_MAX)] = None,
        part: bool = False,
    ) -> Response:
        assignee = {"anybody": None, "mine": session.actor, "nobody": NOBODY}[whose]
        wanted = QueueFilter(owner or None, kind or None, assignee, snoozed, node.strip() or None, overdue)
        return await _draw(site, request, session, wanted, whose, after, part=part)

    @router.post("/exceptions/{verb}")
    async def work(
        request: Request,
        session: works,
        verb: Literal["take", "give_back", "snooze", "resolve"],
        order_id: Annotated[OrderId, Form()],
        item: Annotated[ExceptionItem, Form()],
        why: Reason = "",
        hours: Annotated[int, Form(ge=1, le=24 * 60)] = 24,
    ) -> Response:
        return await settle(
            site, request, session, _command(verb, order_id, item, why.strip(), hours, session), why
        )

    @router.post("/exceptions/hold/release")
    async def release(
        request: Request,
        session: releases,
        order_id: Annotated[OrderId, Form()],
        hold: Annotated[HoldName, Form()],
        why: Reason = "",
    ) -> Response:
        await check_release(site, session, hold)
        return await settle(
            site, request, session, ReleaseHold(order_id=order_id, hold=hold, note=needed(why, OF_ORDER)), why
        )

    return router


async def settle(site: Site, request: Request, session: Session, command: Command, why: str) -> Response:
    """Send it, and back to where they were; or the page with what stands in the way. Raises Problem 404 where
    it is about an order that the person may not see."""
    queries, of_order = site.queries(session), "/" not in command.stream
    if of_order and await queries.order(session.tenant, command.stream, 1) is None:
        raise Problem(
            404,
            "unknown_order",
            "No such order",
            "You see no order of that id.",
            "Go back to Exceptions.",
        )
    outcome = await site.actions.send(session, command, reason=as_header(why))
    if outcome.ok:
        return RedirectResponse("/exceptions", 303)
    return await _draw(site, request, session, QueueFilter(), "anybody", None, outcome=outcome, status=409)


async def _draw(
    site: Site,
    request: Request,
    session: Session,
    wanted: QueueFilter,
    whose: Whose,
    after: str | None,
    *,
    part: bool = False,
    outcome: Outcome | None = None,
    status: int = 200,
) -> Response:
    now = datetime.now(UTC)
    async with site.queries(session).reading(session.tenant) as connection:
        found = await read_queue(connection, session.tenant, now, wanted, read_place(after), ROWS + 1)
        counts = await count_queue(connection, session.tenant, now)
    return await site.page(
        request,
        session,
        "exceptions_part.html" if part else "exceptions.html",
        status=status,
        found=found[:ROWS],
        following=write_cursor("exceptions", place_of(found[ROWS - 1])) if len(found) > ROWS else None,
        counts=counts,
        wanted=wanted,
        whose=whose,
        after=after,
        owners=OWNERS,
        kinds=KINDS,
        outcome=outcome,
        may_release=may_release,
        at=now,
    )


def _command(verb: str, order_id: str, item: str, why: str, hours: int, session: Session) -> Command:
    """Raises Problem 422 where a reason is missing."""
    try:
        match verb:
            case "take":
                name: Name = session.actor[:128]
                return AssignException(order_id=order_id, item=item, assignee=name)
            case "give_back":
                return AssignException(order_id=order_id, item=item)
            case "snooze":
                until = datetime.now(UTC) + timedelta(hours=hours)
                return SnoozeException(order_id=order_id, item=item, until=until, why=why)
            case _:
                return ResolveException(order_id=order_id, item=item, note=why)
    except ValidationError:
        raise missing(OF_ORDER) from None
