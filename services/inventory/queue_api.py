"""Inventory's HTTP edge for the queue of a SKU: who waits, in the order in which units are given, and why."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends, Query, Response
from pydantic import TypeAdapter

from libs.events.contract import Sku
from libs.events.policy import POLICIES_STREAM
from libs.events.routing import NODES_STREAM
from libs.runtime.edge import MANY_MAX, Edge
from libs.runtime.problems import Problem
from libs.runtime.tokens import Claims
from services.inventory.availability import read_places, read_policies, read_supply
from services.inventory.basket_api import as_json
from services.inventory.old_parts import stored
from services.inventory.places import NO_PLACES
from services.inventory.policies import NO_POLICIES
from services.inventory.standing import Asked, Place, lost, page, rows, standing
from services.inventory.stock import SkuPart
from services.inventory.supplies import NO_SUPPLY, SUPPLY_STREAM
from services.inventory.unknown_api import no_such_sku

BROKEN_MAX = 100
"""Events of a SKU that took promises back, the latest, that are looked at."""
_BROKEN = """
    SELECT at, payload->>'cause' AS cause, payload->>'claims' AS claims FROM log
    WHERE tenant = $1 AND stream = $2 AND type = 'oms.inventory.reservation_broken'
    ORDER BY stream_version DESC LIMIT $3"""
_read_sku = TypeAdapter[SkuPart](stored(SkuPart)).validate_json
_AFTER = TypeAdapter(tuple[int, datetime, str])


def queue_routes(edge: Edge) -> APIRouter:
    """What inventory answers about queues, below /v1/stock."""
    router = APIRouter()
    readers = Annotated[Claims, Depends(edge.require("viewer", "support", "operator", "integrator"))]
    parts_of, supplies_of = edge.reader(_read_sku), edge.reader(read_supply)
    places_of, policies_of = edge.reader(read_places), edge.reader(read_policies)

    @router.get("/{sku}/queue", summary="Who waits for a SKU, in the order in which units are given, and why")
    async def read_queue(
        claims: readers,
        sku: Sku,
        limit: Annotated[int, Query(ge=1, le=MANY_MAX, description="Orders of a page.")] = 100,
        after: Annotated[
            str | None, Query(max_length=200, description="The `next` of the page before.")
        ] = None,
    ) -> Response:
        behind, at, tenant = _place(after), datetime.now(UTC), claims.tenant
        part = (await parts_of(tenant, [f"sku/{sku}"])).get(f"sku/{sku}")
        if part is None:
            raise no_such_sku(sku)
        of_supply = await supplies_of(tenant, [SUPPLY_STREAM + sku])
        supply = of_supply.get(SUPPLY_STREAM + sku, NO_SUPPLY)
        places = (await places_of(tenant, [NODES_STREAM])).get(NODES_STREAM, NO_PLACES)
        policies = (await policies_of(tenant, [POLICIES_STREAM])).get(POLICIES_STREAM, NO_POLICIES)
        found, more = page(part, behind, limit)
        async with edge.reading() as connection:
            taken_back = await _broken(connection, tenant, sku)
        told = rows(found, Asked(sku, part, supply, policies.classes, at))
        for one, row in zip(found, told, strict=True):
            row["reasons"] += lost(taken_back, one.place.order_id, one.since)
        following = _text(found[-1].place) if more else None
        bundle = part.recipe.parts if part.recipe is not None and part.recipe.unpacked else None
        made_of = {} if bundle is None else {"bundle_of": bundle}
        known = standing(part, supply, places, at)
        return as_json({"sku": sku, "at": at, **known, **made_of, "queue": told, "next": following})

    return router


async def _broken(connection: Any, tenant: str, sku: str) -> Sequence[Mapping[str, Any]]:
    found = await connection.fetch(_BROKEN, tenant, f"sku/{sku}", BROKEN_MAX)
    return [{**row, "claims": orjson.loads(row["claims"])} for row in found]


def _text(place: Place) -> str:
    return orjson.dumps([place.rank, place.since.astimezone(UTC), place.order_id]).decode()


def _place(after: str | None) -> Place | None:
    """Where the page before ended. Raises Problem 422."""
    if after is None:
        return None
    try:
        rank, since, order_id = _AFTER.validate_json(after)
        return Place(rank, since.astimezone(UTC), order_id)
    except (ValueError, OverflowError):
        raise Problem(
            422,
            "invalid_cursor",
            "That is no page of this list",
            "`after` is not the `next` of an answer.",
            "Take it from the answer before, as it is, or leave it out to begin at the front.",
        ) from None
