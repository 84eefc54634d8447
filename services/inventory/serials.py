"""Where each unit with a serial number is: a part of its own, `serial/<SKU>/<number>`, by the last movement
that named it.

A decision has before it the parts of the numbers that its input names, and no others, so a SKU may have any
number of them. Units are on a node's shelf whether they are on hand, allocated or suspect: which of them an
order has been given is known when one is taken. Beside the numbers, the SKU's part counts what left a shelf
without one (`astray`): a unit that was not found at the pick, say.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import cast

from libs.events.conditions import MoveStock, StockMoved
from libs.events.contract import Contract, Event, OrderEvent
from libs.events.fulfillment import PickShorted, ShipmentDispatched
from libs.events.inventory import (
    NETWORK,
    AdjustStock,
    ReceiveStock,
    StockAdjusted,
    StockIssued,
    StockReceived,
    StockReturned,
    StockShorted,
)
from libs.events.record import record
from libs.events.returns import ReturnReceived
from libs.events.serials import CorrectSerials, SerialsCorrected
from libs.events.set_aside import ReturnQuarantined
from libs.events.stocktaking import CountRecorded, RecordCount
from libs.events.supply import (
    CloseTransfer,
    DispatchTransfer,
    ReceiveSupply,
    ReceiveTransfer,
    SupplyReceived,
    TransferClosed,
    TransferDispatched,
    TransferReceived,
)
from services.inventory.lots import AnyMove

SERIAL_STREAM = "serial/"
SHELF = "shelf"
ON_SHELF = frozenset({"on_hand", "allocated", "suspect"})
KEPT = frozenset({"in_transit", "quarantine", "damaged"})
IN_HOUSE = KEPT | {SHELF}
"""Places in which a unit is ours: it cannot arrive there again."""


@record
class SerialPart:
    """State of a stream `serial/…`."""

    position: int = 0
    """The SKU's, of the movement that brought the unit where it is."""
    place: str = ""
    """`shelf`, or a bucket; nothing before it came."""
    node: str = ""
    order_id: str = ""
    """Whose it is, where it is issued."""

    @property
    def in_house(self) -> bool:
        return self.place in IN_HOUSE


NO_SERIAL = SerialPart()
Numbers = Mapping[str, SerialPart]
"""Those that a decision has before it, by `SKU/number`."""

_SPOKEN: frozenset[type[Contract]] = frozenset(
    {
        ReceiveStock,
        AdjustStock,
        ReceiveSupply,
        MoveStock,
        RecordCount,
        DispatchTransfer,
        ReceiveTransfer,
        CloseTransfer,
    }
)
"""Commands of a SKU that may name numbers."""
_MOVED: frozenset[type[Contract]] = frozenset(
    {
        StockReceived,
        StockAdjusted,
        SupplyReceived,
        StockMoved,
        CountRecorded,
        TransferDispatched,
        TransferReceived,
        TransferClosed,
        SerialsCorrected,
        StockIssued,
        StockReturned,
        ReturnQuarantined,
        StockShorted,
    }
)
"""Events whose movements may name numbers."""
NAMES: frozenset[type[Contract]] = (
    _SPOKEN | _MOVED | {CorrectSerials, ShipmentDispatched, PickShorted, ReturnReceived}
)
"""Inputs and events that may name serial numbers."""


def place_of(bucket: str) -> str:
    """A bucket as a place of units with numbers."""
    return SHELF if bucket in ON_SHELF else bucket


def key_of(sku: str, serial: str) -> str:
    return f"{sku}/{serial}"


def streams(body: Contract, early: Iterable[ReturnReceived]) -> tuple[str, ...]:
    """Streams of the serial numbers that one of `NAMES` names, or a return that waits for it (`early`)."""
    found = dict.fromkeys(_named(body))
    if type(body) is ShipmentDispatched:
        for waiting in early:
            found |= dict.fromkeys(_named(waiting))
    return tuple([SERIAL_STREAM + key for key in found])


