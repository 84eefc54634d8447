"""Any life of a SKU with lots, as in test_inventory_lots_model.py, of which channels ask for days left.

The recount is told what the terms ask for, and knows each lot's last day: what a channel is given has so many
days left at that moment, whatever came late, and as many units as are promised to it are there.
"""

from collections import Counter
from datetime import timedelta

from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule

from libs.events.contract import Event
from libs.events.inventory import AllocationFailed, StockAllocated, StockReserved
from libs.events.lots import LotsLimited
from libs.events.promise import ChannelTerms, DefinePromiseTerms, HoldStock, PromiseHeld, Wanted
from services.inventory.stock import SkuPart
from tests.plays import plays
from tests.unit.inventory_lots import corrected, milk
from tests.unit.inventory_trade import accepted, due, of_basket, receive, routed
from tests.unit.test_inventory_channel_days import of_all
from tests.unit.test_inventory_lots_model import LotLife
from tests.unit.test_inventory_model import NODES, RARELY, planned

CHANNELS = ("wholesale", "export", "web")
ASKED = st.dictionaries(st.sampled_from(CHANNELS[:2]), st.integers(1, 5), min_size=1)


class ShelfLife(LotLife):
    """Orders and baskets of three channels, of which two may ask for days. What the other machines play at
    length is left to them, so that much of what is played here is about lots that grow old."""

    receive = adjust = order = sell = deliver_what_lasts = recall = clear = cancel = None  # type: ignore[assignment]
    ship_and_hear_of_the_return_first = take_back = give_up = send_and_land = None  # type: ignore[assignment]

    def __init__(self) -> None:
        super().__init__()
        self.asked: dict[str, int] = {}
        """Days by channel."""
        self.of_all: dict[str, int] = {}
        """Those that channels ask of all SKUs; what the SKU's terms say counts first."""
        self.limits: dict[str, str] = {}
        """The last day that a lot has to have, as it was told last."""
        self.channel_of: dict[str, str] = {}

    def _asked(self, events: list[Event]) -> list[Event]:
        for event in events:
            if isinstance(event, LotsLimited):
                self.limits = {one.channel: one.expires_from.isoformat() for one in event.limits}
        return super()._asked(events)

    def _first_expired_first(self, allocated: StockAllocated) -> None:
        days = self.asked.get(self.channel_of.get(allocated.order_id, ""), 0)
        lasts_until = self.world.now.date() + timedelta(days=days)
        for move in allocated.movements:
            if move.target != "allocated" or move.lot is None:
                continue
            assert self._good(move.lot), f"{move.lot} is allocated, and may not be sold"
            assert self.lasts[move.lot] >= lasts_until, f"{move.lot} is too old for {allocated.order_id}"
            for lot, day in self.lasts.items():
                first = lasts_until <= day and (day, lot) < (self.lasts[move.lot], move.lot)
                if first and self._good(lot):
                    assert not self.units[lot, move.node, "on_hand"], f"{lot} expires before {move.lot}"

    @initialize(asked=ASKED)
    def open(self, asked: dict[str, int]) -> None:
        self.take(milk(sku="A"))
        self.ask_for_days(asked)
        for node, days in (("N1", 3), ("N2", 6)):
            self.deliver(6, days, node)

    @rule(units=st.integers(1, 3), days=st.integers(1, 8), node=NODES)
    def deliver(self, units: int, days: int, node: str) -> None:
        """Units that last so many days."""
        self.next_lasts = days
        self.take(receive("A", units, node))

    @rule(units=st.integers(1, 4), node=NODES)
    def lose(self, units: int, node: str) -> None:
        """Of the lot that lasts longest."""
        there = [lot for lot in self.lasts if self.units[lot, node, "on_hand"] >= units]
        if there:
            lot = max(there, key=lambda name: self.lasts[name])
            self.take(corrected(lot, -units, node, "A"))

    @rule(asked=ASKED, rarely=RARELY)
    def ask_for_other_days(self, asked: dict[str, int], rarely: bool) -> None:
        if rarely:
            self.ask_for_days(asked)

    def ask_for_days(self, asked: dict[str, int]) -> None:
        ways = tuple(ChannelTerms(channel=name, shelf_days_min=days) for name, days in asked.items())
        self.asked = self.of_all | asked
        self.own = asked
        self.take(DefinePromiseTerms(sku="A", channels=ways))

    @rule(asked=ASKED, rarely=RARELY)
    def ask_of_all(self, asked: dict[str, int], rarely: bool) -> None:
        if rarely:
            self.of_all, self.asked = asked, asked | self.own
            self.take(of_all(**asked))
            self.take(due("sku/A", "lots_back"))

    @rule(units=st.integers(1, 6), channel=st.sampled_from(CHANNELS), at_once=st.booleans())
    def sell_to_a_channel(self, units: int, channel: str, at_once: bool) -> None:
        """Planned where routing is told that its units are, it gets them; or a reminder is due."""
        order_id = f"o{next(self.numbers)}"
        self.orders.append(order_id)
        if self.terms_known():
            self.channel_of[order_id] = channel
        for promised in self.take(accepted(order_id, ("A", units)).model_copy(update={"channel": channel})):
            if isinstance(promised, StockReserved) and at_once:
                for event in self.take(routed(order_id, promised.round, **planned(promised))):
                    if isinstance(event, StockAllocated):
                        self._ship(event, now=False)
                    elif isinstance(event, AllocationFailed):
                        timers = [self.world.timers.get(("sku/A", name)) for name in ("lots", "lots_back")]
                        assert any(one is not None and one.due_at <= self.world.now for one in timers)

    @rule()
    def a_day_passes(self) -> None:
        """With the reminders that it brings, but for those of orders."""
        self.world.now += timedelta(days=1)
        for key in [key for key, timer in self.world.timers.items() if timer.due_at <= self.world.now]:
            if key[0] == "sku/A" and key in self.world.timers:
                self._asked(self.world.due(self.world.timers[key]))

    @rule(units=st.integers(1, 4), channel=st.sampled_from(CHANNELS), buyer=st.sampled_from(CHANNELS))
    def hold_and_buy(self, units: int, channel: str, buyer: str) -> None:
        """A basket of a channel, and perhaps its order, which may be another's."""
        self.baskets.append(f"b{next(self.numbers)}")
        lines = (Wanted(sku="A", quantity=units),)
        held = self.take(HoldStock(promise_id=self.baskets[-1], lines=lines, channel=channel))
        if isinstance(held[0], PromiseHeld) and units > 1:
            order_id = f"o{next(self.numbers)}"
            self.orders.append(order_id)
            if self.terms_known():
                self.channel_of[order_id] = buyer
            order = accepted(order_id, ("A", units)).model_copy(update={"channel": buyer})
            self.take(of_basket(self.baskets[-1], order))

    def terms_known(self) -> bool:
        """Orders keep their channel where the SKU has terms."""
        part = self.world.parts.get("sku/A")
        return isinstance(part, SkuPart) and part.terms is not None

    @invariant()
    def what_is_promised_lasts_as_long_as_was_asked_for(self) -> None:
        """By the days that were looked at last."""
        part = self.world.parts.get("sku/A")
        if not isinstance(part, SkuPart):
            return
        there, promised = Counter[str](), Counter[str]()
        for day in set(self.limits.values()):
            for (lot, _, bucket), units in self.units.items():
                if bucket == "on_hand" and self.lasts[lot].isoformat() >= day:
                    there[day] += units
            for claim in part.claims.values():
                if self.limits.get(claim.channel or "", "") >= day:
                    promised[day] += claim.held
            assert promised[day] <= there[day], f"{promised[day]} units are to last until {day}"


ShelfLife.TestCase.settings = plays(lives=60, steps=40)
TestShelfLife = ShelfLife.TestCase
