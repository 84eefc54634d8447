"""Stock: what there is of each SKU, where, and who has a claim on it; and how it came to be so."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal
from urllib.parse import quote

import orjson
from fastapi import APIRouter, Depends, Query, Request, Response

from libs.events.contract import Sku
from libs.events.inventory import SOURCES
from services.console.at_work import STEPS, steps_of
from services.console.cursor import CURSOR_LENGTH_MAX, read_cursor, write_cursor
from services.console.full_days_read import read_full_days
from services.console.pages.serials import serials_of_sku
from services.console.pages.stock_claims import Behind, claims_on, claims_routes, must_be_known
from services.console.queries import key_of
from services.console.web.actions import Outcome
from services.console.web.sessions import Session
from services.console.web.site import Site

ROWS = 100
BALANCES_MAX = 10_000
DAYS = 30
"""Of the plot, whose last point is now."""
PLOTTED = ("on_hand", "available", "reserved", "allocated")
MOVEMENTS = 50
Moment = datetime | Literal[""]
After = Annotated[str | None, Query(max_length=CURSOR_LENGTH_MAX)]


def routes(site: Site) -> APIRouter:
    """The list, and one SKU's page with its parts."""
    router = site.router()
    reader = Annotated[Session, Depends(site.guard.require("read"))]
    claims_routes(router, site)

    @router.get("/stock")
    async def stock(
        request: Request,
        session: reader,
        sku: Annotated[str, Query(max_length=64, pattern=r"^[^\x00]*$")] = "",
        node: Annotated[str, Query(max_length=32, pattern=r"^[^\x00]*$")] = "",
        after: After = None,
    ) -> Response:
        place: Any = None if after is None else tuple(read_cursor("stock", after, (str, str, str)))
        queries = site.queries(session)
        rows = await queries.stock(
            session.tenant, sku or None, node or None, place, ROWS + 1, without=SOURCES
        )
        async with queries.reading(session.tenant) as connection:
            nodes = [node] if node else None
            full_days = await read_full_days(connection, session.tenant, datetime.now(UTC), nodes)
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
            full_days=full_days,
        )

    @router.get("/stock/{sku}")
    async def of_sku(
        request: Request,
        session: reader,
        sku: Sku,
        at: Moment = "",
        known_at: Moment = "",
        before: Annotated[int | None, Query(ge=1, lt=2**63)] = None,
        behind: Behind = "",
        place: Annotated[str, Query(max_length=32, pattern=r"^[^\x00]*$")] = "",
        node: Annotated[str, Query(max_length=32, pattern=r"^[^\x00]*$")] = "",
        serial: Annotated[str, Query(max_length=128, pattern=r"^[^\x00]*$")] = "",
        part: bool = False,
    ) -> Response:
        await must_be_known(site, session, sku)
        values = {"sku": sku, **await _standing(site, session, sku)}
        if part:
            return await site.page(request, session, "sku_part.html", **values)
        asked = {name: _utc(moment) for name, moment in (("at", at), ("known_at", known_at)) if moment}
        claims, told = await asyncio.gather(
            claims_on(site, session, sku, behind), _of_inventory(site, session, sku, asked, before)
        )
        numbers = await serials_of_sku(site, session, sku, place, node, serial)
        values |= {**claims, **told, **numbers, "given": (at, known_at)}
        return await site.page(request, session, "sku.html", **values)

    return router


async def _standing(site: Site, session: Session, sku: str) -> dict[str, Any]:
    """What there is of a SKU, of the read models."""
    rows = await site.queries(session).stock(session.tenant, sku, None, None, BALANCES_MAX)
    return {"at_work": _at_work(rows), **_by_node(rows)}


def _at_work(rows: Sequence[Any]) -> dict[str, dict[str, int]]:
    """By node, how far its work is with what is allocated there; nodes that have something allocated."""
    found = {}
    for row in rows:
        work = steps_of(row)
        if row["bucket"] == "allocated" and (row["quantity"] or work is not None):
            steps = work or dict.fromkeys(STEPS, 0)
            rest = max(0, row["quantity"] - sum(steps.values()))
            found[row["node"]] = {"allocated": row["quantity"], "rest": rest, **steps}
    return found


