"""Stock and reservations, for whoever asks what there is and who has a claim on it: sums over the ledger.

Movements of one SKU arrive through several lanes (an order's reservation in the order's, a receipt in the
SKU's). Everything here is therefore a sum of signed units: whatever comes first, the total is the same.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple, TypeAlias, cast, get_args

from libs.events.amendments import StockDeallocated
from libs.events.backorders import BackorderRefused
from libs.events.bundles import BundlesUnpacked, KitAssembled, KitTakenApart
from libs.events.changes import LinesReleased
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
from libs.events.order import LineQuantity
from libs.events.outside import OUTSIDE_EVENTS
from libs.events.promise import (
    HoldMovement,
    HoldsBroken,
    HoldsFilled,
    PromiseConfirmed,
    PromiseExpired,
    PromiseHeld,
    PromiseReleased,
)
from libs.events.set_aside import ReturnMovement, ReturnQuarantined
from services.console.origin import order_of

OfOrder: TypeAlias = (
    StockReserved
    | StockBackordered
    | StockAllocated
    | StockReleased
    | LinesReleased
    | StockDeallocated
    | StockIssued
    | StockShorted
    | StockReturned
    | ReturnQuarantined
    | PromiseConfirmed
)
"""Every event of an order that moves stock."""
Moved: TypeAlias = (
    OfOrder
    | StockReceived
    | StockAdjusted
    | StockPegged
    | ReservationBroken
    | PromiseHeld
    | PromiseExpired
    | PromiseReleased
    | HoldsBroken
    | HoldsFilled
    | KitAssembled
    | KitTakenApart
)
"""Every event that moves stock, but for those of supply."""
_OF_ORDERS = frozenset(moved.TYPE for moved in get_args(OfOrder))
_SUPPLY = frozenset(event.TYPE for event in OUTSIDE_EVENTS if "movements" in event.model_fields)
MOVED = frozenset(moved.TYPE for moved in get_args(Moved)) | _SUPPLY
"""Types of all events that have movements."""
_NAMING = frozenset(
    (
        OrderAccepted.TYPE,
        BundlesUnpacked.TYPE,
        BackorderRefused.TYPE,
        StockPegged.TYPE,
        ReservationBroken.TYPE,
    )
)
"""Events that name the orders whose claims they change, or what an order wants."""


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
    shipment · `released` given back unused, or given up before there were any · `short` not found or broken
    at the pick · `returned` came back.
    """

    wanted: int = 0
    held: int = 0
    allocated: int = 0
    issued: int = 0
    released: int = 0
    short: int = 0
    returned: int = 0


def balance_changes(envelope: Envelope[Event]) -> Iterable[tuple[BalanceKey, int]]:
    """Signed units by bucket: each movement takes from one and gives to another."""
    return _balances(envelope) if envelope.body.TYPE in MOVED else ()


def reservation_changes(envelope: Envelope[Event]) -> Iterable[tuple[ReservationKey, ReservationUnits]]:
    """Changes of orders' claims. A SKU's event names its orders; an order's event means its own."""
    type_ = envelope.body.TYPE
    if type_ in _OF_ORDERS:
        return _claims_of_order(envelope)
    return _claims_named(envelope) if type_ in _NAMING else ()


def _balances(envelope: Envelope[Event]) -> Iterator[tuple[BalanceKey, int]]:
    event = envelope.body
    tenant = envelope.tenant
    for move in cast(Moved, event).movements:
        yield BalanceKey(tenant, move.sku, move.node, move.source), -move.quantity
        yield BalanceKey(tenant, move.sku, move.node, move.target), move.quantity


def _claims_named(envelope: Envelope[Event]) -> Iterator[tuple[ReservationKey, ReservationUnits]]:
    event, tenant = envelope.body, envelope.tenant
    match event:
        case OrderAccepted():
            for line in event.lines:
                key = ReservationKey(tenant, event.order_id, line.sku)
                yield key, ReservationUnits(wanted=line.quantity)
        case BundlesUnpacked():
            for bundle in event.bundles:
                key = ReservationKey(tenant, event.order_id, bundle.sku)
                yield key, ReservationUnits(wanted=-bundle.quantity)
                for part in bundle.parts:
                    key = ReservationKey(tenant, event.order_id, part.sku)
                    yield key, ReservationUnits(wanted=part.quantity)
        case BackorderRefused():
            yield from _given_up(tenant, event.order_id, event.lines)
        case StockPegged() | ReservationBroken():
            sign = 1 if isinstance(event, StockPegged) else -1
            for claim in event.claims:
                key = ReservationKey(tenant, claim.order_id, event.sku)
                yield key, ReservationUnits(held=sign * claim.quantity)


def _claims_of_order(envelope: Envelope[Event]) -> Iterator[tuple[ReservationKey, ReservationUnits]]:
    event = cast(OfOrder, envelope.body)
    order_id = order_of(envelope)
    assert order_id is not None, f"{event.TYPE} outside an order's stream: {envelope.stream}"
    released = event.TYPE in (StockReleased.TYPE, LinesReleased.TYPE)
    for move in event.movements:
        yield ReservationKey(envelope.tenant, order_id, move.sku), _units(move, released)
    if released:
        # Also what lacked of them, which moves nothing.
        yield from _given_up(envelope.tenant, order_id, cast(StockReleased | LinesReleased, event).lines)


def _given_up(
    tenant: str, order_id: str, lines: Iterable[LineQuantity]
) -> Iterator[tuple[ReservationKey, ReservationUnits]]:
    """Units that had no node, promised or waited for, and are not wanted any more."""
    for line in lines:
        yield ReservationKey(tenant, order_id, line.sku), ReservationUnits(released=line.quantity)


def _units(move: Movement | HoldMovement | ReturnMovement, released: bool) -> ReservationUnits:
    """What one movement of an order's event does to its claim; units without a node are released by lines."""
    quantity, source, target = move.quantity, move.source, move.target
    return ReservationUnits(
        0,
        quantity * ((target == "reserved") - (source == "reserved")),
        quantity * ((target == "allocated") - (source == "allocated")),
        quantity if target == "issued" else 0,
        quantity if released and source == "allocated" else 0,
        quantity if source == "allocated" and target in ("missing", "damaged") else 0,
        quantity if source == "issued" else 0,
    )
