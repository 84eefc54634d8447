"""Today: where orders stand, what came through, what is missing, and how far everything has come."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Annotated

import orjson
from fastapi import APIRouter, Depends, Request, Response

from services.console.exceptions import Row, count_queue
from services.console.standing import OPEN
from services.console.today import MOMENTS, TODAY, Today, read_today
from services.console.web.freshness import Stand
from services.console.web.sessions import Session
from services.console.web.site import Site

KEPT_SECONDS = 1.0
"""All people of a tenant share the figures for so long: however many look, they are counted once."""
_HOURS = 24
_HOUR = timedelta(hours=1)
_TENANTS_MAX = 200


@dataclass(slots=True)
class _Figures:
    """Of one tenant and scope. `stand`: how fresh the tables were before they were counted."""

    counting: asyncio.Lock
    good_until: datetime
    found: Today | None = None
    stand: Stand | None = None
    queue: Sequence[Row] = field(default_factory=tuple)


def routes(site: Site) -> APIRouter:
    """The first page, and its part that follows the log."""
    router = APIRouter(include_in_schema=False)
    reader = Annotated[Session, Depends(site.guard.require("read"))]
    kept: dict[tuple[str, tuple[str, ...] | None], _Figures] = {}

    @router.get("/")
    async def today(request: Request, session: reader) -> Response:
        return await draw(request, session, "today.html")

    @router.get("/parts/today")
    async def part(request: Request, session: reader) -> Response:
        return await draw(request, session, "today_part.html")

    async def draw(request: Request, session: Session, template: str) -> Response:
        figures = await count(session)
        found = figures.found
        assert found is not None
        return await site.page(
            request,
            session,
            template,
            stand=figures.stand,
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
        place = (session.tenant, session.nodes)
        if place not in kept and len(kept) >= _TENANTS_MAX:
            kept.clear()
        figures = kept.setdefault(place, _Figures(asyncio.Lock(), datetime.min.replace(tzinfo=UTC)))
        async with figures.counting:
            now = datetime.now(UTC)
            if now >= figures.good_until:
                figures.stand = await site.freshness.stand()
                since = now - _HOURS * _HOUR
                async with site.queries(session).reading(session.tenant) as connection:
                    figures.found = await read_today(connection, session.tenant, since, now)
                    figures.queue = await count_queue(connection, session.tenant, now)
                figures.good_until = datetime.now(UTC) + timedelta(seconds=KEPT_SECONDS)
        return figures

    return router


def plotted(found: Today) -> str:
    """Orders by hour and moment as JSON for a plot, hours in which nothing came through too."""
    counts = dict(found.by_hour())
    first = found.since.replace(minute=0, second=0, microsecond=0)
    hours = [first + number * _HOUR for number in range(_HOURS + 1)]
    lines = {label: [counts.get(hour, {}).get(name, 0) for hour in hours] for name, label in MOMENTS.items()}
    return orjson.dumps({"times": [hour.timestamp() for hour in hours], "lines": lines}).decode()
