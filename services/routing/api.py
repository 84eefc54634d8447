"""Routing's HTTP edge: operations say where nodes are, whom they serve, and which plans they want to see; and
let those pass that are held."""

from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from libs.events.contract import Country, Name, NodeId, Note, OrderId
from libs.events.places import (
    MON_TO_FRI,
    Holidays,
    NodeOperations,
    ServiceHours,
    TransitBand,
    WorkingDays,
)
from libs.events.routing import (
    NODES_STREAM,
    ApproveRouting,
    DefineNode,
    DefineReview,
    DefineTransit,
    ReviewTerms,
)
from libs.runtime.edge import Edge
from libs.runtime.routers import joined
from libs.runtime.tokens import Claims


class ServiceHoursRequest(ServiceHours):
    """How a node works on what is sent by one service, where that is not as it works on all else."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class OperationsRequest(NodeOperations):
    """When a node works."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    services: Annotated[tuple[ServiceHoursRequest, ...], Field(max_length=50)] = ()


class BandRequest(TransitBand):
    """How long the carrier travels, from these nodes to these places; what is left out is no condition."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class TransitRequest(BaseModel):
    """One service of the carriers. The first band that fits counts."""

    model_config = ConfigDict(extra="forbid")

    working_days: WorkingDays = MON_TO_FRI
    holidays: Holidays = ()
    bands: Annotated[list[BandRequest], Field(min_length=1, max_length=200)]


class NodeRequest(BaseModel):
    """A fulfilling place: a warehouse, a store, a vendor."""

    model_config = ConfigDict(extra="forbid")

    name: Name
    country: Country
    latitude: Annotated[float, Field(ge=-90, le=90)]
    longitude: Annotated[float, Field(ge=-180, le=180)]
    ships_to: Annotated[tuple[Country, ...], Field(max_length=300)] | None = None
    """Countries that it serves; none means all."""
    active: bool = True
    operations: OperationsRequest | None = None
    """When it works; without it, no date is promised from it."""


class ReviewRequest(ReviewTerms):
    """Limits above which a person sees a plan before it is carried out; what is left out is no limit."""

    model_config = ConfigDict(extra="forbid", defer_build=False)  # FastAPI needs it whole


class ApproveRequest(BaseModel):
    """The round that is held, perhaps other nodes that are to ship it, and why; the reason is kept for ever:
    never personal data."""

    model_config = ConfigDict(extra="forbid")

    round: Annotated[int, Field(strict=True, ge=1)]
    nodes: Annotated[list[NodeId], Field(min_length=1, max_length=50)] | None = None
    reason: Note = ""


def routes(edge: Edge) -> APIRouter:
    """What routing answers under /v1/nodes, /v1/transit, /v1/review and /v1/orders."""
    router = APIRouter(prefix="/v1", tags=["nodes"])
    planners = Annotated[Claims, Depends(edge.require("integrator", "operator"))]

    @router.put("/nodes/{node}", status_code=202, summary="Define a node, or change it")
    async def define_node(request: Request, claims: planners, node: NodeId, body: NodeRequest) -> Response:
        command = DefineNode(
            node=node,
            name=body.name,
            country=body.country,
            latitude=body.latitude,
            longitude=body.longitude,
            ships_to=body.ships_to,
            active=body.active,
            operations=body.operations and NodeOperations(**body.operations.model_dump()),
        )
        return await edge.submit(request, claims, command)

    @router.put("/transit/{service}", status_code=202, summary="Say how long a carriers' service takes")
    async def define_transit(
        request: Request, claims: planners, service: Name, body: TransitRequest
    ) -> Response:
        command = DefineTransit(
            service=service,
            working_days=body.working_days,
            holidays=body.holidays,
            bands=tuple(TransitBand(**one.model_dump()) for one in body.bands),
        )
        return await edge.submit(request, claims, command)

    return joined(router, _review_routes(edge))


def _review_routes(edge: Edge) -> APIRouter:
    """Which plans a person sees first, and what becomes of one."""
    router = APIRouter(prefix="/v1", tags=["review"])
    planners = Annotated[Claims, Depends(edge.require("integrator", "operator"))]
    readers = Annotated[Claims, Depends(edge.require("viewer", "support", "operator", "integrator"))]
    parts_of = edge.reader(orjson.loads)

    @router.get("/review", summary="Which plans are held for review")
    async def read_review(claims: readers) -> Response:
        known: dict[str, Any] = (await parts_of(claims.tenant, [NODES_STREAM])).get(NODES_STREAM, {})
        limits = known.get("review") or ReviewTerms().model_dump()
        told = {"nodes_version": known.get("version", 0), **limits}
        return Response(orjson.dumps(told), media_type="application/json")

    @router.put("/review", status_code=202, summary="Say which plans are held for review")
    async def define_review(request: Request, claims: planners, body: ReviewRequest) -> Response:
        return await edge.submit(request, claims, DefineReview(**body.model_dump()))

    @router.post(
        "/orders/{order_id}/routing/approve", status_code=202, summary="Let a plan pass that is held"
    )
    async def approve(
        request: Request, claims: planners, order_id: OrderId, body: ApproveRequest
    ) -> Response:
        command = ApproveRouting(
            order_id=order_id,
            round=body.round,
            nodes=None if body.nodes is None else tuple(body.nodes),
            reason=body.reason,
        )
        return await edge.submit(request, claims, command)

    return router
