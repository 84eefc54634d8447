"""Stock: what there is of each SKU, where, and who has a claim on it; and how it came to be so."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from urllib.parse import quote

import orjson
from fastapi import APIRouter, Depends, Query, Request, Response

from libs.events.contract import Sku
from libs.runtime.problems import Problem
from services.console.cursor import CURSOR_LENGTH_MAX, read_cursor, write_cursor
from services.console.queries import key_of
from services.console.web.sessions import Session
from services.console.web.site import Site

ROWS = 100
CLAIMS = 100
BALANCES_MAX = 10_000
DAYS = 30
PLOTTED = ("on_hand", "available", "reserved", "allocated")
After = Annotated[str | None, Query(max_length=CURSOR_LENGTH_MAX)]


def routes(site: Site) -> APIRouter:
    """The list, and one SKU's page with its parts."""
    router = APIRouter(include_in_schema=False)
    reader = Annotated[Session, Depends(site.guard.require("read"))]

    @router.get("/stock")
    async def stock(
        request: Request,
        session: reader,
        sku: Annotated[str, Query(max_length=64, pattern=r"^[^\x00]*$")] = "",
        node: Annotated[str, Query(max_length=32, pattern=r"^[^\x00]*$")] = "",
        after: After = None,
    ) -> Response:
        place: Any = None if after is None else tuple(read_cursor("stock", after, (str, str, str)))
        rows = await site.queries(session).stock(session.tenant, sku or None, node or None, place, ROWS + 1)
        return await site.page(
            request,
            session,
            "stock.html",
            rows=rows[:ROWS],
            following=write_cursor("stock", key_of(rows[ROWS - 1], ("sku", "node", "bucket")))
            if len(rows) > ROWS
            else None,
            sku=sku,
            node=node,
        )

    @router.get("/stock/{sku}")
    async def of_sku(request: Request, session: reader, sku: Sku, part: bool = False) -> Response:
        queries = site.queries(session)
        rows = await queries.stock(session.tenant, sku, None, None, BALANCES_MAX)
        claims = await queries.reservations(session.tenant, None, sku, None, CLAIMS + 1)
        if not rows and not claims:
            raise Problem(
                404,
                "unknown_sku",
                "No such SKU",
                "No unit of it ever moved for your tenant.",
                "Check its spelling (case matters), or look for it in Stock.",
            )
        buckets = sorted({row["bucket"] for row in rows})
        nodes: dict[str, dict[str, int]] = {}
        for row in rows:
            nodes.setdefault(row["node"], {})[row["bucket"]] = row["quantity"]
        history = None if part or session.nodes is not None else await _history(site, session, sku)
        return await site.page(
            request,
            session,
            "sku_part.html" if part else "sku.html",
            sku=sku,
            buckets=buckets,
            nodes=nodes,
            waiting=[(claim, short) for claim in claims[:CLAIMS] if (short := _missing(claim)) > 0],
            claims=claims[:CLAIMS],
            more=len(claims) > CLAIMS,
            history=history,
        )

    return router


def _missing(claim: Any) -> int:
    """Units that an order wants and nobody has promised, given up or shipped yet."""
    promised = claim["held"] + claim["allocated"] + claim["issued"] + claim["released"]
    return int(claim["wanted"] - promised)


async def _history(site: Site, session: Session, sku: str) -> str | None:
    """What there was day by day, as JSON for a plot: times in seconds, and by name its units; none when
    inventory, who keeps it, does not tell."""
    begin = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=DAYS)
    query = {"from": begin.isoformat(), "step": "day"}
    path = f"/v1/stock/{quote(sku, safe='')}/series"
    answer = await site.actions.call(session, "inventory", "GET", path, query=query)
    if not answer.ok:
        return None
    points = answer.events[0]["points"]
    times = [datetime.fromisoformat(point["at"]).timestamp() for point in points]
    lines = {name: [point[name] for point in points] for name in PLOTTED}
    return orjson.dumps({"times": times, "lines": lines}).decode()
