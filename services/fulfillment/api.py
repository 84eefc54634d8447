"""Fulfillment's HTTP edge: warehouses report picks, packs and dispatches, carriers report scans.

An id in a path contains its order's id; a body may repeat `order_id`, and is refused when the two disagree.
"""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request, Response
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from libs.events.contract import Name, Note, OrderId
from libs.events.fulfillment import (
    CarrierCharge,
    CarrierStatus,
    ConfirmPack,
    ConfirmPick,
    DispatchShipment,
    LineNumbers,
    Package,
    Pick,
    RecordCarrierEvent,
    ShippedPackage,
)
from libs.runtime.edge import Edge
from libs.runtime.problems import Problem
from libs.runtime.tokens import Claims

FulfillmentOrderId = Annotated[str, Path(pattern=r"^[A-Za-z0-9-]{1,64}-F[0-9]{1,6}$")]
ShipmentId = Annotated[str, Path(pattern=r"^[A-Za-z0-9-]{1,64}-S[0-9]{1,6}$")]


class ReportRequest(BaseModel):
    """What every report may carry."""

    model_config = ConfigDict(extra="forbid")

    order_id: OrderId | None = None


class PickRequest(ReportRequest):
    """Each line of the fulfillment order once; picked + short is what was asked."""

    picks: Annotated[tuple[Pick, ...], Field(min_length=1, max_length=1000)]


class PackRequest(ReportRequest):
    """The parcels that hold what was picked."""

    packages: Annotated[tuple[Package, ...], Field(min_length=1, max_length=500)]


class DispatchRequest(ReportRequest):
    """Who took the packed parcels, the tracking number of each, the serial numbers of what leaves, as far as
    it has some and the pick did not tell them, and what the carrier asks, if known."""

    carrier: Name
    packages: Annotated[tuple[ShippedPackage, ...], Field(min_length=1, max_length=500)]
    serials: Annotated[tuple[LineNumbers, ...], Field(max_length=1000)] | None = None
    charge: CarrierCharge | None = None


class CarrierEventRequest(ReportRequest):
    """One scan of a shipment."""

    status: CarrierStatus
    occurred_at: AwareDatetime
    note: Note = ""


def routes(edge: Edge) -> APIRouter:
    """What fulfillment answers under /v1/fulfillment-orders and /v1/shipments."""
    router = APIRouter(prefix="/v1")
    reporters = Annotated[Claims, Depends(edge.require("integrator", "operator"))]

    @router.post(
        "/fulfillment-orders/{id}/pick", status_code=202, tags=["fulfillment"], summary="Report a pick"
    )
    async def confirm_pick(
        request: Request, claims: reporters, id: FulfillmentOrderId, body: PickRequest
    ) -> Response:
        order_id = order_of(id, body)
        command = ConfirmPick(order_id=order_id, fulfillment_order_id=id, picks=body.picks)
        return await edge.submit(request, claims, command)

    @router.post(
        "/fulfillment-orders/{id}/pack", status_code=202, tags=["fulfillment"], summary="Report a pack"
    )
    async def confirm_pack(
        request: Request, claims: reporters, id: FulfillmentOrderId, body: PackRequest
    ) -> Response:
        order_id = order_of(id, body)
        command = ConfirmPack(order_id=order_id, fulfillment_order_id=id, packages=body.packages)
        return await edge.submit(request, claims, command)

    @router.post(
        "/fulfillment-orders/{id}/dispatch",
        status_code=202,
        tags=["fulfillment"],
        summary="Report a dispatch",
    )
    async def dispatch_shipment(
        request: Request, claims: reporters, id: FulfillmentOrderId, body: DispatchRequest
    ) -> Response:
        command = DispatchShipment(
            order_id=order_of(id, body),
            fulfillment_order_id=id,
            carrier=body.carrier,
            packages=body.packages,
            serials=body.serials,
            charge=body.charge,
        )
        return await edge.submit(request, claims, command)

    @router.post(
        "/shipments/{id}/carrier-events",
        status_code=202,
        tags=["shipments"],
        summary="Report a carrier's scan",
    )
    async def record_carrier_event(
        request: Request, claims: reporters, id: ShipmentId, body: CarrierEventRequest
    ) -> Response:
        command = RecordCarrierEvent(
            order_id=order_of(id, body),
            shipment_id=id,
            status=body.status,
            occurred_at=body.occurred_at,
            note=body.note,
        )
        return await edge.submit(request, claims, command)

    return router


def order_of(id_: str, body: ReportRequest) -> str:
    """The order that a fulfillment order or shipment belongs to. Problem 422 when the body names another."""
    order_id = id_.rpartition("-")[0]
    if body.order_id is not None and body.order_id != order_id:
        raise Problem(
            422,
            "wrong_order_id",
            "The body names another order",
            f"{id_} belongs to order {order_id}, the body says {body.order_id}.",
            "Leave order_id out, or correct it.",
        )
    return order_id
