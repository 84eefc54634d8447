"""Routing's HTTP edge: operations say where nodes are and whom they serve."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from libs.events.contract import Country, Name, NodeId
from libs.events.places import (
    MON_TO_FRI,
    Holidays,
    NodeOperations,
    ServiceHours,
    TransitBand,
    WorkingDays,
)
from libs.events.routing import DefineNode, DefineTransit
from libs.runtime.edge import Edge
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


def routes(edge: Edge) -> APIRouter:
    """What routing answers under /v1/nodes and /v1/transit."""
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

    return router
