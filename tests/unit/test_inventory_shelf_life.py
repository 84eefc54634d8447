"""Days that a channel asks for, as sentences: what its orders are promised and given, and what they lose."""

from datetime import UTC, datetime, time
from typing import Any

from libs.events.intake import OrderAccepted
from libs.events.inventory import (
    AllocationFailed,
    ReservationBroken,
    Shortage,
    StockAdjusted,
    StockAllocated,
    StockBackordered,
    StockPegged,
    StockReceived,
    StockReserved,
)
from libs.events.items import ItemDefined
from libs.events.lots import LotDefined, LotLimit, LotQuarantined, LotsLimited
from libs.events.policy import DefineReservationPolicies
from libs.events.promise import (
    ChannelTerms,
    DefinePromiseTerms,
    HoldsBroken,
    HoldStock,
    PromiseConfirmed,
    PromiseHeld,
    PromiseTermsDefined,
    Wanted,
)
from libs.events.timer import Timer
from services.inventory import domain
from services.inventory.availability import answer
from services.inventory.ledger import movements
from tests.spec import NOON, Answer, Spec, given
from tests.unit.inventory_lots import corrected, dairy, day, delivered, lots, milk, recalled
from tests.unit.inventory_stage import order, sku
from tests.unit.inventory_trade import accepted, due, line, routed, there

OLD, NEW = ("OLD", 4, 3), ("NEW", 6, 9)
SHELF = "shelf_life"


def asks(channels: dict[str, int] | None = None, **more: Any) -> DefinePromiseTerms:
    """Terms by which channels ask for so many days; of whom none is named, a wholesaler, for five."""
    days = {"wholesale": 5} if channels is None else channels
    ways = tuple(ChannelTerms(channel=name, shelf_days_min=least) for name, least in days.items())
    return DefinePromiseTerms(sku="MILK", channels=ways, **more)


def bought(order_id: str, units: int, channel: str | None = "wholesale") -> OrderAccepted:
    return accepted(order_id, ("MILK", units)).model_copy(update={"channel": channel})


def basket(promise_id: str, units: int, channel: str) -> HoldStock:
    return HoldStock(promise_id=promise_id, lines=(Wanted(sku="MILK", quantity=units),), channel=channel)


def planned(order_id: str, round_: int = 1, **units: int) -> Any:
    """A plan by node; the line is split over them."""
    return routed(order_id, round_, **{node: (line(1, "MILK", n),) for node, n in units.items()})


def lacks(units: int, node: str | None = None) -> Shortage:
    return Shortage(sku="MILK", quantity=units, node=node, reason="shelf_life")


def given_lots(answer: Answer) -> list[tuple[str, str | None, int]]:
    """(node, lot, units) that the answer allocates."""
    [event] = [one for one in answer.events if isinstance(one, StockAllocated)]
    return [(m.node, m.lot, m.quantity) for m in event.movements if m.target == "allocated"]


def morning(days: int) -> datetime:
    """The first moment of the day that is so many from today."""
    return datetime.combine(day(days), time(), UTC)


def dairy_of(*more: Any) -> Spec:
    """Four of OLD, which lasts three days, and six of NEW, which lasts nine, and a wholesaler that asks for
    five."""
    return dairy(OLD, NEW).heard(asks(), *more)


def test_the_terms_say_from_which_day_on_lots_must_last() -> None:
    spec = dairy(OLD, NEW)
    told = spec.when(asks())
    told.then_types(PromiseTermsDefined, LotsLimited)
    limit = LotLimit(channel="wholesale", shelf_days_min=5, expires_from=day(5))
    assert told.events[1] == LotsLimited(sku="MILK", limits=(limit,), up_to=2, check_at=morning(4))
    assert domain.timers(told.events[1], NOON) == [Timer("sku/MILK", "lots", morning(4))]
    spec.when(asks()).then_nothing()


def test_a_channel_is_promised_no_more_than_there_is_with_so_many_days_left() -> None:
    spec = dairy_of()
    assert [sku(spec, "MILK").claimable(c) for c in ("wholesale", "web", None)] == [6, 10, 10]
    spec.when(bought("o1", 8)).then_one(StockBackordered, short=(lacks(2),), channel="wholesale")
    assert [sku(spec, "MILK").claimable(c) for c in ("wholesale", "web")] == [0, 4]


def test_its_orders_are_given_none_that_is_older_and_others_what_expires_first() -> None:
    spec = dairy_of()
    spec.when(bought("o1", 3)).then_one(StockReserved, availability=(there("MILK", 6),))
    assert given_lots(spec.when(planned("o1", N1=3))) == [("N1", "NEW", 3)]
    spec.when(bought("o2", 5, "web")).then_one(StockReserved, availability=(there("MILK", 7),))
    assert given_lots(spec.when(planned("o2", N1=5))) == [("N1", "OLD", 4), ("N1", "NEW", 1)]


