"""Delays and Measures: where orders' time goes and where work piles up; how well orders are fulfilled."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query, Request, Response

from libs.runtime.pool import Connection
from services.console.accuracy import SOURCES, checked_rows, read_furthest
from services.console.measures import (
    DEFINITIONS,
    REASONS,
    By,
    DelaysBy,
    Period,
    read_dearest,
    read_delays,
    read_measures,
    read_piles,
    read_slowest,
)
from services.console.order_view import money
from services.console.pages.days import ONE_DAY, end, moment
from services.console.segments import SEGMENTS
from services.console.web.freshness import Stand
from services.console.web.insight_api import period
from services.console.web.sessions import Session
from services.console.web.site import Site

SLOWEST = 20
DEAREST = 20
FURTHEST = 20
KEPT_SECONDS = 30.0
KEPT_SECONDS_MAX = 600.0
KEPT_SHARE = 100
"""So long people who ask for the same share the answer: at least KEPT_SECONDS, and KEPT_SHARE times what it
took to count, so that no more than a hundredth of a core goes into them. A page says of when they are."""
_KEPT_MAX = 200
Segment = Literal["hold", "payment", "stock", "routing", "queue", "pick", "pack", "carrier"]
Since = Annotated[str, Query(alias="from", max_length=40)]
Before = Annotated[str, Query(alias="to", max_length=40)]
"""A day, the last of which is in the period, or a moment, as links have it; nothing: what `period` takes."""
Text = Annotated[str | None, Query(max_length=128, pattern=r"^[^\x00]*$")]
MEANT = {
    "hold": "held for a person to look at it",
    "payment": "held for its payment alone",
    "stock": "accepted, until all of it was reserved",
    "routing": "reserved, until its nodes were chosen",
    "queue": "routed, until the node had the work",
    "pick": "at the node, until picked",
    "pack": "picked, until handed to the carrier",
    "carrier": "with the carrier, until delivered",
}
"""Each segment, as people read it."""


Values = dict[str, Any]


def signed(units: int) -> str:
    """With its sign."""
    return f"{units:+,}" if units else "0"


_OF_STOCK: Values = {"checked": checked_rows, "sources": SOURCES, "signed": signed}
"""What the part of Measures about stock is drawn with."""


class Counted:
    """Figures that were counted lately. One at a time is counted: what was longest in one segment is looked
    for among all orders of a period, and whoever looks for an order is not to wait behind that."""

    def __init__(self) -> None:
        self._counting = asyncio.Lock()
        self._kept: dict[Hashable, tuple[datetime, Values]] = {}

    async def get(
        self, key: Hashable, stand: Stand | None, count: Callable[[datetime], Awaitable[Values]]
    ) -> Values:
        """What `count` finds of now, or found a moment ago. `stand`: how fresh the tables were before; the
        answer has that of when it was counted."""
        if (found := self._fresh(key)) is not None:
            return found
        async with self._counting:
            if (found := self._fresh(key)) is not None:
                return found
            began = datetime.now(UTC)
            found = {**await count(began), "counted_at": began, "stand": stand}
            done = datetime.now(UTC)
            if len(self._kept) >= _KEPT_MAX:
                self._kept.clear()
            kept = min(timedelta(seconds=KEPT_SECONDS_MAX), KEPT_SHARE * (done - began))
            self._kept[key] = (done + max(timedelta(seconds=KEPT_SECONDS), kept), found)
            return found

    def _fresh(self, key: Hashable) -> Values | None:
        until, found = self._kept.get(key, (None, {}))
        return found if until is not None and datetime.now(UTC) < until else None


def routes(site: Site) -> APIRouter:
    """Both pages. They show a period as it was when they were opened; they do not follow the log."""
    router = site.router()
    reader = Annotated[Session, Depends(site.guard.require("read"))]
    counted = Counted()

    @router.get("/delays")
    async def delays(
        request: Request,
        session: reader,
        by: DelaysBy = "node",
        of: Text = None,
        segment: Segment | Literal[""] = "",
        since: Since = "",
        before: Before = "",
    ) -> Response:
        async def count(now: datetime) -> Values:
            asked = _period(since, before, now)
            async with _patient(site, session) as connection:
                about = (connection, session.tenant, asked, by)
                return {
                    "asked": asked,
                    "rows": await read_delays(*about, now),
                    "slowest": await read_slowest(*about, of, segment or None, SLOWEST),
                    "piles": await read_piles(connection, session.tenant),
                }

        key = ("delays", session.tenant, session.nodes, by, of, segment, since, before)
        return await site.page(
            request,
            session,
            "delays.html",
            **await counted.get(key, request.state.stand, count),
            by=by,
            of=of,
            segment=segment,
            segments=SEGMENTS,
            meant=MEANT,
            given=_days(since, before),
        )

    @router.get("/measures")
    async def measures(
        request: Request, session: reader, by: By = "all", since: Since = "", before: Before = ""
    ) -> Response:
        async def count(now: datetime) -> Values:
            asked = _period(since, before, now)
            async with _patient(site, session) as connection:
                rows = await read_measures(connection, session.tenant, asked, by, now)
                dearest = await read_dearest(connection, session.tenant, asked, DEAREST)
                bounds = (asked.since, asked.before)
                furthest = await read_furthest(connection, session.tenant, *bounds, FURTHEST)
            return {"asked": asked, "rows": rows, "dearest": dearest, "furthest": furthest}

        key = ("measures", session.tenant, session.nodes, by, since, before)
        return await site.page(
            request,
            session,
            "measures.html",
            **await counted.get(key, request.state.stand, count),
            by=by,
            given=_days(since, before),
            meant=DEFINITIONS,
            list_of=list_of,
            money=mean_money,
            reasons=REASONS,
            **_OF_STOCK,
        )

    return router


def list_of(moment: str, by: By, slice_: str, asked: Period) -> str | None:
    """Where orders of a slice that came to a moment in a period are listed; none where no list has them."""
    if slice_ == "?":
        return None
    since, before, more = asked.since, asked.before, {}
    if by == "day":
        day = datetime.fromisoformat(slice_).replace(tzinfo=UTC)
        since, before = max(since, day), min(before, day + ONE_DAY)
    elif by != "all":
        more = {by: slice_}
    reached = {"reached": moment, "reached_from": since.isoformat(), "reached_to": before.isoformat()}
    return f"/orders?{urlencode(reached | more)}"


def _period(since: str, before: str, now: datetime) -> Period:
    return period(moment("from", since), end("to", before), now)


def _days(since: str, before: str) -> tuple[date | None, date | None]:
    """The first and the last day, as the form shows what was asked for."""
    first, after = moment("from", since), end("to", before)
    return first and first.date(), after and (after - timedelta(microseconds=1)).date()


@asynccontextmanager
async def _patient(site: Site, session: Session) -> AsyncIterator[Connection]:
    """For what reads a month: on one core, so that the others stay free for who looks for an order, and with
    memory for what it sorts."""
    async with site.queries(session).reading(session.tenant) as connection:
        await connection.execute(
            "SELECT set_config('max_parallel_workers_per_gather', '0', true),"
            " set_config('work_mem', '64MB', true)"
        )
        yield connection


def mean_money(minor: float, currency: str) -> str:
    """A mean of amounts, to the nearest minor unit."""
    return money(round(minor), currency)
