"""Where each unit with a serial number is, and was; and units that left without one: somebody must look.

Pure, and the same whatever comes first: each movement that names a unit is a row by the SKU's position,
which orders them over all lanes, and of two places of a unit the later position counts. Units on a node's
shelf are on hand, allocated or suspect: which of them an order was given is known when one is taken.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import UUID

from libs.events.envelope import Envelope
from libs.events.inventory import (
    NETWORK,
    StockAdjusted,
    StockIssued,
    StockReceived,
    StockReturned,
    StockShorted,
)
from libs.events.measure import Unnamed
from libs.events.outside import OUTSIDE_EVENTS
from libs.events.serials import SerialsCorrected
from libs.events.set_aside import ReturnQuarantined
from services.console.origin import order_of
from services.console.stock_items import StockItemChange, StockItemKey
from services.console.storable import storable

SERIAL_EVENTS = frozenset(
    event.TYPE
    for event in (
        StockReceived,
        StockAdjusted,
        StockIssued,
        StockShorted,
        StockReturned,
        ReturnQuarantined,
        *(event for event in OUTSIDE_EVENTS if "movements" in event.model_fields),
    )
)
"""Types of the events whose movements may name serial numbers."""
UNNAMED = "unnamed"
SHELF = "shelf"
_ON_SHELF = frozenset({"on_hand", "allocated", "suspect"})
_DOCUMENTS = (
    "shipment_id",
    "rma_id",
    "supply_id",
    "transfer_id",
    "count_id",
    "fulfillment_order_id",
    "reference",
)
_TOLD_MAX = 5
"""Numbers that a sentence names."""


class SerialKey(NamedTuple):
    """A unit of a tenant's SKU."""

    tenant: str
    sku: str
    serial: str


class SerialUnit(NamedTuple):
    """Where a unit is: `place` is `shelf` or a bucket; an issued one's order, else ''."""

    position: int
    place: str
    node: str
    order_id: str
    since_at: datetime


class SerialMove(NamedTuple):
    """One movement that named a unit. `order_id` and `document` are '' where there is none."""

    tenant: str
    sku: str
    serial: str
    position: int
    moved_at: datetime
    node: str
    source: str
    target: str
    type: str
    order_id: str
    document: str
    actor: str
    event_id: UUID


SERIAL_UNITS_JOINED = ", ".join(
    f"{name} = CASE WHEN excluded.position > known.position THEN excluded.{name} ELSE known.{name} END"
    for name in SerialUnit._fields
)
"""What `later` does, to a row that is there."""


def later(one: SerialUnit | None, other: SerialUnit) -> SerialUnit:
    """Of two places of a unit, the one where it came to be later."""
    return other if one is None or other.position > one.position else one


def serial_moves(envelope: Envelope[Any]) -> Iterator[tuple[SerialMove, SerialUnit]]:
    """Movements of one of `SERIAL_EVENTS` that name units, each with where its unit is after that."""
    event = envelope.body
    for move in event.movements:
        for serial in move.serials or ():
            at = _true_at(event, envelope.at)
            order_id = order_of(envelope) or ""
            row = SerialMove(
                envelope.tenant,
                move.sku,
                serial,
                move.position,
                at,
                move.node,
                move.source,
                move.target,
                event.TYPE,
                order_id,
                storable(
                    next((str(told) for name in _DOCUMENTS if (told := getattr(event, name, None))), "")
                ),
                storable(envelope.actor),
                envelope.id,
            )
            issued = move.target == "issued"
            place = SHELF if move.target in _ON_SHELF else move.target
            yield row, SerialUnit(move.position, place, move.node, order_id if issued else "", at)


def unnamed_changes(envelope: Envelope[Any]) -> Iterator[tuple[StockItemKey, StockItemChange]]:
    """What an event means for the items of units whose serial number is not known.

    Of a node: units that left its shelf without one, less those that were corrected, or came back so. A pick
    that found nothing counts as well, but only what left says that the SKU has serial numbers, and opens the
    item. Of a return: units that were set aside without one.
    """
    event, tenant, at = envelope.body, envelope.tenant, envelope.at
    match event:
        case StockIssued() | StockReturned() | ReturnQuarantined():
            if event.unnamed is None:
                return
            named: dict[str, Unnamed] | None = {one.sku: one for one in event.unnamed}
        case StockShorted() | SerialsCorrected():
            named = None
        case _:
            return
    for move in event.movements:
        if move.serials is not None or move.node == NETWORK or (named is not None and move.sku not in named):
            continue
        left = (move.source in _ON_SHELF) - (move.target in _ON_SHELF)
        if left:
            key = StockItemKey(tenant, move.sku, f"{UNNAMED}/{move.node}")
            opened = at if isinstance(event, StockIssued) else None
            why = _why(event.shipment_id, named, move.sku) if isinstance(event, StockIssued) else ""
            yield key, StockItemChange(UNNAMED, left * move.quantity, opened, None, move.node, why)
        elif isinstance(event, ReturnQuarantined) and move.target == "quarantine":
            key = StockItemKey(tenant, move.sku, f"{UNNAMED}/{event.rma_id}")
            why = _why(event.rma_id, named, move.sku)
            yield key, StockItemChange(UNNAMED, move.quantity, at, None, move.node, why)


def _why(document: str, named: dict[str, Unnamed] | None, sku: str) -> str:
    one = (named or {})[sku]
    units = "1 unit" if one.quantity == 1 else f"{one.quantity} units"
    told = ", ".join(one.serials[:_TOLD_MAX]) + (", …" if len(one.serials) > _TOLD_MAX else "")
    told = f" Told were {told}." if told else ""
    return storable(f"{units} with {document}, and nobody knows which.{told}")


def _true_at(event: Any, at: datetime) -> datetime:
    """When it was true, where it was told late."""
    effective: datetime | None = getattr(event, "effective_at", None)
    try:
        return at if effective is None else min(at, effective.astimezone(UTC))
    except OverflowError:
        return at
