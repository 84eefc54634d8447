"""Inventory's HTTP edge for what was defined and holds now: terms, rules, feeds, items, held baskets.

What is replaced as a whole is answered in the form in which it is sent, beside its version, so that whoever
changes a part of it can send the rest back.
"""

from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends, Response

from libs.events.contract import PromiseId, Sku
from libs.events.promise import PromiseHeld
from libs.events.supply import RULES_STREAM, SupplyRules
from libs.runtime.edge import Edge
from libs.runtime.problems import Problem
from libs.runtime.tokens import Claims
from services.inventory.availability import read_sku, read_supply
from services.inventory.basket_api import as_json
from services.inventory.basket_waits import due_of
from services.inventory.bins import lying
from services.inventory.stock import EMPTY_SKU, HOLDER
from services.inventory.supplies import NO_SUPPLY, SUPPLY_STREAM
from services.inventory.terms import Terms, stated
from services.inventory.units import Units
from services.inventory.unknown_api import known_sku, no_such_sku

Document = dict[str, Any]
_NO_RULES = SupplyRules(new_skus=True)


def defined_routes(edge: Edge) -> APIRouter:
    """What inventory answers about what holds now, under /v1."""
    router = APIRouter(prefix="/v1")
    readers = Annotated[Claims, Depends(edge.require("viewer", "support", "operator", "integrator"))]
    skus_of, raw_of = edge.reader(read_sku), edge.reader(orjson.loads)
    supplies_of, sku_of = edge.reader(read_supply), known_sku(edge)

    @router.get("/promise-terms/{sku}", tags=["promises"], summary="What of a SKU is promised to whom")
    async def read_terms(claims: readers, sku: Sku) -> Response:
        part = await sku_of(claims.tenant, sku)
        return as_json({"sku": sku, **terms_told(part.terms or Terms(0))})

    @router.get("/stock/rules", tags=["supply"], summary="The rules for facts from outside")
    async def read_rules(claims: readers) -> Response:
        known = (await raw_of(claims.tenant, [RULES_STREAM])).get(RULES_STREAM, {})
        rules = known.get("rules") or _NO_RULES.model_dump(mode="json")
        return as_json({"version": known.get("version", 0), **rules})

    @router.get("/stock/feeds", tags=["supply"], summary="The feeds, and the last full run of each")
    async def read_feeds(claims: readers) -> Response:
        known = (await raw_of(claims.tenant, [RULES_STREAM])).get(RULES_STREAM, {})
        return as_json({"feeds": [_feed(one) for _, one in sorted(known.get("feeds", {}).items())]})

    @router.get("/stock/items/{sku}", tags=["supply"], summary="What a SKU is on the shelf, and where it is")
    async def read_item(claims: readers, sku: Sku) -> Response:
        raw = (await raw_of(claims.tenant, [f"sku/{sku}"])).get(f"sku/{sku}")
        stream = f"{SUPPLY_STREAM}{sku}"
        supply = (await supplies_of(claims.tenant, [stream])).get(stream)
        if raw is None and supply is None:
            raise no_such_sku(sku)
        return as_json({"sku": sku, **_item(raw or {}, (supply or NO_SUPPLY).units_of_measure)})

    @router.get("/promises/{promise_id}", tags=["promises"], summary="A held basket, and what became of it")
    async def read_promise(claims: readers, promise_id: PromiseId) -> Response:
        stream = f"{HOLDER}{promise_id}"
        known = (await raw_of(claims.tenant, [stream])).get(stream)
        held = await edge.first(claims.tenant, stream, [PromiseHeld]) if known is not None else None
        if known is None or not isinstance(held, PromiseHeld):
            raise Problem(
                404,
                "unknown_promise",
                "No such promise",
                f"No basket is held as promise {promise_id} of your tenant, and none was.",
                "Check the id; POST /v1/promises answers it.",
            )
        lines = [{"sku": line.sku, "quantity": line.quantity} for line in held.lines]
        told = {"promise_id": promise_id, "status": known["status"], "lines": lines, "channel": held.channel}
        told |= {"expires_at": held.expires_at, "delivery": known.get("delivery")}
        if held.short is not None and (waits := known.get("waits")) is not None:
            parts = await skus_of(claims.tenant, [f"sku/{line.sku}" for line in held.lines])
            skus = {line.sku: parts.get(f"sku/{line.sku}", EMPTY_SKU) for line in held.lines}
            lacking = due_of(promise_id, skus, skus) if known["status"] == "held" else []
            told["waiting_for"] = [{"sku": one.sku, "quantity": one.quantity} for one in lacking]
            told["usable_at"] = waits["usable_at"]
        return as_json(told)

    return router


def terms_told(terms: Terms) -> Document:
    """A SKU's terms in the form in which they are defined, with their version; 0, nobody has defined any.
    Days that channels ask of all SKUs stand beside them."""
    told = {"terms_version": terms.version, **stated(terms)}
    if terms.shelf_of_channels:
        days = [
            {"channel": channel, "shelf_days_min": terms.shelf_days[channel]}
            for channel in terms.shelf_of_channels
        ]
        told["shelf_days_of_channels"] = days
    return told


def _feed(known: Document) -> Document:
    run = {name: known.get(name) for name in ("run_id", "units", "stated_at", "held")}
    retired = {"retired": True} if known.get("retired") else {}
    return {**known["definition"], **retired, "last_run": run if known.get("run_id") else None}


def _item(raw: Document, units: Units | None) -> Document:
    lots = raw.get("lots")
    known = [] if units is None else units.ratios.items()
    return {
        "item_version": 0 if units is None else units.version,
        "units": [{"unit": name, "holds": holds, "of": "each", "per": per} for name, (holds, per) in known],
        "lot_controlled": lots is not None,
        "serialised": raw.get("astray") is not None,
        "shelf_days_min": 0 if lots is None else lots.get("days_min", 0),
        "bins": raw.get("bins") or {},
        "lying": _lying(raw),
    }


def _lying(raw: Document) -> dict[str, list[Document]]:
    """By node, what lies in which bin that no order has, in the order in which it is taken; nodes of which
    nobody ever said in which bin anything lies are left out."""
    kept_in, put_away = raw.get("bins") or {}, raw.get("put_away") or {}
    nodes = sorted({*kept_in, *(key.partition("/")[0] for key in put_away)})
    there = raw.get("on_hand", {})
    return {
        node: [
            {"bin": one.bin, "units": one.units}
            for one in lying(node, there.get(node, 0), kept_in.get(node), put_away)
        ]
        for node in nodes
    }
