"""Any life of stock, supply, orders and baskets that wait for what is to come: the laws of who gets what.

The life of `test_inventory_model`, with purchase orders that are stated, moved, received and cancelled, two
classes, caps, and baskets held against what is to come. What the decisions do is held against a naive reading
of the log: who lacks how much of each SKU, and where he stands, from the events alone.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta

from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule

from libs.events.backorders import Backorders
from libs.events.contract import Event
from libs.events.inventory import (
    ReservationBroken,
    StockBackordered,
    StockPegged,
    StockReleased,
    StockReserved,
)
from libs.events.order import LineQuantity
from libs.events.policy import DefineReservationPolicies, OrderPolicy, PolicyRule, PriorityClass
from libs.events.promise import (
    DefinePromiseTerms,
    HoldsBroken,
    HoldsFilled,
    PromiseConfirmed,
    PromiseDated,
    PromiseExpired,
    PromiseHeld,
    PromiseReleased,
    promise_stream,
)
from libs.events.refusal import CommandRefused
from libs.events.supply import CancelSupply
from services.inventory.dates import HORIZON
from services.inventory.holds import NEW_PROMISE, PromisePart
from services.inventory.queue import WAITER
from services.inventory.stock import EMPTY_SKU, SkuPart
from services.inventory.supplies import NO_SUPPLY, SupplyPart
from tests.plays import plays
from tests.spec import NOON
from tests.unit.inventory_supply import arrive, expect
from tests.unit.inventory_trade import FRANCE, accepted, hold, of_basket
from tests.unit.test_inventory_model import FEW, NODES, RARELY, SKUS, InventoryLife

KINDS = st.sampled_from(("a", "b"))
WANTED = st.lists(st.tuples(SKUS, st.integers(1, 4)), min_size=1, max_size=2)
DAYS = st.integers(-1, 6)
SOON = timedelta(seconds=6)
POLICIES = DefineReservationPolicies(
    classes=(PriorityClass(name="first", rank=10),),
    rules=(
        PolicyRule(order_type="a", baskets_wait=True, priority="first"),
        PolicyRule(order_type="b", baskets_wait=True),
    ),
)
Place = tuple[int, datetime]


class BasketWaitLife(InventoryLife):
    """`lacks` and `places` are of orders and of baskets' streams, as their events tell."""

    ship_and_hear_of_the_return_first = bring_back = order_one_sku_on_five_lines = None  # type: ignore[assignment]

    def __init__(self) -> None:
        super().__init__()
        self.documents: list[tuple[str, str, str]] = []
        """SKU, document, and node."""
        self.lacks: dict[tuple[str, str], int] = {}
        """By SKU and holder."""
        self.places: dict[tuple[str, str], Place] = {}
        self.caps: dict[str, int] = {}
        """Of SKUs whose terms say how many may wait, and nothing else."""
        self.dated: dict[str, datetime | None] = {}
        """When baskets were last told that they have all of their units."""
        self.wanted: dict[str, Mapping[str, int]] = {}
        """Of baskets that may wait, by stream."""

    @initialize(a=st.integers(0, 3), b=st.integers(0, 3), most=st.none() | st.integers(1, 4))
    def open(self, a: int, b: int, most: int | None) -> None:
        """Little is there, so that most have to wait."""
        super().open(a, b)
        self.take(POLICIES)
        if most is not None:
            self.cap("A", most)
        for sku in ("A", "B"):
            self.buy(sku, 6, "N1", 2)

    @rule()
    def settle(self) -> None:
        """All that is due now, and nothing that ends later."""
        while due := [one for one in self.world.timers.values() if one.due_at <= self.world.now + SOON]:
            self._asked(self.world.due(due[0]))

    # Supply

    @rule(sku=SKUS, quantity=st.integers(1, 6), node=NODES, days=DAYS)
    def buy(self, sku: str, quantity: int, node: str, days: int) -> None:
        self.documents.append((sku, f"D{next(self.numbers)}", node))
        self._state(self.documents[-1], quantity, days)

    @precondition(lambda self: self.documents)
    @rule(data=st.data(), quantity=st.integers(1, 6), days=DAYS)
    def state_anew(self, data: st.DataObject, quantity: int, days: int) -> None:
        self._state(data.draw(st.sampled_from(self.documents)), quantity, days)

    def _state(self, document: tuple[str, str, str], quantity: int, days: int) -> None:
        sku, id_, node = document
        stated = (self.world.now - NOON) / timedelta(minutes=1)
        due = self.world.now + timedelta(days=days)
        self.take(expect(sku, id_, quantity, node, stated, expected_at=due))

    @precondition(lambda self: self.documents)
    @rule(data=st.data(), quantity=FEW)
    def arrive(self, data: st.DataObject, quantity: int) -> None:
        sku, id_, node = data.draw(st.sampled_from(self.documents))
        self.take(arrive(sku, id_, f"R{next(self.numbers)}", quantity, node=node))

    @precondition(lambda self: self.documents)
    @rule(data=st.data())
    def call_off(self, data: st.DataObject) -> None:
        sku, id_, _ = data.draw(st.sampled_from(self.documents))
        self.take(CancelSupply(sku=sku, supply_id=id_, reason="sold out"))

    # Baskets and orders

    @rule(wanted=WANTED, kind=KINDS, ttl=st.sampled_from((60, 90_00, 86_400)))
    def hold_ahead(self, wanted: list[tuple[str, int]], kind: str, ttl: int) -> None:
        """As a whole, and no more than is to come in time behind all who wait."""
        self.baskets.append(f"b{next(self.numbers)}")
        basket = hold(self.baskets[-1], *wanted, ttl_seconds=ttl)
        lacking = {sku: self._lacking(sku) for sku in ("A", "B")}
        to_come = {sku: self._to_come(sku) for sku in ("A", "B")}
        [answer] = self.take(basket.model_copy(update={"order_type": kind, "destination": FRANCE}))
        if isinstance(answer, CommandRefused):
            assert answer.code == "not_available"
            return
        assert isinstance(answer, PromiseHeld)
        for one in answer.short or ():
            part = self._sku(one.sku)
            free = self.world.promise[one.sku, "on_hand"] - self.world.promise[one.sku, "reserved"]
            assert lacking[one.sku] + one.quantity <= to_come[one.sku] + free, "nothing covers it"
            if one.sku in self.caps:
                assert lacking[one.sku] + one.quantity <= self.caps[one.sku], "more wait than may"
            assert part.supplied >= one.quantity

    @rule(wanted=WANTED, kind=KINDS)
    def order_of_a_type(self, wanted: list[tuple[str, int]], kind: str) -> None:
        self.orders.append(f"o{next(self.numbers)}")
        self.take(accepted(self.orders[-1], *wanted).model_copy(update={"order_type": kind}))

    @precondition(lambda self: self.wanted)
    @rule(data=st.data(), kind=KINDS, fewer=RARELY)
    def order_what_waits(self, data: st.DataObject, kind: str, fewer: bool) -> None:
        """What it was held for, or less: nobody waits for more by that, and nobody for whom a cap is met is
        refused it; the order stands where the basket stood."""
        stream = data.draw(st.sampled_from(sorted(self.wanted)))
        held = self.world.parts.get(stream, NEW_PROMISE)
        assert isinstance(held, PromisePart)
        if held.status != "held":
            return
        order_id, wanted = f"o{next(self.numbers)}", dict(self.wanted[stream])
        if fewer:
            wanted = {sku: max(1, units - 1) for sku, units in wanted.items()}
        self.orders.append(order_id)
        before = {sku: self._lacking(sku) for sku in wanted}
        places = {sku: place for (sku, holder), place in self.places.items() if holder == stream}
        order = accepted(order_id, *wanted.items()).model_copy(update={"order_type": kind})
        confirmed, promised = self.take(of_basket(stream.removeprefix("promise/"), order))
        assert isinstance(confirmed, PromiseConfirmed)
        assert isinstance(promised, StockReserved | StockBackordered), "its caps were met by the basket"
        for sku in wanted:
            found = sum(move.quantity for move in promised.movements if move.sku == sku)  # free since
            assert self._lacking(sku) == before[sku] - found, "somebody waits twice, or not any more"
            assert self.places[sku, order_id][1] == places[sku][1]

    @precondition(lambda self: self.baskets)
    @rule(data=st.data(), wanted=WANTED, kind=KINDS)
    def order_a_basket(self, data: st.DataObject, wanted: list[tuple[str, int]], kind: str) -> None:
        """Any basket, and not always for the same units: what caps do not allow beyond it is refused."""
        order_id, basket = f"o{next(self.numbers)}", data.draw(st.sampled_from(self.baskets))
        self.orders.append(order_id)
        before = {sku: self._lacking(sku) for sku in ("A", "B")}
        order = accepted(order_id, *wanted).model_copy(update={"order_type": kind})
        self.take(of_basket(basket, order))
        for sku, most in self.caps.items():
            assert self._lacking(sku) <= max(most, before[sku]), "more wait than may"

    @rule(sku=SKUS, most=st.integers(0, 6))
    def cap(self, sku: str, most: int) -> None:
        self.take(DefinePromiseTerms(sku=sku, backorders=Backorders(units_max=most)))
        self.caps[sku] = most

    define_terms = order_of_a_channel = None  # type: ignore[assignment]

    # The naive reading

    def _asked(self, events: list[Event]) -> list[Event]:
        for event in events:
            self._read(event)
        return super()._asked(events)

    def _read(self, event: Event) -> None:
        match event:
            case PromiseHeld():
                self._held(event)
            case PromiseDated():
                assert (event.usable_at is None) or event.skus
                self.dated[event.stream] = event.usable_at
            case HoldsFilled() | HoldsBroken() if event.queue:
                sign = -1 if isinstance(event, HoldsFilled) else 1
                named = {promise_stream(one.promise_id): one.quantity for one in event.holds}
                self._moved(event.sku, named, sign)
            case StockPegged() | ReservationBroken():
                sign = -1 if isinstance(event, StockPegged) else 1
                self._moved(event.sku, {one.order_id: one.quantity for one in event.claims}, sign)
            case PromiseConfirmed() | PromiseExpired() | PromiseReleased() if event.waited is not None:
                for one in event.waited:
                    key = (one.sku, promise_stream(event.promise_id))
                    self._lack(key, self.lacks.get(key, 0) - one.quantity)
            case StockReserved() | StockBackordered():
                self._promised(event)
            case StockReleased():
                for sku, holder in [*self.lacks]:
                    if holder == event.order_id and (
                        event.cause == "cancelled" or sku in {line.sku for line in event.lines}
                    ):
                        self._lack((sku, holder), 0)
            case _:
                pass

    def _held(self, event: PromiseHeld) -> None:
        since = event.expires_at - timedelta(seconds=event.ttl_seconds)
        rank = OrderPolicy(version=1).rank if event.policy is None else event.policy.rank
        for move in event.movements:
            before = [self.lacks[key] for key in self._waiting(move.sku) if self.places[key] < (rank, since)]
            free = self.world.promise[move.sku, "on_hand"] - self.world.promise[move.sku, "reserved"]
            assert free >= sum(before), "it takes units that others wait for"
        if event.short is None:
            return
        self.wanted[event.stream] = {line.sku: line.quantity for line in event.lines}
        self.dated[event.stream] = event.usable_at
        for line in event.lines:
            self.places[line.sku, event.stream] = rank, since
        for one in event.short:
            self._lack((one.sku, event.stream), one.quantity)

    def _promised(self, event: StockReserved | StockBackordered) -> None:
        kept = {place.sku: place.since for place in event.places or ()}
        rank = OrderPolicy(version=1).rank if event.policy is None else event.policy.rank
        short = {one.sku: one.quantity for one in getattr(event, "short", ())}
        for sku in _skus(event.lines):
            self.places[sku, event.order_id] = rank, kept.get(sku, event.since)
            self._lack((sku, event.order_id), short.get(sku, 0))

    def _moved(self, sku: str, named: Mapping[str, int], sign: int) -> None:
        for holder, units in named.items():
            key = (sku, holder)
            self._lack(key, self.lacks.get(key, 0) + sign * units)
        if sign < 0:
            last = max(self.places[sku, holder] for holder in named)
            for key in self._waiting(sku):
                assert self.places[key] >= last, f"{key[1]} was passed over"

    def _lack(self, key: tuple[str, str], units: int) -> None:
        assert units >= 0, f"{key} is given more than it lacks"
        self.lacks.pop(key, None)
        if units:
            self.lacks[key] = units

    def _waiting(self, sku: str) -> list[tuple[str, str]]:
        return [key for key in self.lacks if key[0] == sku]

    def _lacking(self, sku: str) -> int:
        return sum(self.lacks[key] for key in self._waiting(sku))

    def _to_come(self, sku: str) -> int:
        """In time, as documents say; the decision is a second later."""
        supply = self.world.parts.get(f"supply/{sku}", NO_SUPPLY)
        assert isinstance(supply, SupplyPart)
        at = self.world.now + timedelta(seconds=1)
        return sum(units for _, units, by in supply.awaited() if by is not None and at < by <= at + HORIZON)

    def _sku(self, sku: str) -> SkuPart:
        part = self.world.parts.get(f"sku/{sku}", EMPTY_SKU)
        assert isinstance(part, SkuPart)
        return part

    # What holds at any moment

    @invariant()
    def who_lacks_units_is_who_the_log_says(self) -> None:
        for sku in ("A", "B"):
            part = self._sku(sku)
            claims = {holder.replace(WAITER, "promise/"): claim for holder, claim in part.claims.items()}
            lacking = {
                h: claim.wanted - claim.held for h, claim in claims.items() if claim.wanted > claim.held
            }
            assert lacking == {holder: self.lacks[sku, holder] for _, holder in self._waiting(sku)}
            assert part.wanted - part.reserved == self._lacking(sku)
            assert all(holder in part.turns for holder in part.claims if holder.startswith(WAITER))

    @invariant()
    def a_basket_knows_its_date_or_is_about_to(self) -> None:
        """Where nothing is to be looked at, what it was told last is what its supply says."""
        looked_at = {stream for stream, name in self.world.timers if name in ("pegs", "date", "free")}
        for stream, wanted in self.wanted.items():
            held = self.world.parts[stream]
            if not isinstance(held, PromisePart) or held.status != "held" or stream in looked_at:
                continue
            lacking = [sku for sku in wanted if (sku, stream) in self.lacks]
            if looked_at.isdisjoint({f"sku/{sku}" for sku in wanted}):
                pegs = [self._pegged(sku, stream) for sku in lacking]
                known = [peg for peg in pegs if peg is not None]
                usable = max(known) if known and len(known) == len(pegs) else None
                assert self.dated[stream] == usable

    def _pegged(self, sku: str, stream: str) -> datetime | None:
        supply = self.world.parts.get(f"supply/{sku}", NO_SUPPLY)
        assert isinstance(supply, SupplyPart)
        peg = supply.pegged.get(stream.replace("promise/", WAITER))
        return None if peg is None else peg.usable_at


def _skus(lines: tuple[LineQuantity, ...]) -> set[str]:
    return {line.sku for line in lines}


BasketWaitLife.TestCase.settings = plays(lives=50, steps=50)
TestBasketWaitLife = BasketWaitLife.TestCase
