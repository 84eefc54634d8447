"""Stock and reservations, for whoever asks what there is and who has a claim on it: sums over the ledger.

Movements of one SKU arrive through several lanes (an order's reservation in the order's, a receipt in the
SKU's). Everything here is therefore a sum of signed units: whatever comes first, the total is the same.
"""

from collections.abc import Iterator
from typing import NamedTuple, TypeAlias, cast, get_args

from libs.events.contract import Event
from libs.events.envelope import Envelope
from libs.events.intake import OrderAccepted
from libs.events.inventory import (
    Movement,
    ReservationBroken,
    StockAdjusted,
    StockAllocated,
    StockBackordered,
    StockIssued,
    StockPegged,
    StockReceived,
    StockReleased,
    StockReserved,
    StockReturned,
    StockShorted,
)
from services.console.origin import order_of

Moved: TypeAlias = (
    StockReceived
    | StockAdjusted
    | StockPegged
    | ReservationBroken
    | StockReserved
    | StockBackordered
    | StockAllocated
    | StockReleased
    | StockIssued
    | StockShorted
    | StockReturned
)
"""Every event that moves stock."""
_MOVED = frozenset(moved.TYPE for moved in get_args(Moved))


class BalanceKey(NamedTuple):
    """A bucket of a SKU at a node; the node `*` is the network."""

    tenant: str
    sku: str
    node: str
    bucket: str


class ReservationKey(NamedTuple):
    """An order's claim on a SKU, all its lines together."""

    tenant: str
    order_id: str
    sku: str


class ReservationUnits(NamedTuple):
    """Units of one claim. As changes: what to add to each; as a total: where the claim stands.

    `wanted` ordered · `held` promised, no place chosen · `allocated` claimed at nodes · `issued` left with a
    shipment · `released` given back unused · `short` not found or broken at the pick · `returned` came back.
    """

    wanted: int = 0
    held: int = 0
    allocated: int = 0
    issued: int = 0
    released: int = 0
    short: int = 0
    returned: int = 0


def balance_changes(envelope: Envelope[Event]) -> Iterator[tuple[BalanceKey, int]]:
    """Signed units by bucket: each movement takes from one and gives to another."""
    event = envelope.body
    if event.TYPE not in _MOVED:
        return
    tenant = envelope.tenant
    for move in cast(Moved, event).movements:
        yield BalanceKey(tenant, move.sku, move.node, move.source), -move.quantity
        yield BalanceKey(tenant, move.sku, move.node, move.target), move.quantity


def reservation_changes(envelope: Envelope[Event]) -> Iterator[tuple[ReservationKey, ReservationUnits]]:
    """Changes of orders' claims. A SKU's event names its orders; an order's event means its own."""
    event, tenant = envelope.body, envelope.tenant
    if event.TYPE not in _MOVED and event.TYPE != OrderAccepted.TYPE:
        return
    match event:
        case OrderAccepted():
            for line in event.lines:
                key = ReservationKey(tenant, event.order_id, line.sku)
                yield key, ReservationUnits(wanted=line.quantity)
        case StockPegged() | ReservationBroken():
            sign = 1 if isinstance(event, StockPegged) else -1
            for claim in event.claims:
                key = ReservationKey(tenant, claim.order_id, event.sku)
                yield key, ReservationUnits(held=sign * claim.quantity)
        case (
            StockReserved()
            | StockBackordered()
            | StockAllocated()
            | StockReleased()
            | StockIssued()
            | StockShorted()
            | StockReturned()
        ):
            order_id = order_of(envelope)
            assert order_id is not None, f"{event.TYPE} outside an order's stream: {envelope.stream}"
            released = isinstance(event, StockReleased)
            for move in event.movements:
                yield ReservationKey(tenant, order_id, move.sku), _units(move, released)
        case _:
            return


def _units(move: Movement, released: bool) -> ReservationUnits:
    """What one movement of an order's event does to its claim."""
    quantity = move.quantity

    def change(bucket: str) -> int:
        return quantity * ((move.target == bucket) - (move.source == bucket))

    return ReservationUnits(
        held=change("reserved"),
        allocated=change("allocated"),
        issued=quantity if move.target == "issued" else 0,
        released=quantity if released and move.source in ("reserved", "allocated") else 0,
        short=quantity if move.source == "allocated" and move.target in ("missing", "damaged") else 0,
        returned=quantity if move.source == "issued" else 0,
    )
