"""Exceptions: one queue of what needs a person, and what they do about it."""

from datetime import UTC, datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Form, Query, Request, Response
from fastapi.responses import RedirectResponse

from libs.events.contract import Command, OrderId
from libs.events.exception_rules import Owner
from libs.events.intake import (
    AssignException,
    ExceptionItem,
    HoldName,
    ReleaseHold,
    ResolveException,
    SnoozeException,
)
from libs.events.routing import ApproveRouting
from libs.runtime.problems import Problem
from services.console.cursor import CURSOR_LENGTH_MAX, write_cursor
from services.console.exceptions import place_of, read_place, read_queue
from services.console.pages.care import Care, Commands, care_command
from services.console.pages.one_order import one_line
from services.console.pages.queue_counts import QueueCounts
from services.console.pages.queue_place import Place, Whose
from services.console.pages.reasons import OF_ORDER, as_header, needed
from services.console.parked_items import item_of, unclaimed
from services.console.rules import KINDS, OWNERS, Kind
from services.console.web.actions import Outcome
from services.console.web.holds import check_release, may_release
from services.console.web.sessions import Session
from services.console.web.site import Site

ROWS = 50
_OF_ORDER = Commands(AssignException, SnoozeException, ResolveException)
Somebody = Annotated[str, Form(max_length=128, pattern=r"^[^\x00]*$")]
Back = Annotated[str, Form(max_length=2 * CURSOR_LENGTH_MAX)]
"""A place in the queue, as `Place.query` writes it."""
Reason = Annotated[str, Form(max_length=500, pattern=r"^[^\x00]*$")]


def routes(site: Site) -> APIRouter:
    """The page, its part that follows the log, and what is done about an item."""
    router = site.router()
    looks = Annotated[Session, Depends(site.guard.require("read"))]
    works = Annotated[Session, Depends(site.guard.require("work"))]
    counts = QueueCounts(site)

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
        place = Place(
            owner=owner,
            kind=kind,
            whose=whose,
            snoozed=snoozed,
            overdue=overdue,
            node=node.strip(),
            after=after,
        )
        return await _draw(site, request, session, place, counts, part=part)

    @router.post("/exceptions/{verb}")
    async def work(
        request: Request,
        session: works,
        verb: Care,
        order_id: Annotated[OrderId, Form()],
        item: Annotated[ExceptionItem, Form()],
        why: Reason = "",
        hours: Annotated[int, Form(ge=1, le=24 * 60)] = 24,
        assignee: Somebody = "",
        back: Back = "",
    ) -> Response:
        why = needed(why, OF_ORDER)
        whose = assigned(verb, assignee, session)
        about = {"order_id": order_id, "item": item}
        command = care_command(_OF_ORDER, about, verb, why, hours, whose, OF_ORDER)
        return await settle(site, request, session, command, why, back)

    _release_routes(router, site)
    return router


def _release_routes(router: APIRouter, site: Site) -> None:
    """What lets an order go on: its hold is released, its plan approved."""
    releases = Annotated[Session, Depends(site.guard.require("release"))]

    @router.post("/exceptions/review/approve")
    async def approve(
        request: Request,
        session: releases,
        order_id: Annotated[OrderId, Form()],
        round: Annotated[int, Form(ge=1, le=10**9)],
        why: Reason = "",
        back: Back = "",
    ) -> Response:
        await check_release(site, session, str(round), "review")
        command = ApproveRouting(order_id=order_id, round=round, reason=needed(why, OF_ORDER))
        return await settle(site, request, session, command, why, back)

    @router.post("/exceptions/hold/release")
    async def release(
        request: Request,
        session: releases,
        order_id: Annotated[OrderId, Form()],
        hold: Annotated[HoldName, Form()],
        why: Reason = "",
        back: Back = "",
    ) -> Response:
        await check_release(site, session, hold)
        command = ReleaseHold(order_id=order_id, hold=hold, note=needed(why, OF_ORDER))
        return await settle(site, request, session, command, why, back)


async def settle(
    site: Site, request: Request, session: Session, command: Command, why: str, back: str
) -> Response:
    """Send it, and back to where they were in the queue; or that page with what stands in the way. Raises
    Problem 404 where it is about an order that the person may not see."""
    queries, of_order = site.queries(session), not set(command.stream) & set("/.")
    if of_order and await queries.order(session.tenant, command.stream, 1) is None:
        raise Problem(
            404,
            "unknown_order",
            "No such order",
            "You see no order of that id.",
            "Go back to Exceptions.",
        )
    outcome = await site.actions.send(session, command, reason=as_header(why))
    place = Place.read(back)
    if outcome.ok:
        return RedirectResponse(f"/exceptions?{place.query()}".rstrip("?"), 303)
    return await _draw(site, request, session, place, QueueCounts(site), outcome=outcome, status=409)


def assigned(verb: str, assignee: str, session: Session) -> str | None:
    """Who is to have it: who takes it, or somebody by name; nobody once it is given back. Raises Problem 422
    where a name is missing."""
    if verb == "take":
        return session.actor[:128]
    if verb != "assign":
        return None
    if not (name := one_line(assignee)):
        raise Problem(
            422,
            "no_assignee",
            "Who is to have it?",
            "No name was given; nothing was changed.",
            "Go back, and name somebody as they sign in.",
        )
    return name


async def _draw(
    site: Site,
    request: Request,
    session: Session,
    place: Place,
    counts: QueueCounts,
    *,
    part: bool = False,
    outcome: Outcome | None = None,
    status: int = 200,
) -> Response:
    now, wanted = datetime.now(UTC), place.wanted(session)
    async with site.queries(session).reading(session.tenant) as connection:
        await unclaimed(connection, session.role)
        found = await read_queue(connection, session.tenant, now, wanted, read_place(place.after), ROWS + 1)
        counted = await counts.get(session, connection, now)
    return await site.page(
        request,
        session,
        "exceptions_part.html" if part else "exceptions.html",
        status=status,
        found=found[:ROWS],
        following=place.at(write_cursor("exceptions", place_of(found[ROWS - 1])))
        if len(found) > ROWS
        else None,
        counts=counted.rows,
        counted=counted,
        wanted=wanted,
        place=place,
        people=await site.guard.sessions.people(session.tenant, "work") if session.may("work") else (),
        owners=OWNERS,
        kinds=KINDS,
        outcome=outcome,
        may_release=may_release,
        parked=item_of,
        at=now,
    )
