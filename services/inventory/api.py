"""Inventory's HTTP edge: warehouses report deliveries, operations correct what is on hand."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, ValidationError

from libs.events.catalogue import problems
from libs.events.contract import Command
from libs.events.inventory import AdjustStock, ReceiveStock
from libs.runtime.edge import MANY_MAX, Edge
from libs.runtime.problems import Problem
from libs.runtime.tokens import Claims


class ItemsRequest(BaseModel):
    """Up to 500 items, each as it would be sent alone, and answered by itself."""

    model_config = ConfigDict(extra="forbid")

    items: Annotated[list[Any], Field(min_length=1, max_length=MANY_MAX)]


def one_or_many(body: object) -> str:
    """So that a mistake is reported against the shape that was meant."""
    many = isinstance(body, ItemsRequest) or (isinstance(body, dict) and "items" in body)
    return "items" if many else "item"


_Items = Annotated[ItemsRequest, Tag("items")]
Receipts = Annotated[Annotated[ReceiveStock, Tag("item")] | _Items, Discriminator(one_or_many)]
Adjustments = Annotated[Annotated[AdjustStock, Tag("item")] | _Items, Discriminator(one_or_many)]


def routes(edge: Edge) -> APIRouter:
    """What inventory answers under /v1/stock."""
    router = APIRouter(prefix="/v1/stock", tags=["stock"])
    keepers = Annotated[Claims, Depends(edge.require("integrator", "operator"))]

    @router.post("/receipts", status_code=202, summary="Receive one delivery of a SKU, or up to 500")
    async def receive_stock(request: Request, claims: keepers, body: Receipts) -> Response:
        if isinstance(body, ReceiveStock):
            return await edge.submit(request, claims, body)
        return await edge.submit_many(request, claims, [read_item(ReceiveStock, item) for item in body.items])

    @router.post("/adjustments", status_code=202, summary="Correct what is on hand of a SKU, or of up to 500")
    async def adjust_stock(request: Request, claims: keepers, body: Adjustments) -> Response:
        if isinstance(body, AdjustStock):
            return await edge.submit(request, claims, body)
        return await edge.submit_many(request, claims, [read_item(AdjustStock, item) for item in body.items])

    return router


def read_item(command: type[Command], item: object) -> Command | Problem:
    """One item as a command, or what is wrong with it, without the values."""
    try:
        return command.model_validate(item)
    except ValidationError as error:
        found = [{"where": problem.where, "what": problem.what} for problem in problems(error)]
        return Problem(
            422,
            "invalid_item",
            "The item is not valid",
            f"{len(found)} field(s) are not as documented; the first is {found[0]['where']}.",
            "Correct the fields named in errors and send this item again; the others stand.",
            found[:50],
        )
