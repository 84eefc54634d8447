"""Delays and Measures: where orders' time goes and where work piles up; how well orders are fulfilled."""

from datetime import UTC, datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request, Response

from services.console.measures import (
    DEFINITIONS,
    REASONS,
    By,
    DelaysBy,
    read_dearest,
    read_delays,
    read_measures,
    read_piles,
    read_slowest,
)
from services.console.order_view import money
from services.console.segments import SEGMENTS
from services.console.web.insight_api import period
from services.console.web.sessions import Session
from services.console.web.site import Site

SLOWEST = 20
DEAREST = 20
Segment = Literal["hold", "payment", "stock", "routing", "queue", "pick", "pack", "carrier"]
Since = Annotated[datetime | None, Query(alias="from")]
Before = Annotated[datetime | None, Query(alias="to")]
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


def routes(site: Site) -> APIRouter:
    """Both pages. They show a period as it was when they were opened; they do not follow the log."""
    router = APIRouter(include_in_schema=False)
    reader = Annotated[Session, Depends(site.guard.require("read"))]

    @router.get("/delays")
    async def delays(
        request: Request,
        session: reader,
        by: DelaysBy = "node",
        of: Text = None,
        segment: Segment | Literal[""] = "",
        since: Since = None,
        before: Before = None,
    ) -> Response:
        asked = period(since, before, datetime.now(UTC))
        async with site.queries(session).reading(session.tenant) as connection:
            rows = await read_delays(connection, session.tenant, asked, by)
            slowest = await read_slowest(connection, session.tenant, asked, by, of, segment or None, SLOWEST)
            piles = await read_piles(connection, session.tenant)
        return await site.page(
            request,
            session,
            "delays.html",
            rows=rows,
            slowest=slowest,
            piles=piles,
            by=by,
            of=of,
            segment=segment,
            segments=SEGMENTS,
            meant=MEANT,
            asked=asked,
            given=(since, before),
        )

    @router.get("/measures")
    async def measures(
        request: Request, session: reader, by: By = "all", since: Since = None, before: Before = None
    ) -> Response:
        now = datetime.now(UTC)
        asked = period(since, before, now)
        async with site.queries(session).reading(session.tenant) as connection:
            rows = await read_measures(connection, session.tenant, asked, by, now)
            dearest = await read_dearest(connection, session.tenant, asked, DEAREST)
        return await site.page(
            request,
            session,
            "measures.html",
            rows=rows,
            by=by,
            asked=asked,
            given=(since, before),
            meant=DEFINITIONS,
            dearest=dearest,
            money=mean_money,
            reasons=REASONS,
        )

    return router


def mean_money(minor: float, currency: str) -> str:
    """A mean of amounts, to the nearest minor unit."""
    return money(round(minor), currency)
