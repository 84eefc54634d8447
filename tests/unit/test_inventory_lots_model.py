"""Any life of stock and orders, as in tests/unit/test_inventory_model.py, where one of the SKUs has lots.

The recount knows nothing of the code: it is told which lots arrived and which were stopped, and keeps the
units of each lot by node and bucket from the movements.
"""

from collections import Counter, defaultdict
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal

from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule

from libs.events.contract import Contract, Event
from libs.events.inventory import AdjustStock, ReceiveStock, StockAllocated, StockReserved
from libs.events.lots import LotDefined, LotExpired, LotQuarantined, LotReleased
from libs.events.measure import LotQuantity
from libs.events.stocktaking import CountRecorded, LotCount
from libs.events.supply import CloseTransfer, TransferClosed, TransferDispatched, TransferReceived
from services.inventory.giving import grants
from services.inventory.ledger import movements
from services.inventory.lots import OF_SKU
from services.inventory.order import OrderPart
from services.inventory.stock import AnyMovement, SkuPart
from services.inventory.supplies import SupplyPart
from tests.plays import plays
from tests.unit.inventory_lots import cleared, milk, recalled
from tests.unit.inventory_supply import count, land, send
from tests.unit.inventory_trade import accepted, dispatched, receive, routed
from tests.unit.inventory_world import fold, known
from tests.unit.test_inventory_model import NODES, RARELY, InventoryLife, planned

LASTS = st.integers(0, 6)
UNCOUNTED = {"supplier", "adjustment", "transfer", "inbound"}


