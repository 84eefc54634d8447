"""Inventory's HTTP edge for substitutes: what may be sent in place of a SKU that lacks."""

from typing import Annotated

import orjson
from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, ConfigDict

from libs.events.contract import Sku
from libs.events.substitutes import DefineSubstitutes, Substitutes
from libs.runtime.edge import Edge
from libs.runtime.tokens import Claims
from services.inventory.stock import SubstitutesOf
from services.inventory.unknown_api import known_sku


class SubstitutesRequest(BaseModel):
    """The SKUs to try, the first in front; none ends it."""

    model_config = ConfigDict(extra="forbid")

    substitutes: Substitutes


def substitute_routes(edge: Edge) -> APIRouter:
    """What inventory answers under /v1/substitutes."""
    router = APIRouter(prefix="/v1/substitutes", tags=["promises"])
    planners = Annotated[Claims, Depends(edge.require("integrator", "operator"))]
    readers = Annotated[Claims, Depends(edge.require("viewer", "support", "operator", "integrator"))]
    sku_of = known_sku(edge)

    @router.put("/{sku}", status_code=202, summary="Say what may be sent in place of a SKU that lacks")
    async def define(request: Request, claims: planners, sku: Sku, body: SubstitutesRequest) -> Response:
        return await edge.submit(request, claims, DefineSubstitutes(sku=sku, substitutes=body.substitutes))

    @router.get("/{sku}", summary="What may be sent in place of a SKU that lacks")
    async def look(claims: readers, sku: Sku) -> Response:
        known = (await sku_of(claims.tenant, sku)).substitutes or SubstitutesOf(0)
        told = {"sku": sku, "version": known.version, "substitutes": known.skus}
        return Response(orjson.dumps(told), media_type="application/json")

    return router
