"""What could be promised now: the answer to a basket, by the arithmetic that a reservation goes by.

For shops, before they show a basket or hold it. It claims nothing: between the answer and the order others
may be faster. Who must be sure holds a promise.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from libs.events.promise import Wanted
from services.inventory.holds import summed
from services.inventory.stock import EMPTY_SKU, OrderClaim, SkuPart
from services.inventory.terms import Terms


def read_sku(part: bytes) -> SkuPart:
    """A SKU's part, for its figures. Claims are left out but where the terms make them matter: a SKU that
    many wait for has many, and they are most of it."""
    raw: dict[str, Any] = orjson.loads(part)
    terms = raw.get("terms")
    claims: dict[str, OrderClaim] = {}
    if terms is not None and raw["wanted"] > raw["reserved"]:
        claims = {
            holder: OrderClaim(claim["wanted"], claim["held"], claim["since"], claim.get("channel"))
            for holder, claim in raw["claims"].items()
        }
    return SkuPart(
        raw["position"],
        raw["on_hand"],
        raw["allocated"],
        raw["reserved"],
        raw["wanted"],
        claims,
        None if terms is None else Terms(**terms),
    )


def answer(lines: Iterable[Wanted], channel: str | None, skus: Mapping[str, SkuPart]) -> dict[str, Any]:
    """The basket as a whole and SKU by SKU; several lines of one SKU are one demand."""
    told = [_figures(sku, units, channel, skus.get(sku, EMPTY_SKU)) for sku, units in summed(lines).items()]
    return {"available": all(not one["short"] for one in told), "channel": channel, "skus": told}


def _figures(sku: str, quantity: int, channel: str | None, part: SkuPart) -> dict[str, Any]:
    there = part.claimable(channel)
    return {
        "sku": sku,
        "quantity": quantity,
        "available": there,
        "short": max(0, quantity - there),
        "on_hand": sum(part.on_hand.values()),
        "promised": part.reserved,
        "waiting": part.wanted - part.reserved,
        "safety_stock": 0 if part.terms is None else part.terms.safety_stock,
        "kept_for_others": 0
        if part.terms is None
        else part.terms.withheld(channel) - part.terms.safety_stock,
        "terms_version": None if part.terms is None else part.terms.version,
        "nodes": [{"node": node, "on_hand": units} for node, units in sorted(part.on_hand.items())],
    }