class LotLife(InventoryLife):
    """A has lots, B has none. Baskets and terms know nothing of lots, and are left to the other machine."""

    hold = order_a_basket = give_a_basket_up = define_terms = order_of_a_channel = None  # type: ignore[assignment]
    order_one_sku_on_five_lines = lose_all = None  # type: ignore[assignment]

    def __init__(self) -> None:
        super().__init__()
        self.units: Counter[tuple[str, str, str]] = Counter()
        """By lot, node and bucket."""
        self.lasts: dict[str, date] = {}
        self.stopped_lots: set[str] = set()
        self.next_lasts = 3
        self.sent: dict[str, dict[str, int]] = {}
        self.on_the_way: defaultdict[str, Counter[str]] = defaultdict(Counter)
        """By transfer, then by lot."""

    @initialize(b=st.integers(0, 25))
    def open(self, b: int) -> None:
        self.take(milk(sku="A"))
        if b:
            self.take(receive("B", b, "N2"))

    def take(self, body: Contract) -> list[Event]:
        """As it comes, but that a delivery or a correction of A names a lot."""
        if isinstance(body, ReceiveStock) and body.sku == "A":
            body = self._of_a_lot(body)
        elif isinstance(body, AdjustStock) and body.sku == "A":
            there = [
                lot for lot in sorted(self.lasts) if self.units[lot, body.node, "on_hand"] >= -body.delta
            ]
            body = body.model_copy(update={"lot": there[0] if there else "none"})
        return super().take(body)

    def _of_a_lot(self, body: ReceiveStock) -> ReceiveStock:
        """Of a new lot, or of one that is known and good."""
        lasts = self.world.now.date() + timedelta(days=self.next_lasts)
        again = [lot for lot, day in self.lasts.items() if day == lasts and lot not in self.stopped_lots]
        lot = again[0] if again else f"L{len(self.lasts) + 1}"
        return body.model_copy(update={"lot": lot, "expires_on": lasts})

    def _asked(self, events: list[Event]) -> list[Event]:
        for event in events:
            match event:
                case LotDefined():
                    self.lasts[event.lot] = event.expires_on
                case LotExpired() | LotQuarantined():
                    self.stopped_lots.add(event.lot)
                case LotReleased():
                    self.stopped_lots.discard(event.lot)
            self._on_the_way(event)
            for move in movements(event):
                no_lot = move.sku == "B" or move.node == "*" or self._too_many(event, move)
                assert (move.lot is None) is no_lot, move
                if move.sku == "A" and move.node != "*":
                    self.units[move.lot or "", move.node, move.source] -= move.quantity
                    self.units[move.lot or "", move.node, move.target] += move.quantity
            if isinstance(event, StockAllocated):
                self._first_expired_first(event)
        return super()._asked(events)

    def _too_many(self, event: Event, move: AnyMovement) -> bool:
        """Units beyond what was sent have no lot where nobody names it."""
        nameless = isinstance(event, TransferReceived) and move.lot is None
        return nameless and (move.source, move.target) == ("adjustment", "quarantine")

    def _first_expired_first(self, allocated: StockAllocated) -> None:
        for move in allocated.movements:
            if move.target != "allocated" or move.lot is None:
                continue
            assert self._good(move.lot), f"{move.lot} is allocated, and may not be sold"
            for lot, day in self.lasts.items():
                if (day, lot) < (self.lasts[move.lot], move.lot) and self._good(lot):
                    assert not self.units[lot, move.node, "on_hand"], f"{lot} expires before {move.lot}"

    def _good(self, lot: str) -> bool:
        ends = datetime.combine(self.lasts[lot], time(), UTC) + timedelta(days=1)
        return lot not in self.stopped_lots and self.world.now < ends

    # What happens to lots beside what happens to stock.

    @rule(days=LASTS, units=st.integers(1, 6), node=NODES)
    def deliver_what_lasts(self, days: int, units: int, node: str) -> None:
        """So many days, as what comes after it."""
        self.next_lasts = days
        self.take(receive("A", units, node))

    @rule(units=st.integers(1, 6), ships=st.booleans())
    def sell(self, units: int, ships: bool) -> None:
        """An order that is planned at once where its units are, if it is promised them."""
        order_id = f"o{next(self.numbers)}"
        self.orders.append(order_id)
        for promised in self.take(accepted(order_id, ("A", units))):
            if isinstance(promised, StockReserved):
                for event in self.take(routed(order_id, promised.round, **planned(promised))):
                    if isinstance(event, StockAllocated):
                        self._ship(event, now=ships)

    def _ship(self, event: StockAllocated, *, now: bool) -> None:
        for at in event.nodes:
            number = next(self.numbers)
            if now:
                assert self.take(dispatched(event.order_id, number, at.node, *at.lines))
                self.shipments.append((event.order_id, at.lines))
            else:
                self.work.append((event.order_id, number, at.node, at.lines))

    @rule(hours=st.integers(1, 30))
    def let_time_pass(self, hours: int) -> None:
        """Reminders may come later than they are due."""
        self.world.now += timedelta(hours=hours)

    @rule(data=st.data())
    def recall(self, data: st.DataObject) -> None:
        if self.lasts:
            self.take(recalled(data.draw(st.sampled_from(sorted(self.lasts))), sku="A"))

    @rule(data=st.data())
    def clear(self, data: st.DataObject) -> None:
        if self.stopped_lots:
            self.take(cleared(data.draw(st.sampled_from(sorted(self.stopped_lots))), sku="A"))

    # Documents by lot. A naive list knows which lots each transfer has on its way.

    @rule(data=st.data(), source=NODES, named=st.booleans(), comes_first=RARELY)
    def send_lots(self, data: st.DataObject, source: str, named: bool, comes_first: bool) -> None:
        there = {
            lot: units for lot in sorted(self.lasts) if (units := self.units[lot, source, "on_hand"]) > 0
        }
        picked = data.draw(st.lists(st.sampled_from(sorted(there) or ["none"]), min_size=1, unique=True))
        lots = tuple(
            LotQuantity(lot=lot, quantity=data.draw(st.integers(1, there.get(lot, 1)))) for lot in picked
        )
        id_, target = f"t{next(self.numbers)}", "N2" if source == "N1" else "N1"
        if comes_first:
            self.take(land("A", id_, "early", 1))
        quantity = sum(one.quantity for one in lots)
        late = self.world.now + timedelta(days=1)
        sent = send("A", id_, quantity, source, target, late)
        self.take(sent.model_copy(update={"lots": lots if named else None}))
        if named and id_ in self.sent:
            assert self.sent[id_] == {one.lot: one.quantity for one in lots}

    @rule(data=st.data(), days=st.lists(st.integers(1, 6), min_size=2, max_size=3, unique=True))
    def send_and_land(self, data: st.DataObject, days: list[int]) -> None:
        """Lots that arrive at once, each sent on under a transfer of its own, and landed in any order."""
        for lasts in days:
            self.deliver_what_lasts(lasts, 3, "N1")
            self.send_lots(data, "N1", named=True, comes_first=False)
        for _ in days:
            self.land_lots(data, damaged=0, final=False, named=data.draw(st.booleans()))
        self.count_lots(data, data.draw(NODES))

    @rule(data=st.data(), damaged=st.integers(0, 2), final=RARELY, named=st.booleans())
    def land_lots(self, data: st.DataObject, damaged: int, final: bool, named: bool) -> None:
        """Of a transfer's lots, or of others."""
        if not self.sent:
            return
        id_ = data.draw(st.sampled_from(sorted(self.sent)))
        picked = data.draw(st.lists(st.sampled_from(sorted(self.lasts)), max_size=2, unique=True))
        lots = tuple(LotQuantity(lot=lot, quantity=data.draw(st.integers(1, 4))) for lot in picked)
        good = sum(one.quantity for one in lots) if named else data.draw(st.integers(0, 4))
        receipt = land("A", id_, f"r{next(self.numbers)}", good, damaged, final)
        before = Counter(self.on_the_way[id_])
        for event in self.take(receipt.model_copy(update={"lots": (lots or None) if named else None})):
            if isinstance(event, TransferReceived) and named and lots:
                for one in lots:
                    came = min(one.quantity, before[one.lot])
                    assert before[one.lot] - self.on_the_way[id_][one.lot] >= came, "what came is not booked"

    @rule(data=st.data(), outcome=st.sampled_from(("lost", "returned")))
    def close_lots(self, data: st.DataObject, outcome: Literal["lost", "returned"]) -> None:
        if self.sent:
            id_ = data.draw(st.sampled_from(sorted(self.sent)))
            self.take(CloseTransfer(sku="A", transfer_id=id_, outcome=outcome))
            assert not +self.on_the_way[id_], "of what is closed nothing is to come"

    @rule(data=st.data(), node=NODES)
    def count_lots(self, data: st.DataObject, node: str) -> None:
        """All of a shelf, each lot with what was found of it: more, less, or as many."""
        shelf = {
            lot: sum(self.units[lot, node, bucket] for bucket in ("on_hand", "allocated", "suspect"))
            for lot in sorted(self.lasts)
        }
        found = {lot: max(0, units + data.draw(st.integers(-2, 1))) for lot, units in shelf.items()}
        if not found:
            return
        number, position = next(self.numbers), self.world.parts["sku/A"]
        assert isinstance(position, SkuPart)
        counts = tuple(LotCount(lot=lot, counted=found[lot], book=book) for lot, book in shelf.items())
        told = count("A", f"c{number}", sum(found.values()), sum(shelf.values()), position.position)
        told = told.model_copy(update={"lots": counts, "node": node, "counted_at": self.world.now})
        for event in self.take(told):
            if isinstance(event, CountRecorded):
                booked = Counter[str]()
                for move in event.movements:
                    booked[move.lot or ""] += move.quantity * (1 if move.target == "on_hand" else -1)
                short = sum(booked[lot] - (found[lot] - shelf[lot]) for lot in found)
                assert short == event.allocated_short
                assert all(booked[lot] == found[lot] - units or short for lot, units in shelf.items())

    def _on_the_way(self, event: Event) -> None:
        """What each transfer has on its way, from the movements under its name."""
        if isinstance(event, TransferDispatched):
            self.sent[event.transfer_id] = {one.lot: one.quantity for one in event.lots or ()}
        if isinstance(event, TransferDispatched | TransferReceived | TransferClosed):
            known = self.on_the_way[event.transfer_id]
            for move in event.movements:
                change = (move.target == "in_transit") - (move.source == "in_transit")
                known[move.lot or ""] += move.quantity * change
            assert min(known.values(), default=0) >= 0, (
                f"{event.transfer_id} brings lots that it does not have"
            )

    # What holds at any moment.

    @invariant()
    def transfers_know_their_lots(self) -> None:
        part = self.world.parts.get("supply/A")
        if isinstance(part, SupplyPart):
            for id_, known in part.transfers.items():
                assert known.lots == +self.on_the_way[id_], f"lots of {id_}"
                assert known.open == sum(known.lots.values()), f"open of {id_}"

    @invariant()
    def each_lot_is_conserved(self) -> None:
        for (lot, node, bucket), units in self.units.items():
            assert units >= 0 or bucket in UNCOUNTED, f"{bucket} of {lot} at {node} is {units}"
        sums = Counter[str]()
        for (lot, _, _), units in self.units.items():
            sums[lot] += units
        assert not any(sums.values()), "units of a lot came from nowhere"

    @invariant()
    def lots_add_up_to_what_there_is(self) -> None:
        by_place = Counter[tuple[str, str]]()
        for (_, node, bucket), units in self.units.items():
            by_place[node, bucket] += units
        for (sku, node, bucket), units in self.world.balance.items():
            if sku == "A" and node != "*":
                assert by_place[node, bucket] == units, f"lots of {bucket} at {node}"

    @invariant()
    def the_parts_have_the_lots_of_the_movements(self) -> None:
        part = self.world.parts.get("sku/A")
        if not isinstance(part, SkuPart) or part.lots is None:
            return
        found = {
            (lot, *reversed(place.split("/"))): units
            for place, lots in part.lots.units.items()
            for lot, units in lots.items()
        }
        assert found == {key: units for key, units in self.units.items() if units and key[2] in OF_SKU}
        for stream, order in self.world.parts.items():
            if isinstance(order, OrderPart):
                for bucket, by_node in (("allocated", order.allocated), ("issued", order.issued)):
                    for node, skus in by_node.items():
                        lots = (order.lots or {}).get(f"{bucket}/{node}/A", {})
                        assert sum(lots.values()) == skus.get("A", 0), f"{stream} has {lots}"

    @invariant()
    def no_unit_lies_idle_unnoticed_while_somebody_waits(self) -> None:
        for stream, part in self.world.parts.items():
            if isinstance(part, SkuPart) and part.wanted > part.reserved and grants(part):
                assert self.is_looked_after(stream) or (stream, "lots_back") in self.world.timers

    @invariant()
    def what_may_not_be_sold_is_looked_after(self) -> None:
        """A stopped lot on hand has a reminder that is due; a good one has one for when its time is up."""
        part = self.world.parts.get("sku/A")
        if not isinstance(part, SkuPart) or part.lots is None:
            return
        if any(self.units[lot, node, "on_hand"] for lot in self.stopped_lots for node in ("N1", "N2")):
            assert ("sku/A", "lots_back") in self.world.timers
        due = part.lots.next_check()
        if due is not None:
            assert self.world.timers["sku/A", "lots"].due_at <= due

    def the_log_rebuilds_it(self) -> None:
        """In the order of recording: a lane's events wait for the positions of those of other lanes."""
        assert fold(self.world.folded) == known(self.world.parts)


LotLife.TestCase.settings = plays(lives=100, steps=50)
TestLotLife = LotLife.TestCase
