"""Today: where orders stand, what came through, what is missing, and how far everything has come."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Annotated

import orjson
import structlog
from fastapi import APIRouter, Depends, Request, Response

from services.console.exceptions import Row, count_queue
from services.console.standing import OPEN
from services.console.today import MOMENTS, TODAY, Today, read_today
from services.console.web.freshness import Stand
from services.console.web.sessions import Session
from services.console.web.site import Site

logger = structlog.get_logger()

KEPT_SECONDS = 1.0
"""All people of a tenant share the figures for so long: however many look, they are counted once."""
SLOW_SECONDS = 0.2
STALE_SECONDS = 10.0
"""Where counting takes longer than SLOW_SECONDS, the last figures are shown for up to so long while they are
counted again; the page says how old they are."""
_HOURS = 24
_HOUR = timedelta(hours=1)
_TENANTS_MAX = 200


@dataclass(frozen=True, slots=True)
class _Figures:
    """`stand`: how fresh the tables were before they were counted; `heard`: up to where they had heard."""

    found: Today
    stand: Stand | None
    heard: Mapping[tuple[str, int], int]
    queue: Sequence[Row]
    good_until: datetime
    slow: bool


@dataclass(slots=True)
class _Kept:
    """Of one tenant and scope, with parked keys or without."""

    counting: asyncio.Lock = field(default_factory=asyncio.Lock)
    figures: _Figures | None = None
    again: asyncio.Task[_Figures] | None = None


def routes(site: Site) -> APIRouter:
    """The first page, and its part that follows the log."""
    router = site.router()
    reader = Annotated[Session, Depends(site.guard.require("read"))]
    kept: dict[tuple[str, tuple[str, ...] | None, bool], _Kept] = {}

    @router.get("/")
    async def today(request: Request, session: reader) -> Response:
        return await draw(request, session, "today.html")

    @router.get("/parts/today")
    async def part(request: Request, session: reader) -> Response:
        return await draw(request, session, "today_part.html")

    async def draw(request: Request, session: Session, template: str) -> Response:
        figures = await count(session)
        found, heard = figures.found, await site.everything.positions()
        return await site.page(
            request,
            session,
            template,
            stand=figures.stand,
            # What came since may be what this was asked for; nobody is told of it again.
            behind=figures.heard != heard,
            found=found,
            flow=("held", *OPEN),
            moments=MOMENTS,
            meant=TODAY,
            hours=found.by_hour(),
            an_hour=_HOUR,
            plotted=plotted(found),
            queue=figures.queue,
            lags=await site.stages.lags(),
        )

    async def count(session: Session) -> _Figures:
        place = (session.tenant, session.nodes, session.may("platform"))
        if place not in kept and len(kept) >= _TENANTS_MAX:
            kept.clear()
        mine, now = kept.setdefault(place, _Kept()), datetime.now(UTC)
        last = mine.figures
        if last is None or not last.slow or now > last.good_until + timedelta(seconds=STALE_SECONDS):
            return await recount(session, mine)
        if now >= last.good_until and (mine.again is None or mine.again.done()):
            mine.again = asyncio.create_task(recount(session, mine))
            mine.again.add_done_callback(_told)
        return last

    async def recount(session: Session, mine: _Kept) -> _Figures:
        async with mine.counting:
            now = datetime.now(UTC)
            if mine.figures is None or now >= mine.figures.good_until:
                stand, heard = await site.freshness.stand(), await site.everything.positions()
                async with site.queries(session).reading(session.tenant) as connection:
                    found = await read_today(connection, session.tenant, now - _HOURS * _HOUR, now)
                    platform = session.may("platform")
                    queue = await count_queue(connection, session.tenant, now, platform=platform)
                done = datetime.now(UTC)
                until = done + timedelta(seconds=KEPT_SECONDS)
                slow = done - now > timedelta(seconds=SLOW_SECONDS)
                mine.figures = _Figures(found, stand, heard, queue, until, slow)
            return mine.figures

    return router


def _told(counted: "asyncio.Task[_Figures]") -> None:
    """Who asks once they are too old is told why they cannot be counted; until then it is logged."""
    if not counted.cancelled() and (error := counted.exception()) is not None:
        logger.warning("Today's figures are not counted", error=repr(error))


def plotted(found: Today) -> str:
    """Orders by hour and moment as JSON for a plot, hours in which nothing came through too."""
    counts = dict(found.by_hour())
    first = found.since.replace(minute=0, second=0, microsecond=0)
    hours = [first + number * _HOUR for number in range(_HOURS + 1)]
    lines = {label: [counts.get(hour, {}).get(name, 0) for hour in hours] for name, label in MOMENTS.items()}
    return orjson.dumps({"times": [hour.timestamp() for hour in hours], "lines": lines}).decode()
