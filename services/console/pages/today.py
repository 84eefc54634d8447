"""Today: where orders stand, what came through, what is missing, and how far everything has come."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from services.console.standing import OPEN
from services.console.today import MOMENTS, Today
from services.console.web.freshness import Stand
from services.console.web.sessions import Session
from services.console.web.site import Site

KEPT_SECONDS = 1.0
"""All people of a tenant share the figures for so long: however many look, they are counted once."""
_HOURS = 24
_TENANTS_MAX = 200


@dataclass(slots=True)
class _Figures:
    """Of one tenant and scope. `stand`: how fresh the tables were before they were counted."""

    counting: asyncio.Lock
    good_until: datetime
    found: Today | None = None
    stand: Stand | None = None


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
            hours=by_hour(found),
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
                since = now - timedelta(hours=_HOURS)
                figures.found = await site.queries(session).today(session.tenant, since)
                figures.good_until = datetime.now(UTC) + timedelta(seconds=KEPT_SECONDS)
        return figures

    return router


def by_hour(found: Today) -> list[tuple[datetime, dict[str, int]]]:
    """Orders by hour and moment, of the hours in which there were any, the latest first."""
    hours: dict[datetime, dict[str, int]] = {}
    for row in found.hours:
        hours.setdefault(row["hour"], {})[row["moment"]] = row["orders"]
    return sorted(hours.items(), reverse=True)