def test_who_asks_for_nothing_leaves_what_lasts_to_whom_it_is_promised() -> None:
    """Routing is told so, and a plan that does not heed it gets nothing."""
    spec = given(domain).heard(milk(), delivered("OLD", 4, 3, "N1"), delivered("NEW", 6, 9, "N2"), asks())
    spec.when(bought("o1", 5)).then_one(StockReserved, availability=(there("MILK", 6, "N2"),))
    few = (there("MILK", 4, "N1"), there("MILK", 1, "N2"))
    spec.when(bought("o2", 4, "web")).then_one(StockReserved, availability=few)
    failed = spec.when(planned("o2", N2=4))
    failed.then_one(AllocationFailed, short=(lacks(3, "N2"),), availability=few)
    assert given_lots(spec.when(planned("o2", 2, N1=3, N2=1))) == [("N1", "OLD", 3), ("N2", "NEW", 1)]
    assert given_lots(spec.when(planned("o1", N2=5))) == [("N2", "NEW", 5)]


def test_a_promise_of_another_channel_does_not_hide_what_that_need_not_take() -> None:
    spec = dairy_of(bought("o1", 4, "web"))
    assert sku(spec, "MILK").claimable("wholesale") == 6
    spec.heard(bought("o2", 3, "web"))
    assert sku(spec, "MILK").claimable("wholesale") == 3


def test_of_several_channels_each_has_what_lasts_long_enough_for_it() -> None:
    spec = dairy(OLD, NEW, ("NEWEST", 5, 30)).heard(asks({"wholesale": 5, "export": 20}))
    channels = ("export", "wholesale", "web")
    assert [sku(spec, "MILK").claimable(c) for c in channels] == [5, 11, 15]
    spec.heard(bought("o1", 4, "export"), bought("o2", 6))
    assert [sku(spec, "MILK").claimable(c) for c in channels] == [1, 1, 5]
    assert given_lots(spec.when(planned("o2", N1=6))) == [("N1", "NEW", 6)]
    assert given_lots(spec.when(planned("o1", N1=4))) == [("N1", "NEWEST", 4)]


def test_a_lot_that_has_become_too_old_breaks_the_promises_of_its_channel_alone() -> None:
    spec = dairy(("NEW", 6, 9), ("NEWER", 2, 12)).heard(asks())
    spec.heard(bought("web", 1, "web"), bought("o1", 3))
    spec.after(minutes=1).heard(bought("o2", 3))
    answer = spec.when(due("sku/MILK", "lots"), at=morning(5))
    answer.then_types(LotsLimited, ReservationBroken)
    broken = answer.events[1]
    assert isinstance(broken, ReservationBroken)
    assert (broken.cause, [(one.order_id, one.quantity) for one in broken.claims]) == (
        SHELF,
        [("o2", 3), ("o1", 1)],
    )
    assert {timer.stream for timer in domain.timers(broken, NOON)} == {"o1", "o2", "sku/MILK"}
    spec.when(due("o2", "claims")).then_one(StockBackordered, round=2, short=(lacks(3),))
    spec.when(due("o1", "claims")).then_one(StockBackordered, round=2, short=(lacks(1),))
    spec.when(due("sku/MILK", "free")).then_nothing()
    assert [sku(spec, "MILK").claimable(c) for c in ("wholesale", "web")] == [0, 5]
    served = spec.when(delivered("FRESH", 9, 30), at=morning(5))
    assert [
        (c.order_id, c.quantity) for e in served.events if isinstance(e, StockPegged) for c in e.claims
    ] == [
        ("o1", 1),
        ("o2", 3),
    ]
    spec.when(due("sku/MILK", "lots"), at=morning(5)).then_nothing()


def test_a_basket_of_the_channel_loses_what_has_become_too_old_before_its_orders_do() -> None:
    spec = dairy(NEW).heard(asks(), bought("o1", 3))
    spec.when(basket("b1", 4, "wholesale")).then_refused("not_available")
    spec.when(basket("b1", 2, "wholesale")).then_one(PromiseHeld)
    spec.when(basket("b2", 1, "web")).then_one(PromiseHeld)
    spec.heard(delivered("NEWER", 3, 12))
    answer = spec.when(due("sku/MILK", "lots"), at=morning(5))
    answer.then_types(LotsLimited, HoldsBroken)
    assert [(h.promise_id, h.quantity) for h in answer.events[1].holds] == [("b1", 2)]  # type: ignore[attr-defined]


