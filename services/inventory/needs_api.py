"""Inventory's HTTP edge for what to buy: reorder points and proposals, by SKU and node."""

from collections.abc import Iterable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends, Query, Response

from libs.events.contract import Sku
from libs.runtime.edge import MANY_MAX, Edge
from libs.runtime.tokens import Claims
from services.inventory import needs_book
from services.inventory.availability import read_sku, read_supply
from services.inventory.lead_times import lead_time, supplier
from services.inventory.reorder import Owed, Terms, needs
from services.inventory.stock import EMPTY_SKU, SkuPart
from services.inventory.supplies import NO_SUPPLY, SUPPLY_STREAM


def needs_routes(edge: Edge) -> APIRouter:
    """What inventory answers about what to buy, below /v1/stock."""
    router = APIRouter()
    readers = Annotated[Claims, Depends(edge.require("viewer", "support", "operator", "integrator"))]
    parts_of, supplies_of = edge.reader(read_sku), edge.reader(read_supply)

    @router.get("/needs", summary="What to buy of each SKU, for which node, and why")
    async def read_needs(
        claims: readers,
        lead_days: Annotated[
            int, Query(ge=1, le=365, description="Of a SKU whose own purchase orders do not tell.")
        ] = 14,
        service: Annotated[
            float, Query(gt=0.5, lt=1, description="Share of cycles without a stock-out.")
        ] = 0.95,
        days: Annotated[int, Query(ge=7, le=730, description="Days of demand that are looked at.")] = 90,
        cover_days: Annotated[int, Query(ge=1, le=365)] = 30,
        limit: Annotated[int, Query(ge=1, le=MANY_MAX, description="SKUs of a page.")] = 100,
        after: Annotated[Sku | None, Query(description="The `next` of the page before.")] = None,
    ) -> Response:
        terms, today = Terms(days, lead_days, service, cover_days), datetime.now(UTC).date()
        async with edge.reading() as connection:
            skus = await needs_book.chosen(connection, claims.tenant, after or "", limit)
            stood = await needs_book.stood(connection, claims.tenant, skus, today, days)
            supplied = await needs_book.supplied(connection, claims.tenant, skus)
        parts = await parts_of(claims.tenant, [f"sku/{sku}" for sku in skus])
        supplies = await supplies_of(claims.tenant, [f"{SUPPLY_STREAM}{sku}" for sku in skus])
        found: list[dict[str, Any]] = []
        for sku in skus:
            part = parts.get(f"sku/{sku}", EMPTY_SKU)
            known = stood.get(sku, needs_book.NOWHERE)
            supply = supplies.get(f"{SUPPLY_STREAM}{sku}", NO_SUPPLY)
            shelves = needs_book.to_come(known.shelves, supply, today)
            owed = Owed(known.reserved, known.held, _waiting(part))
            facts = supplied.get(sku, [])
            low = part.terms is not None and part.terms.low
            for need in needs(terms, lead_time(facts), shelves, owed):
                row = {"sku": sku, **asdict(need), "low": low, "supplier": supplier(facts)}
                row["reasons"] = [*need.reasons, *_told(low)]
                found.append(row)
        return Response(
            orjson.dumps({"needs": found, "next": skus[-1] if len(skus) == limit else None}),
            media_type="application/json",
        )

    return router


def _told(low: bool) -> Iterable[str]:
    return ("low",) if low else ()


def _waiting(part: SkuPart) -> int:
    """Units that orders wait for, those included that want all of what they ordered or nothing."""
    return max(0, part.wanted - part.reserved) + sum(turn.whole for turn in part.turns.values())
