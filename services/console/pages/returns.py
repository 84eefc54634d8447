"""Receiving a return: which units came, in what condition, and what becomes of each; shown before it is done.

For people who may change stock, at their own nodes. The command goes to returns in the person's name.
"""

from typing import Annotated, cast
from uuid import UUID, uuid4

from fastapi import APIRouter, Depends, Form, Path, Query, Request, Response
from pydantic import TypeAdapter, ValidationError

from libs.events.contract import NodeId, OrderId
from libs.events.returns import Disposition, InspectedUnits, ReceiveReturn
from libs.runtime.problems import Problem
from services.console.facts import State
from services.console.pages.one_order import one_line, order_of, told, units_of
from services.console.pages.reasons import OF_ORDER, needed
from services.console.return_view import (
    CONDITIONS,
    DISPOSITIONS,
    Came,
    awaited,
    preview_receipt,
    shipped_from,
)
from services.console.web.sessions import Session
from services.console.web.site import Site

RmaId = Annotated[str, Path(pattern=r"^[A-Za-z0-9-]{1,64}-R[0-9]{1,6}$")]
_CAME_MAX = 2000
_NODE: TypeAdapter[str] = TypeAdapter(NodeId)


def routes(site: Site) -> APIRouter:
    """/orders/{id}/returns/{rma} and what its form leads to."""
    router = site.router()
    receiver = Annotated[Session, Depends(site.guard.require("adjust"))]

    @router.get("/orders/{order_id}/returns/{rma_id}")
    async def ask(request: Request, session: receiver, order_id: OrderId, rma_id: RmaId) -> Response:
        row, state = await _return(site, session, order_id, rma_id)
        return await site.page(
            request,
            session,
            "receive.html",
            row=row,
            order_id=order_id,
            rma_id=rma_id,
            awaited=awaited(state, rma_id),
            nodes=session.nodes or shipped_from(state),
            dispositions=DISPOSITIONS,
            conditions=CONDITIONS,
        )

    @router.get("/orders/{order_id}/returns/{rma_id}/receive")
    async def preview(
        request: Request,
        session: receiver,
        order_id: OrderId,
        rma_id: RmaId,
        node: Annotated[str, Query(max_length=64)] = "",
        note: Annotated[str, Query(max_length=500)] = "",
    ) -> Response:
        _, state = await _return(site, session, order_id, rma_id)
        came = _chosen(dict(request.query_params))
        node = _node(session, node) if node.strip() else ""
        return await site.page(
            request,
            session,
            "receive_confirm.html",
            order_id=order_id,
            rma_id=rma_id,
            node=node,
            preview=preview_receipt(state, rma_id, node, came),
            came=[_written(units) for units in came if units.quantity],
            attempt=uuid4(),
            note=one_line(note),
        )

    @router.post("/orders/{order_id}/returns/{rma_id}/receive")
    async def receive(
        request: Request,
        session: receiver,
        order_id: OrderId,
        rma_id: RmaId,
        node: Annotated[str, Form(max_length=64)],
        attempt: Annotated[UUID, Form()],
        came: Annotated[list[str], Form(max_length=_CAME_MAX)] = [],  # noqa: B006  (FastAPI copies it)
        note: Annotated[str, Form(max_length=500)] = "",
    ) -> Response:
        await _return(site, session, order_id, rma_id)
        units = [_inspected(text) for text in came]
        if not units:
            raise _no_units()
        command = ReceiveReturn(
            order_id=order_id, rma_id=rma_id, node=_node(session, node), units=tuple(units)
        )
        reason = needed(one_line(note), OF_ORDER)
        outcome = await site.actions.send(session, command, reason=reason[:200], id_=attempt)
        return await told(site, request, session, order_id, outcome)

    return router


async def _return(site: Site, session: Session, order_id: str, rma_id: str) -> tuple[object, State]:
    """The order's row and facts. Raises Problem 404 where it, or this return of it, is not there."""
    row, state = await order_of(site, session, order_id)
    if rma_id not in state.returns.rmas:
        raise Problem(
            404,
            "unknown_rma",
            "No such return",
            f"The order has no return {rma_id}, or the news of it has not come here yet.",
            "Go back to the order: it lists its returns.",
        )
    return row, state


def _node(session: Session, text: str) -> str:
    """A node at which this person may receive. Raises Problem 422 or 403."""
    try:
        node = _NODE.validate_python(text.strip())
    except ValidationError:
        raise Problem(
            422,
            "invalid_node",
            "This is no node",
            "A node's name has letters, digits, dots, dashes and underscores, 32 at most.",
            "Name the node at which the goods are.",
        ) from None
    if session.nodes is not None and node not in session.nodes:
        raise Problem(
            403,
            "not_your_node",
            "Not your node",
            f"You may receive goods at {', '.join(session.nodes)}, not at {node}.",
            "Choose one of your nodes, or ask somebody who works there.",
        )
    return node


def _chosen(fields: dict[str, str]) -> list[Came]:
    """Units by `DISPOSITION-LINE`, their condition by `condition-LINE`. Raises Problem 422."""
    found = []
    for name, value in fields.items():
        disposition, _, line = name.partition("-")
        if disposition in DISPOSITIONS:
            kind = cast(Disposition, disposition)
            found.append(Came(_number(line), kind, _number(value), _condition(fields, line)))
    return [one for line in {came.line: 0 for came in found} for one in _named(fields, found, line)]


def _named(fields: dict[str, str], found: list[Came], line: int) -> list[Came]:
    """A line's units with the serial numbers that are written for it, the first to what is restocked."""
    left = fields.get(f"serials-{line}", "").replace(",", " ").split()
    named = []
    for kind in DISPOSITIONS:
        for came in found:
            if (came.line, came.disposition) == (line, kind):
                named.append(came._replace(serials=tuple(left[: came.quantity])))
                left = left[came.quantity :]
    if left:
        raise _no_units()
    return named


def _written(units: Came) -> str:
    """`LINE:DISPOSITION:UNITS:CONDITION:SERIALS`, as the form carries it on."""
    return f"{units.line}:{units.disposition}:{units.quantity}:{units.condition}:{','.join(units.serials)}"


def _condition(fields: dict[str, str], line: str) -> str:
    said = fields.get(f"condition-{line}", "")
    return said if said in CONDITIONS else ""


def _inspected(text: str) -> InspectedUnits:
    """What `_written` wrote. Raises Problem 422."""
    line, disposition, units, condition, serials = (*text.split(":", 4), "", "", "", "", "")[:5]
    try:
        return InspectedUnits.model_validate(
            {
                "line": _number(line),
                "disposition": disposition,
                "quantity": _number(units),
                "condition": condition or None,
                "serials": tuple(serials.split(",")) if serials else None,
            }
        )
    except ValidationError:
        raise _no_units() from None


def _number(text: str) -> int:
    if (number := units_of(text)) is None:
        raise _no_units()
    return number


def _no_units() -> Problem:
    return Problem(
        422,
        "invalid_units",
        "These are no units of lines",
        "Each line takes whole numbers of units, one for what becomes of them; a serial number a unit.",
        "Go back to the return, and say of each line how many units came.",
    )
