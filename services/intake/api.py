"""Intake's HTTP edge: channels submit orders, support cancels them, operations release holds.

Personal data is sealed here, before anything is published; no answer repeats it.
"""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from libs.events.catalogue import problems
from libs.events.changes import AddNote, CancelLines, HoldMessage, LineUnits, PlaceHold
from libs.events.contract import Command, Name, Note, OrderId
from libs.events.ids import subject_of
from libs.events.intake import CancelOrder, HoldName, ReleaseHold
from libs.runtime.edge import MANY_MAX, Edge
from libs.runtime.keyring import Unsealed
from libs.runtime.problems import Problem
from libs.runtime.routers import joined
from libs.runtime.tokens import Claims
from services.intake.amend_api import customer_of
from services.intake.amend_api import routes as amend_routes
from services.intake.capture import Captured, OrderRequest, capture, command
from services.intake.rules_api import routes as rule_routes

ERRORS_MAX = 50
NOTE_MAX = 2000
NoteText = Annotated[str, StringConstraints(pattern=rf"^[^\x00]{{1,{NOTE_MAX}}}$")]
"""A note's text; it is sealed, as it may name a person."""


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


class CancelLinesRequest(BaseModel):
    """Units to cancel of each line, and why; the reason is kept for ever: never personal data."""

    model_config = ConfigDict(extra="forbid")

    lines: Annotated[list[LineUnits], Field(min_length=1, max_length=1000)]
    reason: Note = ""


class HoldRequest(BaseModel):
    """A hold's name, as `ReleaseHold` gives it, and why; never personal data, as it is kept for ever."""

    model_config = ConfigDict(extra="forbid")

    hold: HoldName
    message: HoldMessage


class NoteRequest(BaseModel):
    """What to write on the order. It is sealed under the key of the order's customer, and unreadable once
    they are erased. `customer_id` need not be given: it is the order's, or the note is refused."""

    model_config = ConfigDict(extra="forbid")

    text: NoteText
    customer_id: Name | None = None


def routes(edge: Edge) -> APIRouter:
    """What intake answers under /v1/orders and /v1/exception-rules."""
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

    _change_routes(router, edge)
    return joined(router, amend_routes(edge), rule_routes(edge))


def _change_routes(router: APIRouter, edge: Edge) -> None:
    """What support does to an order that is under way."""
    changers = Annotated[Claims, Depends(edge.require("integrator", "operator", "support"))]
    holders = Annotated[Claims, Depends(edge.require("integrator", "operator"))]

    @router.post("/{order_id}/cancel-lines", status_code=202, summary="Cancel units that no node has picked")
    async def cancel_lines(
        request: Request, claims: changers, order_id: OrderId, body: CancelLinesRequest
    ) -> Response:
        command = CancelLines(order_id=order_id, lines=tuple(body.lines), reason=body.reason)
        return await edge.submit(request, claims, command)

    @router.post("/{order_id}/holds", status_code=202, summary="Keep an order from the nodes")
    async def place_hold(request: Request, claims: holders, order_id: OrderId, body: HoldRequest) -> Response:
        command = PlaceHold(order_id=order_id, hold=body.hold, message=body.message)
        return await edge.submit(request, claims, command)

    @router.post("/{order_id}/notes", status_code=202, summary="Write something on an order")
    async def add_note(request: Request, claims: changers, order_id: OrderId, body: NoteRequest) -> Response:
        subject = subject_of(order_id, await customer_of(edge, claims.tenant, order_id, body.customer_id))
        note = await edge.seal(claims.tenant, subject, order_id, {"note": body.text})
        return await edge.submit(request, claims, AddNote(order_id=order_id, note=note))


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
