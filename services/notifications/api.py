"""Notifications' HTTP edge: what became of a message that somebody else delivered, or settled in person."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, ConfigDict, StringConstraints

from libs.events.contract import Name, OrderId
from libs.events.notifications import RecordMessageOutcome
from libs.runtime.edge import Edge
from libs.runtime.tokens import Claims


class OutcomeRequest(BaseModel):
    """What became of the message; no personal data in `detail`."""

    model_config = ConfigDict(extra="forbid")

    outcome: Literal["sent", "failed"]
    detail: Annotated[str, StringConstraints(pattern=r"^[^\x00]{0,500}$")] = ""


def routes(edge: Edge) -> APIRouter:
    """What notifications answers under /v1/orders/{order_id}/messages."""
    router = APIRouter(prefix="/v1/orders", tags=["messages"])
    reporters = Annotated[Claims, Depends(edge.require("integrator", "operator"))]

    @router.post(
        "/{order_id}/messages/{message_id}/outcome", status_code=202, summary="Report a message's outcome"
    )
    async def record_outcome(
        request: Request, claims: reporters, order_id: OrderId, message_id: Name, body: OutcomeRequest
    ) -> Response:
        command = RecordMessageOutcome(
            order_id=order_id, message_id=message_id, outcome=body.outcome, detail=body.detail
        )
        return await edge.submit(request, claims, command)

    return router