def _by_node(rows: Sequence[Any]) -> dict[str, Any]:
    """Units by node and bucket, for a reader who asks what there is: without the ledger's other sides, which
    only say where it came from."""
    rows = [row for row in rows if row["bucket"] not in SOURCES]
    nodes: dict[str, dict[str, int]] = {}
    for row in rows:
        nodes.setdefault(row["node"], {})[row["bucket"]] = row["quantity"]
    return {"buckets": sorted({row["bucket"] for row in rows}), "nodes": nodes}


async def _of_inventory(
    site: Site, session: Session, sku: str, asked: dict[str, str], before: int | None
) -> dict[str, Any]:
    """What inventory, who keeps it, tells of the past and of what is to come: `history` for a plot, `then` as
    of a moment that was asked about, `moved`, `lying` by bins, and `inbound`; each none where it does not
    tell. Who may see some nodes only sees their movements and bins, and no sums of the network."""

    async def ask(path: str, **query: str | Sequence[str]) -> Outcome:
        path = f"/v1/stock/{path.format(quote(sku, safe=''))}"
        return await site.actions.call(session, "inventory", "GET", path, query=query)

    async def nothing() -> None:
        return None

    whole = session.nodes is None
    scope = {} if session.nodes is None else {"node": session.nodes}
    paged = {} if before is None else {"before": str(before)}
    moved, then, history, inbound, item = await asyncio.gather(
        ask("{}/movements", limit=str(MOVEMENTS), **scope, **paged) if scope != {"node": ()} else nothing(),
        ask("{}", **asked) if whole and asked else nothing(),
        ask("{}/series", **{"from": (datetime.now(UTC) - timedelta(days=DAYS)).isoformat(), "step": "day"})
        if whole
        else nothing(),
        ask("{}/supply") if whole else nothing(),
        ask("items/{}"),
    )
    return {
        "moved": _told(moved, _movements),
        "then": _told(then, _then),
        "refused": then if then is not None and not then.ok else None,
        "history": _told(history, _plotted),
        "inbound": _told(inbound, _inbound),
        "lying": _told(item, lambda told: _lying(told, session.nodes)),
    }


def _told(answer: Outcome | None, read: Callable[[dict[str, Any]], Any]) -> Any:
    return read(dict(answer.events[0])) if answer is not None and answer.ok else None


def _movements(told: dict[str, Any]) -> dict[str, Any]:
    rows = told["movements"]
    for row in rows:
        row["at"], row["known_at"] = map(datetime.fromisoformat, (row["at"], row["known_at"]))
    return {"rows": rows, "next": told["next"]}


def _then(told: dict[str, Any]) -> dict[str, Any]:
    rows = [
        {"node": one["node"], "bucket": bucket, "quantity": quantity}
        for one in told["nodes"]
        for bucket, quantity in one["buckets"].items()
    ]
    moments = {name: _moment(told[name]) for name in ("at", "known_at")}
    return told | moments | _by_node(rows)


def _inbound(told: dict[str, Any]) -> list[dict[str, Any]]:
    """Supplies that are expected and transfers under way, what is due first before all."""
    found = [
        {"what": "expected", "name": one["supply_id"], "from": "", "to": one["node"], "open": one["open"]}
        | {"due": _moment(one.get("expected_at"))}
        for one in told["expected"]
        if one["open"]
    ]
    found += [
        {"what": "transfer", "name": one["transfer_id"], "from": one["source_node"], "to": one["target_node"]}
        | {"open": one["open"], "due": _moment(one.get("due_at"))}
        for one in told["transfers"]
        if one["open"]
    ]
    return sorted(found, key=lambda one: (one["due"] is None, one["due"], one["name"]))


def _lying(told: dict[str, Any], seen: Sequence[str] | None) -> dict[str, list[dict[str, Any]]]:
    """By node, of those that may be seen, what lies in which bin; nodes where it does in any."""
    return {
        node: places for node, places in told["lying"].items() if places and (seen is None or node in seen)
    }


def _plotted(told: dict[str, Any]) -> str:
    """As JSON for a plot: times in seconds, and by name its units."""
    times = [datetime.fromisoformat(point["at"]).timestamp() for point in told["points"]]
    lines = {name: [point[name] for point in told["points"]] for name in PLOTTED}
    return orjson.dumps({"times": times, "lines": lines}).decode()


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _utc(moment: datetime) -> str:
    """A moment without a zone is UTC, as the page says."""
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).isoformat()
