"""Returns' HTTP edge: support authorises returns, warehouses report what came back."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from libs.events.contract import NodeId, OrderId
from libs.events.returns import AuthoriseReturn, InspectedUnits, ReceiveReturn, ReturnLine
from libs.runtime.edge import Edge
from libs.runtime.problems import Problem
from libs.runtime.tokens import Claims

RmaId = Annotated[str, Path(pattern=r"^[A-Za-z0-9-]{1,64}-R[0-9]{1,6}$")]


class ReturnRequest(BaseModel):
    """The units that the customer wants to send back, and why; no personal data in the reasons."""

    model_config = ConfigDict(extra="forbid")

    lines: Annotated[tuple[ReturnLine, ...], Field(min_length=1, max_length=1000)]


class ReceiptRequest(BaseModel):
    """What came back at a node, with the disposition of each unit. `order_id` may be left out."""

    model_config = ConfigDict(extra="forbid")

    order_id: OrderId | None = None
    node: NodeId
    units: Annotated[tuple[InspectedUnits, ...], Field(min_length=1, max_length=2000)]


def routes(edge: Edge) -> APIRouter:
    """What returns answers: /v1/orders/{order_id}/returns and /v1/returns/{rma_id}/receipts."""
    router = APIRouter(prefix="/v1", tags=["returns"])
    authorisers = Annotated[Claims, Depends(edge.require("integrator", "operator", "support"))]
    receivers = Annotated[Claims, Depends(edge.require("integrator", "operator"))]

    @router.post("/orders/{order_id}/returns", status_code=202, summary="Authorise a return")
    async def authorise_return(
        request: Request, claims: authorisers, order_id: OrderId, body: ReturnRequest
    ) -> Response:
        return await edge.submit(request, claims, AuthoriseReturn(order_id=order_id, lines=body.lines))

    @router.post("/returns/{rma_id}/receipts", status_code=202, summary="Report returned goods")
    async def receive_return(
        request: Request, claims: receivers, rma_id: RmaId, body: ReceiptRequest
    ) -> Response:
        order_id = rma_id.rpartition("-")[0]
        if body.order_id is not None and body.order_id != order_id:
            raise Problem(
                422,
                "wrong_order_id",
                "The body names another order",
                f"{rma_id} belongs to order {order_id}, the body says {body.order_id}.",
                "Leave order_id out, or correct it.",
            )
        command = ReceiveReturn(order_id=order_id, rma_id=rma_id, node=body.node, units=body.units)
        return await edge.submit(request, claims, command)

    return router