def test_an_order_that_takes_over_a_basket_of_another_channel_waits_for_what_lasts() -> None:
    spec = dairy_of(basket("b1", 8, "web"))
    named = bought("o1", 8).model_copy(update={"promise_id": "b1"})
    spec.when(named).then_types(PromiseConfirmed, StockBackordered)
    assert spec.answer is not None
    waits = spec.answer.events[1]
    assert isinstance(waits, StockBackordered)
    assert waits.short == (lacks(2),)


def test_a_count_that_finds_too_few_of_what_lasts_breaks_what_needs_it() -> None:
    spec = dairy_of(bought("o1", 5))
    spec.when(corrected("NEW", -3)).then_types(StockAdjusted, ReservationBroken)
    assert sku(spec, "MILK").claims["o1"].held == 3
    spec.when(recalled("NEW")).then_types(LotQuarantined, ReservationBroken)
    assert sku(spec, "MILK").claims["o1"].held == 0
    spec.when(due("o1", "claims")).then_one(StockBackordered, short=(lacks(5),))


def test_nothing_too_old_is_given_though_nobody_has_looked_yet() -> None:
    spec = dairy(NEW).heard(asks(), bought("o1", 3))
    answer = spec.when(planned("o1", N1=3), at=morning(5))
    answer.then_one(AllocationFailed, short=(lacks(3, "N1"),), round=2)
    spec.when(due("sku/MILK", "lots"), at=morning(5)).then_types(LotsLimited, ReservationBroken)
    spec.when(planned("o1", 2, N1=3), at=morning(5)).then_one(StockBackordered, short=(lacks(3),))


def test_a_plan_of_units_that_were_promised_before_the_terms_asked_for_more_waits() -> None:
    spec = dairy(NEW).heard(asks({}), bought("o1", 3))
    spec.when(asks()).then_types(PromiseTermsDefined, LotsLimited)
    spec.when(asks({"wholesale": 10})).then_types(PromiseTermsDefined, LotsLimited, ReservationBroken)
    spec.when(planned("o1", N1=3)).then_one(StockBackordered, short=(lacks(3),))
    spec.when(asks({})).then_types(PromiseTermsDefined, LotsLimited, StockPegged)
    assert lots(spec).limits == {}


def test_what_arrives_too_old_for_a_channel_serves_none_of_its_orders() -> None:
    spec = given(domain).heard(asks(), milk(), bought("o1", 3), bought("o2", 1, "web"))
    answer = spec.when(delivered("OLD", 4, 3))
    answer.then_types(LotDefined, StockReceived, LotsLimited, StockPegged)
    assert [(c.order_id, c.quantity) for c in answer.events[3].claims] == [("o2", 1)]  # type: ignore[attr-defined]
    spec.when(milk(shelf_days_min=1)).then_one(ItemDefined, check_at=morning(3))


def test_who_may_take_from_others_takes_nothing_that_may_be_too_old_for_it() -> None:
    rules = DefineReservationPolicies.model_validate(
        {
            "classes": [{"name": "first", "rank": 10}],
            "rules": [{"channel": "wholesale", "priority": "first", "reallocates": True}],
        }
    )
    spec = dairy(OLD).heard(rules, asks(), bought("web", 4, "web"), bought("o1", 2))
    spec.when(due("sku/MILK", "free")).then_nothing()
    assert sku(spec, "MILK").claims["web"].held == 4


def test_the_answer_for_a_basket_says_what_the_channel_asks_for() -> None:
    spec = dairy_of(bought("o1", 2))
    wanted = (Wanted(sku="MILK", quantity=5),)
    parts = {"MILK": sku(spec, "MILK")}
    [told] = answer(wanted, "wholesale", parts)["skus"]
    assert (told["available"], told["short"], told["on_hand"]) == (4, 1, 10)
    assert told[SHELF] == {"days_min": 5, "expires_from": day(5).isoformat(), "on_hand": 6}
    [others] = answer(wanted, "web", parts)["skus"]
    assert others["available"] == 8
    assert SHELF not in others


def test_a_buffer_is_kept_of_what_lasts_and_a_safety_stock_of_what_does_not() -> None:
    buffered = ChannelTerms(channel="wholesale", shelf_days_min=5, buffer=2)
    spec = dairy(OLD, NEW).heard(DefinePromiseTerms(sku="MILK", channels=(buffered,), safety_stock=3))
    assert sku(spec, "MILK").claimable("wholesale") == 4
    assert sku(spec, "MILK").claimable("web") == 7


def test_an_order_of_the_channel_ships_the_lots_that_it_was_given() -> None:
    spec = dairy_of(bought("o1", 3)).heard(planned("o1", N1=3))
    assert order(spec, "o1").lots == {"allocated/N1/MILK": {"NEW": 3}}
    assert all(not movements(event) for event in spec.when(asks({"wholesale": 30})).events)
