"""Read models as documents: an order in a list, an order whole, an event of its timeline."""

from dataclasses import asdict
from typing import Any

from services.console.amend_view import amendments, terms_now
from services.console.facts import LineCancellation, Units
from services.console.promises import order_promise
from services.console.queries import Row
from services.console.standing import (
    declined_at,
    in_review,
    line_standings,
    part_standings,
    returned_units,
    work_state,
)
from services.console.stored import read_state

MILESTONES = ("confirmed", "paid", "routed", "picking", "shipped", "picked_up", "delivered")


def order_row(row: Row) -> dict[str, Any]:
    """An order as a list shows it."""
    moments = {name: row[f"{name}_at"] for name in MILESTONES}
    rest = {name: value for name, value in row.items() if name.removesuffix("_at") not in moments}
    return {**rest, "milestones": moments}


def order_document(row: Row) -> dict[str, Any]:
    """An order with its facts, by what they are about."""
    state = read_state(row["facts"])
    intake, work, back = state.intake, state.fulfillment, returned_units(state)
    prices, now = {line.line: line for line in intake.lines}, terms_now(state)
    summary = {name: value for name, value in order_row(row).items() if name not in ("facts", "tenant")}
    return summary | {
        "payment": intake.payment,
        "data_subject": intake.subject,
        "destination": {"country": now.country, "postcode_area": now.postcode_area},
        "charges": intake.charges,
        "reasons": intake.reasons,
        "holds": [{**asdict(hold), "declined_at": declined_at(state, hold)} for hold in intake.holds],
        "cancellation": {
            "requested_at": intake.cancellation_requested_at,
            "reason": intake.cancellation_reason,
            "cancelled_at": work.cancelled_at,
            "declined_at": work.cancellation_declined_at,
            "declined_reason": work.cancellation_declined_reason,
        },
        "line_cancellations": [
            {"cancellation_id": name, "requested_at": at, **_answered(work.line_cancellations.get(name))}
            for name, at in intake.line_cancellations.items()
        ],
        "closed_at": intake.closed_at,
        "lines": [
            {
                "line": line.line,
                "sku": line.sku,
                "ordered": line.ordered,
                "unit_price_minor": prices[line.line].unit_price_minor if line.line in prices else None,
                "description": prices[line.line].description if line.line in prices else None,
                "units": line.units,
                "returned": back.get(line.line, 0),
            }
            for line in line_standings(state)
        ],
        "parts": [
            {
                "line": one.line,
                "of_line": state.inventory.parts[one.line].of_line,
                "sku": one.sku,
                "quantity": one.ordered,
                "units": one.units,
                "returned": back.get(one.line, 0),
            }
            for one in part_standings(state)
        ],
        "waits_for": state.inventory.waits_for,
        "amendments": amendments(state),
        "service": now.service,
        "promise": order_promise(state),
        "routing": state.routing.decisions,
        "in_review": held.round if (held := in_review(state)) else None,
        "fulfillment_orders": [
            {"fulfillment_order_id": name, "state": work_state(one), **_by_line(asdict(one))}
            for name, one in work.work.items()
        ],
        "shipments": [{"shipment_id": name, **_by_line(asdict(one))} for name, one in work.shipments.items()],
        "returns": [{"rma_id": name, **_by_line(asdict(one))} for name, one in state.returns.rmas.items()],
        "refunds": [
            {"refund_id": name, **_by_line(asdict(one))} for name, one in state.returns.refunds.items()
        ],
        "voids": [{"void_id": name, **asdict(one)} for name, one in state.returns.voids.items()],
        "messages": [
            {"message_id": name, **asdict(one)} for name, one in state.notifications.messages.items()
        ],
    }


def _answered(found: LineCancellation | None) -> dict[str, Any]:
    """What came of a cancellation of lines; nothing until fulfillment has decided it."""
    if found is None:
        return {"decided_at": None}
    return {
        "decided_at": found.at,
        "cancelled": _unit_rows(found.cancelled),
        "kept": _unit_rows(found.kept),
        "why_kept": found.why_kept,
    }


def _by_line(facts: dict[str, Any]) -> dict[str, Any]:
    """Units by line as rows: [{line, quantity}]."""
    return {
        name: _unit_rows(value) if name in ("lines", "picked", "short", "delivered", "lost") else value
        for name, value in facts.items()
    }


def _unit_rows(units: Units) -> list[dict[str, int]]:
    return [{"line": line, "quantity": quantity} for line, quantity in sorted(units.items())]


def timeline_entry(row: Row) -> dict[str, Any]:
    """One event of a timeline. `cause.type` is none for a command or a timer."""
    entry = {name: value for name, value in row.items() if name not in ("causation_id", "cause_type")}
    return entry | {"cause": {"id": row["causation_id"], "type": row["cause_type"]}}
