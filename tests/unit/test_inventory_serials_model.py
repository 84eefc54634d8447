"""Any life of stock, orders and facts from outside, as test_inventory_supply_model.py has them, where one SKU
has serial numbers, and some are misread.

The recount knows nothing of the code: it keeps where each unit is, from the movements that name it, and holds
the units of each place against them.
"""

from collections import Counter
from itertools import count
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule

from libs.events.conditions import MoveStock
from libs.events.contract import Contract, Event, OrderEvent
from libs.events.fulfillment import ShipmentDispatched
from libs.events.inventory import (
    AdjustStock,
    ReceiveStock,
    StockAllocated,
    StockIssued,
    StockReserved,
    StockReturned,
)
from libs.events.order import LineSerials
from libs.events.returns import Disposition, ReturnReceived
from libs.events.serials import CorrectSerials
from libs.events.stocktaking import RecordCount
from libs.events.supply import CloseTransfer, DispatchTransfer, ReceiveSupply, ReceiveTransfer
from services.inventory.ledger import movements
from services.inventory.serials import SerialPart
from services.inventory.stock import SkuPart
from services.inventory.supplies import SupplyPart
from tests.plays import plays
from tests.unit.inventory_serials import cameras
from tests.unit.inventory_supply import approve
from tests.unit.inventory_trade import accepted, dispatched, receive, returned, routed
from tests.unit.inventory_world import fold, known
from tests.unit.test_inventory_model import NODES, RARELY, planned
from tests.unit.test_inventory_supply_model import SupplyLife

OURS = ("shelf", "in_transit", "quarantine", "damaged")
Place = tuple[str, str, str]
"""Place, node, and of an issued unit its order."""


def shelf_or(bucket: str) -> str:
    return "shelf" if bucket in ("on_hand", "allocated", "suspect") else bucket


