"""Routing's HTTP edge: operations say where nodes are and whom they serve."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from libs.events.contract import Country, Name, NodeId
from libs.events.routing import DefineNode
from libs.runtime.edge import Edge
from libs.runtime.tokens import Claims


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


def routes(edge: Edge) -> APIRouter:
    """What routing answers under /v1/nodes."""
    router = APIRouter(prefix="/v1/nodes", tags=["nodes"])
    planners = Annotated[Claims, Depends(edge.require("integrator", "operator"))]

    @router.put("/{node}", status_code=202, summary="Define a node, or change it")
    async def define_node(request: Request, claims: planners, node: NodeId, body: NodeRequest) -> Response:
        command = DefineNode(
            node=node,
            name=body.name,
            country=body.country,
            latitude=body.latitude,
            longitude=body.longitude,
            ships_to=body.ships_to,
            active=body.active,
        )
        return await edge.submit(request, claims, command)

    return router
