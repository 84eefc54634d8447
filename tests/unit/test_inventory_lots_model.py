"""Any life of stock and orders, as in tests/unit/test_inventory_model.py, where one of the SKUs has lots.

The recount knows nothing of the code: it is told which lots arrived and which were stopped, and keeps the
units of each lot by node and bucket from the movements.
"""

from collections import Counter
from datetime import UTC, date, datetime, time, timedelta

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule

from libs.events.contract import Contract, Event
from libs.events.inventory import AdjustStock, ReceiveStock, StockAllocated, StockReserved
from libs.events.lots import LotDefined, LotExpired, LotQuarantined, LotReleased
from services.inventory.giving import grants
from services.inventory.ledger import movements
from services.inventory.lots import OF_SKU
from services.inventory.order import OrderPart
from services.inventory.stock import SkuPart
from tests.unit.inventory_lots import cleared, milk, recalled
from tests.unit.inventory_trade import accepted, dispatched, receive, routed
from tests.unit.inventory_world import fold, known
from tests.unit.test_inventory_model import NODES, InventoryLife, planned

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
            for move in movements(event):
                assert (move.lot is None) is (move.sku == "B" or move.node == "*"), move
                if move.lot is not None:
                    self.units[move.lot, move.node, move.source] -= move.quantity
                    self.units[move.lot, move.node, move.target] += move.quantity
            if isinstance(event, StockAllocated):
                self._first_expired_first(event)
        return super()._asked(events)

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

    # What holds at any moment.

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


LotLife.TestCase.settings = settings(
    max_examples=100,
    stateful_step_count=50,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
TestLotLife = LotLife.TestCase