class SerialLife(SupplyLife):
    """A has serial numbers, B has none. Baskets and terms know nothing of them."""

    hold = order_a_basket = give_a_basket_up = define_terms = order_of_a_channel = None  # type: ignore[assignment]
    order_one_sku_on_five_lines = lose_all = expect = call_off = tell = give_up = None  # type: ignore[assignment]

    def __init__(self) -> None:
        super().__init__()
        self.where: dict[str, Place] = {}
        self.unbelieved: set[tuple[str, str]] = set()
        """(Order, number) that was told of a unit that left, and was not there."""
        self.fresh = count(1)
        self.misreads = False
        self.at = 0
        """Which number is read instead."""

    @initialize(a=st.integers(0, 25), b=st.integers(0, 25))
    def open(self, a: int, b: int) -> None:
        self.take(cameras("A"))
        for sku, node, quantity in (("A", "N1", a), ("B", "N2", b)):
            if quantity:
                self.take(receive(sku, quantity, node))

    # What is told, with numbers.

    def take(self, body: Contract) -> list[Event]:
        return super().take(self._told(body))

    def _told(self, body: Any) -> Contract:
        match body:
            case ReceiveStock() | AdjustStock() | MoveStock() | RecordCount() if body.sku == "A":
                return body.model_copy(update={"serials": self._read(self._of(body))})
            case DispatchTransfer() if body.sku == "A":
                there = self._there("shelf", body.source_node, body.quantity)
                return body.model_copy(update={"serials": self._read(there)})
            case CloseTransfer() if body.sku == "A":
                there = [s for s, place in sorted(self.where.items()) if place[0] == "in_transit"]
                open_ = self._in_transit("A", body.transfer_id)
                return body.model_copy(update={"serials": self._read(there[:open_])})
            case ReceiveSupply() if body.sku == "A":
                fine, poor = self._new(body.quantity), self._new(body.damaged)
                return body.model_copy(update={"serials": self._read(fine), "damaged_serials": poor})
            case ReceiveTransfer() if body.sku == "A":
                there = [s for s, place in sorted(self.where.items()) if place[0] == "in_transit"]
                good, broken = there[: body.quantity], there[body.quantity :][: body.damaged]
                return body.model_copy(update={"serials": self._read(good), "damaged_serials": tuple(broken)})
            case ShipmentDispatched():
                asked = sum(line.quantity for line in body.lines if line.sku == "A")
                told = self._read(self._there("shelf", body.node, asked))
                return body.model_copy(update={"serials": (LineSerials(line=1, sku="A", serials=told),)})
            case ReturnReceived():
                return self._of_return(body)
        return body  # type: ignore[no-any-return]

    def _of(self, body: Any) -> list[str]:
        """Units that a fact about a shelf is about."""
        if isinstance(body, ReceiveStock):
            return list(self._new(body.quantity))
        if isinstance(body, MoveStock):
            return self._there(shelf_or(body.source), body.node, body.quantity)
        more = body.delta if isinstance(body, AdjustStock) else body.counted - body.book
        if more > 0:
            return list(self._new(more))
        if isinstance(body, RecordCount):
            buckets = (self.world.balance["A", body.node, name] for name in ("on_hand", "suspect"))
            more = -min(-more, sum(buckets))
        return self._there("shelf", body.node, -more)

    def _of_return(self, body: ReturnReceived) -> ReturnReceived:
        """What the order was sent, or is about to be."""
        theirs = [
            s for s, place in sorted(self.where.items()) if place[0] == "issued" and place[2] == body.order_id
        ]
        told = list(self._read(theirs or self._there("shelf", body.node, 9)))
        found = []
        for unit in body.units:
            if unit.sku == "A":
                serials, told = told[: unit.quantity], told[unit.quantity :]
                unit = unit.model_copy(update={"serials": tuple(serials) or None})
            found.append(unit)
        return body.model_copy(update={"units": tuple(found)})

    def _new(self, units: int) -> tuple[str, ...]:
        return tuple(f"S{next(self.fresh)}" for _ in range(units))

    def _there(self, place: str, node: str, units: int) -> list[str]:
        return [s for s, found in sorted(self.where.items()) if found[:2] == (place, node)][:units]

    def _read(self, serials: Any) -> tuple[str, ...]:
        """As somebody reads them who may misread the last one."""
        if self.misreads and serials:
            self.misreads = False
            known_ = sorted(self.where)
            other = known_[self.at % len(known_)] if known_ and self.at % 4 else f"S{next(self.fresh)}"
            return (*serials[:-1], other)
        return tuple(serials)

    @rule(at=st.integers(0, 19))
    def misread_the_next(self, at: int) -> None:
        self.misreads, self.at = True, at

    @rule(units=st.integers(1, 3), misreads=RARELY, at=st.integers(0, 19))
    def sell(self, units: int, misreads: bool, at: int) -> None:
        """An order that is planned and shipped at once, if it is promised its units."""
        order_id = f"o{next(self.numbers)}"
        self.orders.append(order_id)
        for promised in self.take(accepted(order_id, ("A", units))):
            if isinstance(promised, StockReserved):
                for event in self.take(routed(order_id, promised.round, **planned(promised))):
                    if isinstance(event, StockAllocated):
                        for work in event.nodes:
                            self.misreads, self.at = misreads, at
                            assert self.take(dispatched(order_id, next(self.numbers), work.node, *work.lines))
                            self.shipments.append((order_id, work.lines))

    @precondition(lambda self: self.shipments)
    @rule(data=st.data(), node=NODES, misreads=RARELY, at=st.integers(0, 19), scraps=RARELY)
    def bring_one_back(self, data: st.DataObject, node: str, misreads: bool, at: int, scraps: bool) -> None:
        order_id, shipped = self.shipments.pop(data.draw(st.integers(0, len(self.shipments) - 1)))
        self.misreads, self.at = misreads, at
        disposition: Disposition = "scrap" if scraps else "restock"
        came = returned(order_id, node, *shipped[:1], rma=next(self.numbers), disposition=disposition)
        self.take(came)

    @rule(data=st.data(), node=NODES, known_=st.booleans())
    def correct(self, data: st.DataObject, node: str, known_: bool) -> None:
        there = self._there("shelf", node, 99)
        if there:
            wrong = data.draw(st.sampled_from(there))
            right = self._read(self._new(1)) if known_ else ()
            on_hand = self.world.balance["A", node, "on_hand"]
            self.take(CorrectSerials(sku="A", node=node, wrong=(wrong,), right=right))
            assert self.world.balance["A", node, "on_hand"] == on_hand

    @rule(yes=st.booleans(), data=st.data())
    def settle(self, data: st.DataObject, yes: bool) -> None:
        """Units without numbers cannot be booked; whatever was booked since, a difference may be rejected."""
        for sku in ("A", "B"):
            part = self.world.parts.get(f"supply/{sku}")
            if isinstance(part, SupplyPart) and part.differences:
                id_ = data.draw(st.sampled_from(sorted(part.differences)))
                settled = self.taken(approve(sku, id_, yes=yes))
                assert settled or yes
                assert not settled or sku == "B" or not yes

    # What came of it.

    def _asked(self, events: list[Event]) -> list[Event]:
        for event in events:
            self._follow(event)
        return super()._asked(events)

    def _follow(self, event: Event) -> None:
        order_id = event.order_id if isinstance(event, OrderEvent) else ""
        untold = 0
        for move in movements(event):
            if move.sku == "B" or move.node == "*":
                assert move.serials is None
                continue
            source, target = shelf_or(move.source), shelf_or(move.target)
            if move.serials is None:
                assert move.source not in ("supplier", "inbound") or target not in OURS, move
                if "issued" in (source, target):
                    untold += move.quantity
                continue
            assert source != target, "a unit that stays on its shelf is named"
            assert len(set(move.serials)) == len(move.serials) == move.quantity
            for serial in move.serials:
                self._came_from(serial, source, move.node, order_id)
                self.where[serial] = (target, move.node, order_id if target == "issued" else "")
        if isinstance(event, StockIssued | StockReturned):
            assert sum(one.quantity for one in event.unnamed or ()) == untold
            if isinstance(event, StockIssued):
                for one in event.unnamed or ():
                    self.unbelieved |= {(order_id, serial) for serial in one.serials}

    def _came_from(self, serial: str, source: str, node: str, order_id: str) -> None:
        there = self.where.get(serial, ("", "", ""))
        if source in ("supplier", "inbound", "adjustment"):
            assert there[0] not in (*OURS, "issued"), f"{serial} comes in, and is at {there}"
        elif source == "transfer":
            assert there[0] == "transfer"
        elif source == "issued" and there[0] not in (*OURS, "issued"):
            assert (order_id, serial) in self.unbelieved, f"{serial} comes back and never left"
            self.unbelieved.discard((order_id, serial))
        else:
            assert there == (source, node, order_id if source == "issued" else "")

    # What holds at any moment.

    @invariant()
    def each_part_says_where_its_unit_is(self) -> None:
        found = {
            stream.removeprefix("serial/A/"): (part.place, part.node, part.order_id)
            for stream, part in known(self.world.parts).items()
            if isinstance(part, SerialPart)
        }
        assert found == self.where

    @invariant()
    def the_numbers_of_a_place_are_those_of_its_units(self) -> None:
        part = self.world.parts.get("sku/A")
        if not isinstance(part, SkuPart) or part.astray is None:
            return
        numbers = Counter(place[:2] for place in self.where.values())
        units: Counter[tuple[str, str]] = Counter()
        for (sku, node, bucket), quantity in self.world.balance.items():
            if sku == "A" and node != "*":
                units[shelf_or(bucket), node] += quantity
        for node in ("N1", "N2"):
            for place in OURS:
                astray = part.astray.get(f"{place}/{node}", 0)
                assert numbers[place, node] - units[place, node] == astray, f"{place} of {node}"

    def the_log_rebuilds_it(self) -> None:
        """In the order of recording: a lane's events wait for the positions of those of other lanes."""
        assert fold(self.world.folded) == known(self.world.parts)


SerialLife.TestCase.settings = plays(lives=40, steps=50)
TestSerialLife = SerialLife.TestCase
