"""Inventory's HTTP edge for what a SKU is on the shelf, for its lots and its serial numbers."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, ConfigDict

from libs.events.contract import NodeId, Quantity, Sku
from libs.events.items import DefineItem, Item, MoveBetweenBins, PlaceItem
from libs.events.measure import Bin, LotId, SerialNumber
from libs.runtime.edge import MANY_MAX, Edge
from libs.runtime.problems import Problem
from libs.runtime.tokens import Claims
from services.inventory import lot_book, serial_book
from services.inventory.basket_api import as_json
from services.inventory.unknown_api import must_be_lot, must_be_node


class ItemRequest(Item):
    """The whole of a SKU's definition; what is left out is not kept."""

    model_config = ConfigDict(extra="forbid", defer_build=False)  # FastAPI needs it whole


class BinRequest(BaseModel):
    """A place on the node's shelves; null, nowhere in particular."""

    model_config = ConfigDict(extra="forbid")

    bin: Bin | None


class BinsRequest(BaseModel):
    """Units that lie in another bin than before. A bin that is null, or left out, is where the node keeps
    the SKU."""

    model_config = ConfigDict(extra="forbid")

    quantity: Quantity
    source: Bin | None = None
    target: Bin | None = None


def item_routes(edge: Edge) -> APIRouter:
    """What inventory answers about SKUs and their lots, below /v1/stock."""
    router = APIRouter()
    planners = Annotated[Claims, Depends(edge.require("integrator", "operator"))]
    readers = Annotated[Claims, Depends(edge.require("viewer", "support", "operator", "integrator"))]

    @router.put(
        "/items/{sku}", status_code=202, summary="Say what a SKU is: its units, lots or serial numbers"
    )
    async def define_item(request: Request, claims: planners, sku: Sku, body: ItemRequest) -> Response:
        return await edge.submit(request, claims, DefineItem(sku=sku, **body.model_dump()))

    @router.put("/items/{sku}/bins/{node}", status_code=202, summary="Say where a node keeps a SKU")
    async def place_item(
        request: Request, claims: planners, sku: Sku, node: NodeId, body: BinRequest
    ) -> Response:
        return await edge.submit(request, claims, PlaceItem(sku=sku, node=node, bin=body.bin))

    @router.post(
        "/items/{sku}/bins/{node}/moves", status_code=202, summary="Say that units lie in another bin"
    )
    async def move_between_bins(
        request: Request, claims: planners, sku: Sku, node: NodeId, body: BinsRequest
    ) -> Response:
        return await edge.submit(request, claims, MoveBetweenBins(sku=sku, node=node, **body.model_dump()))

    @router.get(
        "/{sku}/lots", summary="The lots of a SKU: when each is sold no more, and where its units are"
    )
    async def read_lots(claims: readers, sku: Sku) -> Response:
        async with edge.reading() as connection:
            found = await lot_book.lots(connection, claims.tenant, sku)
        if found is None:
            raise _no_lots(sku)
        return as_json({"sku": sku, **found})

    @router.get("/{sku}/lots/{lot}", summary="Which orders have units of a lot, or were sent some")
    async def read_lot(
        claims: readers,
        sku: Sku,
        lot: LotId,
        limit: Annotated[int, Query(ge=1, le=MANY_MAX)] = 100,
        after: Annotated[str, Query(description="The `next` of the page before.")] = "",
    ) -> Response:
        async with edge.reading() as connection:
            found = await lot_book.orders(connection, claims.tenant, sku, lot, after, limit)
            if not found and not after:
                await must_be_lot(connection, claims.tenant, sku, lot)
        following = found[-1]["order_id"] if len(found) == limit else None
        return as_json({"sku": sku, "lot": lot, "orders": found, "next": following})

    _serials(router, edge, readers)
    return router


def _serials(router: APIRouter, edge: Edge, readers: Any) -> None:
    @router.get("/{sku}/serials", summary="The serial numbers of a SKU, and where each unit is")
    async def read_serials(
        claims: readers,
        sku: Sku,
        node: Annotated[NodeId | None, Query(description="Only units that are there.")] = None,
        limit: Annotated[int, Query(ge=1, le=MANY_MAX)] = 100,
        after: Annotated[str, Query(description="The `next` of the page before.")] = "",
    ) -> Response:
        async with edge.reading() as connection:
            astray = await serial_book.astray(connection, claims.tenant, sku)
            found = await serial_book.units(connection, claims.tenant, sku, node, after, limit)
            if node is not None and not found:
                await must_be_node(connection, claims.tenant, node)
        if astray is None:
            raise Problem(
                404,
                "no_serials",
                "No serial numbers",
                f"{sku} has no serial numbers, or nobody has said what it is.",
                f"Check its spelling (case matters); `orderlog stock item {sku} --serials` (PUT "
                "/v1/stock/items/{sku}) says that a SKU is serialised.",
            )
        following = found[-1]["serial"] if len(found) == limit else None
        return as_json({"sku": sku, "astray": astray, "serials": found, "next": following})

    @router.get("/{sku}/serials/{serial}", summary="Where a unit is, and everything that became of it")
    async def read_serial(claims: readers, sku: Sku, serial: SerialNumber) -> Response:
        async with edge.reading() as connection:
            found = await serial_book.history(connection, claims.tenant, sku, serial)
        if not found:
            raise Problem(
                404,
                "unknown_serial",
                "Unknown serial number",
                f"No unit of {sku} with serial number {serial} was ever told of.",
                "Check both (case matters): GET /v1/stock/{sku}/serials lists those that are known.",
            )
        return as_json({"sku": sku, "serial": serial, **serial_book.place(found), "history": found})


def _no_lots(sku: str) -> Problem:
    return Problem(
        404,
        "no_lots",
        "No lots",
        f"{sku} has no lots, or no unit of it ever came.",
        f"Check its spelling (case matters); a SKU has lots once it is defined so: `orderlog stock item {sku}"
        " --lots` (PUT /v1/stock/items/{sku}).",
    )