def _named(body: Contract) -> Iterator[str]:
    """`SKU/number` of each that is named."""
    if type(body) in _SPOKEN:
        spoken = cast(ReceiveSupply, body)
        for serial in (*(spoken.serials or ()), *(getattr(body, "damaged_serials", None) or ())):
            yield key_of(spoken.sku, serial)
    elif isinstance(body, CorrectSerials):
        for serial in (*body.wrong, *body.right):
            yield key_of(body.sku, serial)
    elif isinstance(body, ShipmentDispatched | PickShorted):
        for line in (body.lines if isinstance(body, PickShorted) else body.serials) or ():
            for serial in line.serials or ():
                yield key_of(line.sku, serial)
    elif isinstance(body, ReturnReceived):
        for unit in body.units:
            for serial in unit.serials or ():
                yield key_of(unit.sku, serial)
    else:
        for move in cast(StockIssued, body).movements:
            for serial in move.serials or ():
                yield key_of(move.sku, serial)


def evolve_serials(numbers: Numbers, event: Event) -> dict[str, SerialPart]:
    """The numbers after an event; of two movements of a unit the later counts, whichever is folded first."""
    after = dict(numbers)
    if type(event) not in _MOVED:
        return after
    order_id = event.order_id if isinstance(event, OrderEvent) else ""
    for move in cast(StockIssued, event).movements:
        for serial in move.serials or ():
            key = key_of(move.sku, serial)
            if move.position > after.get(key, NO_SERIAL).position:
                owner = order_id if move.target == "issued" else ""
                after[key] = SerialPart(move.position, place_of(move.target), move.node, owner)
    return after


def astray_after(astray: dict[str, int], moves: Iterable[AnyMove]) -> dict[str, int]:
    """Units that left a place without their numbers, less those that came there so, after movements of their
    SKU, by place/node. Nothing at zero is kept."""
    after = astray
    for move in moves:
        source, target = place_of(move.source), place_of(move.target)
        if move.serials is not None or move.node == NETWORK or source == target:
            continue
        for place, delta in ((source, move.quantity), (target, -move.quantity)):
            if place in IN_HOUSE:
                key = f"{place}/{move.node}"
                left = after.get(key, 0) + delta
                after = {name: units for name, units in after.items() if name != key}
                if left:
                    after[key] = left
    return after


def unbelieved_after(
    unbelieved: tuple[str, ...] | None, event: StockIssued | StockReturned
) -> tuple[str, ...] | None:
    """Numbers of an order, as node/SKU/number, that were told of units that left, and were not on the shelf;
    without those with which units came back. None while there are none."""
    if isinstance(event, StockIssued):
        if event.unnamed is None:
            return unbelieved
        node = event.movements[0].node
        told = [f"{node}/{key_of(one.sku, serial)}" for one in event.unnamed for serial in one.serials]
        return (*(unbelieved or ()), *told) or None
    if unbelieved is None:
        return None
    back = {f"{move.node}/{key_of(move.sku, one)}" for move in event.movements for one in move.serials or ()}
    return tuple(key for key in unbelieved if key not in back) or None


class Sent:
    """The serial numbers of a shipment or a return, by SKU, as far as they can be believed."""

    def __init__(self, numbers: Numbers) -> None:
        self._numbers = numbers

    def on_shelf(self, sku: str, node: str, told: Iterable[str], most: int) -> tuple[str, ...]:
        """Those of `told` whose units can leave a node's shelf, `most` at most."""
        there = [
            serial
            for serial in dict.fromkeys(told)
            if (part := self._numbers.get(key_of(sku, serial), NO_SERIAL)).place == SHELF
            and part.node == node
        ]
        return tuple(there[:most])

    def issued(self, sku: str, node: str, order_id: str, told: Iterable[str]) -> tuple[str, ...]:
        """Those of `told` that the order was sent from a node."""
        return tuple(
            serial
            for serial in dict.fromkeys(told)
            if (part := self._numbers.get(key_of(sku, serial), NO_SERIAL)).place == "issued"
            and (part.node, part.order_id) == (node, order_id)
        )

    def new(
        self, sku: str, node: str, unbelieved: tuple[str, ...] | None, told: Iterable[str]
    ) -> tuple[str, ...]:
        """Those of `told` that were told when units left a node, and are nowhere else: the order was sent
        them, whatever was read when they came."""
        if unbelieved is None:
            return ()
        return tuple(
            serial
            for serial in dict.fromkeys(told)
            if not (part := self._numbers.get(key_of(sku, serial), NO_SERIAL)).in_house
            and part.place != "issued"
            and f"{node}/{key_of(sku, serial)}" in unbelieved
        )
