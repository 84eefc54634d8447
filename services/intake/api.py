"""Intake's HTTP edge: channels submit orders, support cancels them, operations release holds.

Personal data is sealed here, before anything is published; no answer repeats it.
"""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from libs.events.catalogue import problems
from libs.events.contract import Command, Note, OrderId
from libs.events.intake import CancelOrder, HoldName, ReleaseHold
from libs.runtime.edge import MANY_MAX, Edge
from libs.runtime.keyring import Unsealed
from libs.runtime.problems import Problem
from libs.runtime.tokens import Claims
from services.intake.capture import Captured, OrderRequest, capture, command

ERRORS_MAX = 50


class BatchRequest(BaseModel):
    """Up to 500 orders, each as in POST /v1/orders and answered by itself."""

    model_config = ConfigDict(extra="forbid")

    orders: Annotated[list[Any], Field(min_length=1, max_length=MANY_MAX)]


class CancelRequest(BaseModel):
    """Why; never personal data, as it is kept for ever."""

    model_config = ConfigDict(extra="forbid")

    reason: Note = ""


class ReleaseRequest(BaseModel):
    """What settled it; never personal data, as it is kept for ever."""

    model_config = ConfigDict(extra="forbid")

    note: Note = ""


def routes(edge: Edge) -> APIRouter:
    """What intake answers under /v1/orders."""
    router = APIRouter(prefix="/v1/orders", tags=["orders"])
    channels = Annotated[Claims, Depends(edge.require("integrator", "operator"))]
    cancellers = Annotated[Claims, Depends(edge.require("integrator", "operator", "support"))]
    releasers = Annotated[Claims, Depends(edge.require("integrator", "operator"))]

    @router.post("", status_code=202, summary="Submit an order")
    async def submit_order(request: Request, claims: channels, order: OrderRequest) -> Response:
        found = capture(claims.tenant, order)
        contact = await edge.seal(claims.tenant, found.subject, found.order_id, found.personal)
        return await edge.submit(request, claims, command(found, contact))

    @router.post("/batch", status_code=207, summary="Submit up to 500 orders, each answered by itself")
    async def submit_orders(request: Request, claims: channels, batch: BatchRequest) -> Response:
        rows = [_read(claims.tenant, row) for row in batch.orders]
        good = [row for row in rows if isinstance(row, Captured)]
        contacts = iter(
            await edge.seal_many(
                claims.tenant, [Unsealed(row.subject, row.order_id, row.personal) for row in good]
            )
        )
        commands: list[Command | Problem] = [
            command(row, next(contacts)) if isinstance(row, Captured) else row for row in rows
        ]
        return await edge.submit_many(request, claims, commands)

    @router.post("/{order_id}/cancel", status_code=202, summary="Cancel what has not been dispatched")
    async def cancel_order(
        request: Request, claims: cancellers, order_id: OrderId, body: CancelRequest | None = None
    ) -> Response:
        reason = body.reason if body else ""
        return await edge.submit(request, claims, CancelOrder(order_id=order_id, reason=reason))

    @router.post("/{order_id}/holds/{hold}/release", status_code=202, summary="Release one hold")
    async def release_hold(
        request: Request,
        claims: releasers,
        order_id: OrderId,
        hold: HoldName,
        body: ReleaseRequest | None = None,
    ) -> Response:
        note = body.note if body else ""
        return await edge.submit(request, claims, ReleaseHold(order_id=order_id, hold=hold, note=note))

    return router


def _read(tenant: str, row: object) -> Captured | Problem:
    """One row of a batch taken apart, or what is wrong with it, without the values."""
    try:
        return capture(tenant, OrderRequest.model_validate(row))
    except ValidationError as error:
        found = [{"where": problem.where, "what": problem.what} for problem in problems(error)]
        return Problem(
            422,
            "invalid_order",
            "The order is not valid",
            f"{len(found)} field(s) are not as documented; the first is {found[0]['where']}.",
            "Correct the fields named in errors and send this order again; the others stand.",
            found[:ERRORS_MAX],
        )
