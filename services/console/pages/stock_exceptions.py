"""What is done about exceptions of stock and of feeds: they are taken, put off, settled by hand, as those of
orders are; a difference is approved or rejected, a lot released."""

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Form, Request, Response
from pydantic import AwareDatetime

from libs.events.contract import Command, Sku
from libs.events.feeds import FeedId
from libs.events.intake import ExceptionItem
from libs.events.lots import ReleaseLot
from libs.events.stock_exceptions import (
    AssignFeedException,
    AssignStockException,
    ResolveFeedException,
    ResolveStockException,
    SnoozeFeedException,
    SnoozeStockException,
)
from libs.events.stocktaking import SettleDifference
from libs.runtime.problems import Problem
from services.console.pages.care import Care, Commands, care_command
from services.console.pages.exceptions import Back, Reason, Somebody, assigned, settle
from services.console.pages.reasons import needed
from services.console.supply_items import NO_SKU
from services.console.web.sessions import Session
from services.console.web.site import Site

_KINDS = {"approve": ("count_held", "stock_differs"), "reject": ("count_held", "stock_differs")} | {
    "release": ("lot_recalled",)
}
_ITEM = """SELECT kind FROM stock_items WHERE tenant = $1 AND sku = $2 AND item = $3
    AND opened_at = coalesce($4, opened_at)"""
_OF_SKU = Commands(AssignStockException, SnoozeStockException, ResolveStockException)
_OF_FEED = Commands(AssignFeedException, SnoozeFeedException, ResolveFeedException)
_WANTED = "Whoever looks at this article later wants to know why; nothing was changed."
_WANTED_OF_FEED = "Whoever looks at this feed later wants to know why; nothing was changed."


def routes(site: Site) -> APIRouter:
    """Their buttons."""
    router = site.router()
    adjusts = Annotated[Session, Depends(site.guard.require("adjust"))]
    works = Annotated[Session, Depends(site.guard.require("work"))]

    @router.post("/exceptions/stock/{verb}")
    async def act(
        request: Request,
        session: adjusts,
        verb: Literal["approve", "reject", "release"],
        sku: Annotated[Sku, Form()],
        item: Annotated[ExceptionItem, Form()],
        why: Reason = "",
        back: Back = "",
    ) -> Response:
        if await _kind(site, session, sku, item) not in _KINDS[verb]:
            raise _no_such(verb)
        return await settle(site, request, session, _command(verb, sku, item, why), why, back)

    @router.post("/exceptions/stock/care/{verb}")
    async def care(
        request: Request,
        session: works,
        verb: Care,
        sku: Annotated[Sku, Form()],
        item: Annotated[ExceptionItem, Form()],
        since: Annotated[AwareDatetime, Form()],
        why: Reason = "",
        hours: Annotated[int, Form(ge=1, le=24 * 60)] = 24,
        assignee: Somebody = "",
        back: Back = "",
    ) -> Response:
        why, whose = needed(why, _WANTED), assigned(verb, assignee, session)
        if await _kind(site, session, sku, item, since) is None:
            raise _no_such(verb.replace("_", " "))
        about = {"sku": sku, "item": item, "since": since}
        command = care_command(_OF_SKU, about, verb, why, hours, whose, _WANTED)
        return await settle(site, request, session, command, why, back)

    @router.post("/exceptions/feed/care/{verb}")
    async def care_of_feed(
        request: Request,
        session: works,
        verb: Care,
        feed: Annotated[FeedId, Form()],
        item: Annotated[ExceptionItem, Form()],
        since: Annotated[AwareDatetime, Form()],
        why: Reason = "",
        hours: Annotated[int, Form(ge=1, le=24 * 60)] = 24,
        assignee: Somebody = "",
        back: Back = "",
    ) -> Response:
        why, whose = needed(why, _WANTED_OF_FEED), assigned(verb, assignee, session)
        of_feed = item.partition("/")[2] == feed
        if not of_feed or await _kind(site, session, NO_SKU, item, since) is None:
            raise _no_such(verb.replace("_", " "), "this feed")
        about = {"feed": feed, "item": item, "since": since}
        command = care_command(_OF_FEED, about, verb, why, hours, whose, _WANTED_OF_FEED)
        return await settle(site, request, session, command, why, back)

    return router


async def _kind(
    site: Site, session: Session, sku: str, item: str, since: datetime | None = None
) -> str | None:
    """What kind of item it is, opened at `since` if that is given; none where they see no such item."""
    async with site.queries(session).reading(session.tenant) as connection:
        kind: str | None = await connection.fetchval(_ITEM, session.tenant, sku, item, since)
    return kind


def _no_such(verb: str, subject: str = "this SKU") -> Problem:
    return Problem(
        404,
        "unknown_item",
        "No such exception",
        f"There is no such thing to {verb} about {subject} (any more), or you may not see it.",
        "Go back to Exceptions.",
    )


def _command(verb: str, sku: str, item: str, why: str) -> Command:
    """Raises Problem 422 where a reason is missing."""
    which = item.partition("/")[2]
    why = needed(why, "It is kept with the SKU's events; nothing was changed.")
    if verb == "release":
        return ReleaseLot(sku=sku, lot=which, reason=why)
    return SettleDifference(sku=sku, proposal_id=which, approve=verb == "approve", note=why)
