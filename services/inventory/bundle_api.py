"""Inventory's HTTP edge for bundles and kits: of what a SKU is made, and what is put together or apart."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import orjson
from fastapi import APIRouter, Depends, Request, Response
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from libs.events.bundles import AssembleKit, BundlePart, DefineBundle, RemoveBundle, TakeKitApart
from libs.events.contract import Name, NodeId, Note, Quantity, Sku
from libs.runtime.edge import Edge
from libs.runtime.problems import Problem
from libs.runtime.routers import joined
from libs.runtime.tokens import Claims
from services.inventory.availability import read_sku


class PartRequest(BaseModel):
    """Units of a SKU in one unit of the bundle or kit."""

    model_config = ConfigDict(extra="forbid")

    sku: Sku
    quantity: Annotated[int, Field(strict=True, ge=0, le=1_000_000_000)]
    price_weight: Annotated[int, Field(strict=True, ge=1, le=1_000_000)] = 1


class BundleRequest(BaseModel):
    """Of what a SKU is made; what is left out is no part of it."""

    model_config = ConfigDict(extra="forbid")

    parts: Annotated[list[PartRequest], Field(max_length=1000)]
    kept: Literal["parts", "assembled"] = "parts"
    effective_at: AwareDatetime | None = None
    """From when it holds; without it, from now on."""


class RemovalRequest(BaseModel):
    """Why; never personal data, as it is kept for ever."""

    model_config = ConfigDict(extra="forbid")

    reason: Note = ""


class KitRequest(BaseModel):
    """Kits that were put together, or taken apart, at a node."""

    model_config = ConfigDict(extra="forbid")

    node: NodeId
    quantity: Quantity
    reference: Name | None = None


def bundle_routes(edge: Edge) -> APIRouter:
    """What inventory answers under /v1/bundles and /v1/kits."""
    return joined(_bundles(edge), _kits(edge))


def _bundles(edge: Edge) -> APIRouter:
    router = APIRouter(prefix="/v1/bundles", tags=["bundles"])
    planners = Annotated[Claims, Depends(edge.require("integrator", "operator"))]
    readers = Annotated[Claims, Depends(edge.require("viewer", "support", "operator", "integrator"))]
    parts_of = edge.reader(read_sku)

    @router.put("/{sku}", status_code=202, summary="Say of what a SKU is made")
    async def define_bundle(request: Request, claims: planners, sku: Sku, body: BundleRequest) -> Response:
        parts = tuple(
            BundlePart(sku=part.sku, quantity=part.quantity, price_weight=part.price_weight)
            for part in body.parts
        )
        command = DefineBundle(sku=sku, parts=parts, kept=body.kept, effective_at=body.effective_at)
        return await edge.submit(request, claims, command)

    @router.delete("/{sku}", status_code=202, summary="Make a SKU one like any other")
    async def remove_bundle(
        request: Request, claims: planners, sku: Sku, body: RemovalRequest | None = None
    ) -> Response:
        reason = body.reason if body else ""
        return await edge.submit(request, claims, RemoveBundle(sku=sku, reason=reason))

    @router.get("/{sku}", summary="Of what a SKU is made, and which SKUs are made of it")
    async def look(claims: readers, sku: Sku) -> Response:
        part = (await parts_of(claims.tenant, {f"sku/{sku}"})).get(f"sku/{sku}")
        if part is None or part.recipe is None:
            raise Problem(
                404,
                "unknown_bundle",
                "No such bundle",
                f"SKU {sku} is made of no other SKUs, and no part of any, for your tenant.",
                "Check its spelling (case matters), or define it: `orderlog stock bundle define` (PUT"
                " /v1/bundles/SKU).",
            )
        recipe = part.recipe
        told = {
            "sku": sku,
            "bundle_version": recipe.version,
            "kept": None if not recipe.parts else "assembled" if recipe.assembled else "parts",
            "parts": _parts(recipe.parts, recipe.price_weights),
            "part_of": sorted(recipe.within),
            "planned": [
                {
                    "effective_at": moment,
                    "kept": "assembled" if assembled else "parts",
                    "parts": _parts(parts, weights),
                }
                for moment, (assembled, parts, weights) in sorted(recipe.planned.items())
            ],
        }
        return Response(orjson.dumps(told), media_type="application/json")

    return router


def _parts(units: Mapping[str, int], weights: Mapping[str, int]) -> list[dict[str, Any]]:
    return [
        {"sku": sku, "quantity": each, "price_weight": weights.get(sku, 1)} for sku, each in units.items()
    ]


def _kits(edge: Edge) -> APIRouter:
    router = APIRouter(prefix="/v1/kits", tags=["bundles"])
    keepers = Annotated[Claims, Depends(edge.require("integrator", "operator"))]

    @router.post("/{sku}/assemble", status_code=202, summary="Put kits together of parts on hand at a node")
    async def assemble(request: Request, claims: keepers, sku: Sku, body: KitRequest) -> Response:
        command = AssembleKit(sku=sku, node=body.node, quantity=body.quantity, reference=body.reference)
        return await edge.submit(request, claims, command)

    @router.post("/{sku}/take-apart", status_code=202, summary="Take kits apart into parts on hand at a node")
    async def take_apart(request: Request, claims: keepers, sku: Sku, body: KitRequest) -> Response:
        command = TakeKitApart(sku=sku, node=body.node, quantity=body.quantity, reference=body.reference)
        return await edge.submit(request, claims, command)

    return router
