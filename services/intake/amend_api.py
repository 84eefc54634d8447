"""Amending an order over HTTP: a new address, sealed here as that of a new order is, or another service."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, ConfigDict, model_validator

from libs.events.amendments import AmendOrder
from libs.events.contract import Name, Note, OrderId
from libs.events.ids import subject_of
from libs.events.intake import OrderAccepted, OrderHeld, OrderRejected
from libs.runtime.edge import Edge
from libs.runtime.problems import Problem
from libs.runtime.tokens import Claims
from services.intake.capture import ShipTo, destination_of, personal_of


class AmendRequest(BaseModel):
    """What is to be other than it was, and why; the reason is kept for ever: never personal data. An address
    is given as a whole; without a mail address in it, messages go where they went before."""

    model_config = ConfigDict(extra="forbid")

    ship_to: ShipTo | None = None
    service: Name | None = None
    reason: Note = ""

    @model_validator(mode="after")
    def _something(self) -> "AmendRequest":
        if self.ship_to is None and self.service is None:
            raise ValueError("nothing is to be amended; give ship_to, service, or both")
        return self


def routes(edge: Edge) -> APIRouter:
    """POST /v1/orders/{order_id}/amend."""
    router = APIRouter(prefix="/v1/orders", tags=["orders"])
    changers = Annotated[Claims, Depends(edge.require("integrator", "operator", "support"))]

    @router.post(
        "/{order_id}/amend", status_code=202, summary="Change where an order goes, or by which service"
    )
    async def amend(request: Request, claims: changers, order_id: OrderId, body: AmendRequest) -> Response:
        terms: dict[str, object] = {"order_id": order_id, "service": body.service, "reason": body.reason}
        if (to := body.ship_to) is not None:
            subject = subject_of(order_id, await customer_of(edge, claims.tenant, order_id, None))
            contact = await edge.seal(claims.tenant, subject, order_id, personal_of(to))
            terms |= {
                "destination": destination_of(to),
                "contact": contact,
                "mail": True if to.email else None,
            }
        return await edge.submit(request, claims, AmendOrder.model_validate(terms))

    return router


async def customer_of(edge: Edge, tenant: str, order_id: str, said: str | None) -> str | None:
    """Whose order it is, None for a guest's or a rejected one. Raises Problem 404, or 422 where somebody else
    is said to be."""
    order = await edge.first(tenant, order_id, (OrderAccepted, OrderHeld, OrderRejected))
    if order is None:
        raise Problem(
            404,
            "unknown_order",
            "No such order",
            f"Order {order_id} has not been captured for this tenant, or not yet.",
            "Check the order id; of an order just submitted, ask again in a second.",
        )
    customer_id: str | None = getattr(order, "customer_id", None)
    if said not in (None, customer_id):
        raise Problem(
            422,
            "wrong_customer",
            "The order is another customer's",
            f"Order {order_id} is not of the customer that customer_id names.",
            "Leave customer_id out: the order's own is taken.",
        )
    return customer_id
