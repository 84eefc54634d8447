"""Inventory's HTTP edge for what a SKU is on the shelf."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from pydantic import ConfigDict

from libs.events.contract import Sku
from libs.events.items import DefineItem, Item
from libs.runtime.edge import Edge
from libs.runtime.tokens import Claims


class ItemRequest(Item):
    """The whole of a SKU's definition; what is left out is not kept."""

    model_config = ConfigDict(extra="forbid")


def item_routes(edge: Edge) -> APIRouter:
    """What inventory answers about SKUs, below /v1/stock."""
    router = APIRouter()
    planners = Annotated[Claims, Depends(edge.require("integrator", "operator"))]

    @router.put(
        "/items/{sku}", status_code=202, summary="Say what a SKU is on the shelf: its units of measure"
    )
    async def define_item(request: Request, claims: planners, sku: Sku, body: ItemRequest) -> Response:
        return await edge.submit(request, claims, DefineItem(sku=sku, **body.model_dump()))

    return router
