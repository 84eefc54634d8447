"""Names that inventory's edge was asked about and nobody ever told it of: an answer that says so, instead of
one that is empty."""

from collections.abc import Awaitable, Callable
from typing import Any

import orjson

from libs.events.routing import NODES_STREAM
from libs.events.supply import RULES_STREAM
from libs.runtime.edge import Edge
from libs.runtime.pool import Connection
from libs.runtime.problems import Problem
from services.inventory.availability import read_sku
from services.inventory.stock import EMPTY_SKU, SkuPart
from services.inventory.supplies import SUPPLY_STREAM

_PART = "SELECT part FROM part WHERE key = $1"
_ANY = "SELECT EXISTS (SELECT FROM part WHERE key = ANY($1::text[]))"
_MOVED_AT = "SELECT EXISTS (SELECT FROM balance WHERE tenant = $1 AND node = $2)"
_LOT = "SELECT part->'lots'->'named'->$2 IS NOT NULL FROM part WHERE key = $1"


async def must_be_feed(connection: Connection, tenant: str, feed: str) -> None:
    """Raises Problem 404 where nobody ever defined the feed."""
    rules = await _part(connection, tenant, RULES_STREAM)
    if feed not in rules.get("feeds", {}):
        raise Problem(
            404,
            "unknown_feed",
            "No such feed",
            f"There is no feed {feed}.",
            "Check its spelling (case matters): `orderlog stock feeds` (GET /v1/stock/feeds) lists them; "
            "`orderlog stock define-feed` defines one.",
        )


async def must_be_node(connection: Connection, tenant: str, node: str) -> None:
    """Raises Problem 404 where nobody ever told of the node: routing, a feed, or a movement there."""
    places = await _part(connection, tenant, NODES_STREAM)
    feeds = (await _part(connection, tenant, RULES_STREAM)).get("feeds", {})
    told = {*places.get("nodes", ()), *places.get("ships_to", ())}
    told |= {*places.get("everywhere", ()), *places.get("closed", ())}
    told |= {one["definition"]["node"] for one in feeds.values()}
    if node not in told and not await connection.fetchval(_MOVED_AT, tenant, node):
        raise Problem(
            404,
            "unknown_node",
            "No such node",
            f"Nobody has defined node {node}, and no unit was ever there.",
            "Check its spelling (case matters), or define it: `orderlog nodes define` (PUT /v1/nodes/{node} "
            "of routing).",
        )


async def must_be_lot(connection: Connection, tenant: str, sku: str, lot: str) -> None:
    """Raises Problem 404 where no unit of the lot of the SKU ever came."""
    if not await connection.fetchval(_LOT, f"{tenant}/sku/{sku}", lot):
        raise Problem(
            404,
            "unknown_lot",
            "No such lot",
            f"No unit of lot {lot} of {sku} ever came.",
            f"Check both (case matters): `orderlog stock lots {sku}` (GET /v1/stock/{{sku}}/lots) lists "
            "them.",
        )


async def must_be_sku(connection: Connection, tenant: str, sku: str) -> None:
    """Raises Problem 404 where inventory knows nothing at all of the SKU."""
    keys = [f"{tenant}/sku/{sku}", f"{tenant}/{SUPPLY_STREAM}{sku}"]
    if not await connection.fetchval(_ANY, keys):
        raise no_such_sku(sku)


def known_sku(edge: Edge) -> Callable[[str, str], Awaitable[SkuPart]]:
    """What reads a tenant's SKU by its name: the empty part where inventory knows its supply alone. It raises
    Problem 404 where inventory knows nothing at all of it, and 503 where the database does not answer."""
    skus_of, supplies_of = edge.reader(read_sku), edge.reader(orjson.loads)

    async def read(tenant: str, sku: str) -> SkuPart:
        stream = f"sku/{sku}"
        part = (await skus_of(tenant, [stream])).get(stream)
        if part is None and not await supplies_of(tenant, [SUPPLY_STREAM + sku]):
            raise no_such_sku(sku)
        return EMPTY_SKU if part is None else part

    return read


def no_such_sku(sku: str) -> Problem:
    """Of a SKU of which inventory knows nothing at all."""
    return Problem(
        404,
        "unknown_sku",
        "No such SKU",
        f"Nobody ever had, wanted or defined SKU {sku}.",
        "Check its spelling (case matters), or list what there is: `orderlog stock list` (GET /v1/stock).",
    )


async def _part(connection: Connection, tenant: str, stream: str) -> dict[str, Any]:
    told = await connection.fetchval(_PART, f"{tenant}/{stream}")
    return {} if told is None else dict(orjson.loads(told))
