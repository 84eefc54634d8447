"""Held baskets as sentences: held, confirmed by an order, expired, given up, broken; each resolved once."""

from datetime import timedelta

from libs.events.intake import OrderAccepted
from libs.events.inventory import ReservationBroken, StockBackordered, StockReserved
from libs.events.promise import (
    HeldUnits,
    HoldMovement,
    HoldsBroken,
    PromiseConfirmed,
    PromiseExpired,
    PromiseHeld,
    PromiseMissed,
    PromiseReleased,
    ReleasePromise,
    SoftBucket,
    Wanted,
)
from libs.events.timer import Timer
from services.inventory import domain
from tests.spec import NOON
from tests.unit.inventory_stage import sku, stocked
from tests.unit.inventory_trade import accepted, adjust, due, hold, lacks, lines, of_basket, promised, receive

BASKET = "promise/b1"


def order(order_id: str, *ordered: tuple[str, int]) -> OrderAccepted:
    return of_basket("b1", accepted(order_id, *ordered))


def soft(name: str, position: int, quantity: int, source: SoftBucket, target: SoftBucket) -> HoldMovement:
    return HoldMovement(sku=name, source=source, target=target, quantity=quantity, position=position)


def test_a_basket_is_held_as_a_whole_and_nobody_else_gets_it() -> None:
    spec = stocked(A=5, B=2)
    spec.when(hold("b1", ("A", 2), ("B", 1), ("A", 1))).then(
        PromiseHeld(
            promise_id="b1",
            position=1,
            lines=(Wanted(sku="A", quantity=3), Wanted(sku="B", quantity=1)),
            ttl_seconds=900,
            expires_at=NOON + timedelta(seconds=900),
            movements=(soft("A", 2, 3, "unreserved", "held"), soft("B", 2, 1, "unreserved", "held")),
        )
    )
    assert (sku(spec, "A").claimable(None), sku(spec, "B").claimable(None)) == (2, 1)
    spec.when(accepted("o1", ("A", 3))).then_one(StockBackordered, short=(lacks("A", 1),))


def test_a_basket_that_lacks_a_unit_is_not_held_at_all() -> None:
    spec = stocked(A=5).when(hold("b1", ("A", 2), ("B", 1))).then_refused("not_available")
    assert sku(spec, "A").claimable(None) == 5


def test_a_basket_takes_nothing_that_others_wait_for() -> None:
    stocked(A=2).heard(accepted("o1", ("A", 3))).when(hold("b1", ("A", 1))).then_refused("not_available")


def test_an_id_is_held_once() -> None:
    stocked(A=5).heard(hold("b1", ("A", 1))).when(hold("b1", ("A", 1))).then_refused("promise_exists")


def test_its_order_gets_the_same_units_and_no_others() -> None:
    spec = stocked(A=5).heard(hold("b1", ("A", 3)))
    confirmed, reserved = spec.when(order("o1", ("A", 2), ("A", 1))).events
    assert confirmed == PromiseConfirmed(
        order_id="o1", promise_id="b1", position=2, movements=(soft("A", 3, 3, "held", "reserved"),)
    )
    assert isinstance(reserved, StockReserved)
    assert (reserved.lines, reserved.movements) == (lines(("A", 2), ("A", 1)), ())
    assert (sku(spec, "A").reserved, sku(spec, "A").free) == (3, 2)
    assert list(sku(spec, "A").claims) == ["o1"]
    spec.when(due(BASKET, "expire")).then_nothing()


def test_an_order_may_want_more_than_was_held() -> None:
    spec = stocked(A=5).heard(hold("b1", ("A", 3)))
    confirmed, reserved = spec.when(order("o1", ("A", 4))).events
    assert isinstance(confirmed, PromiseConfirmed)
    assert isinstance(reserved, StockReserved)
    assert reserved.movements == (promised("A", 4, 1),)


def test_what_the_order_leaves_is_given_back_by_the_basket_itself() -> None:
    spec = stocked(A=5, B=1).heard(hold("b1", ("A", 3), ("B", 1)))
    confirmed = spec.when(order("o1", ("A", 1))).events[0]
    assert domain.timers(confirmed, NOON) == [Timer(BASKET, "settle", NOON)]
    spec.when(due(BASKET, "settle")).then(
        PromiseReleased(
            promise_id="b1",
            position=3,
            cause="not_ordered",
            movements=(soft("A", 4, 2, "held", "unreserved"), soft("B", 3, 1, "held", "unreserved")),
        )
    )
    assert (sku(spec, "A").free, sku(spec, "B").free) == (4, 1)
    spec.when(due(BASKET, "settle")).then_nothing()
    spec.when(due(BASKET, "expire")).then_nothing()


def test_time_is_up_and_the_order_that_comes_too_late_is_as_any_other() -> None:
    spec = stocked(A=3).heard(hold("b1", ("A", 3)))
    spec.when(due(BASKET, "expire")).then(
        PromiseExpired(promise_id="b1", position=2, movements=(soft("A", 3, 3, "held", "unreserved"),))
    )
    spec.when(due(BASKET, "expire")).then_nothing()
    missed, backordered = spec.heard(accepted("quick", ("A", 2))).when(order("late", ("A", 2))).events
    assert missed == PromiseMissed(order_id="late", promise_id="b1", cause="expired")
    assert isinstance(backordered, StockBackordered)
    assert backordered.short == (lacks("A", 1),)


def test_after_its_time_but_before_its_end_the_order_still_gets_it() -> None:
    """Nobody else has the units: to refuse them would serve no one."""
    spec = stocked(A=3).heard(hold("b1", ("A", 3), ttl_seconds=1))
    spec.at = NOON + timedelta(hours=1)
    assert isinstance(spec.when(order("o1", ("A", 3))).events[0], PromiseConfirmed)


def test_an_order_that_overtakes_its_basket_bars_it() -> None:
    spec = stocked(A=5)
    missed, reserved = spec.when(order("o1", ("A", 2))).events
    assert missed == PromiseMissed(order_id="o1", promise_id="b1", cause="unknown", position=1)
    assert isinstance(reserved, StockReserved)
    spec.when(hold("b1", ("A", 2))).then_refused("promise_exists")
    assert sku(spec, "A").free == 3


def test_two_orders_name_one_basket() -> None:
    spec = stocked(A=5).heard(hold("b1", ("A", 2)), order("o1", ("A", 2)))
    assert spec.when(order("o2", ("A", 2))).events[0] == PromiseMissed(
        order_id="o2", promise_id="b1", cause="used"
    )
    assert sku(spec, "A").reserved == 4


def test_a_basket_is_given_up_and_who_waits_is_served() -> None:
    spec = stocked(A=3).heard(hold("b1", ("A", 3)), accepted("o1", ("A", 2)))
    released = PromiseReleased(
        promise_id="b1",
        position=2,
        cause="asked",
        reason="changed their mind",
        movements=(soft("A", 3, 3, "held", "unreserved"),),
    )
    spec.when(ReleasePromise(promise_id="b1", reason="changed their mind")).then(released)
    assert domain.timers(released, NOON) == [Timer("sku/A", "free", NOON)]
    spec.when(ReleasePromise(promise_id="b1")).then_nothing()
    spec.heard(due("sku/A", "free")).when(due("o1", "claims")).then_one(StockReserved)


def test_what_cannot_be_given_up() -> None:
    stocked(A=3).when(ReleasePromise(promise_id="b1")).then_refused("unknown_promise")
    spec = stocked(A=3).heard(hold("b1", ("A", 1)), order("o1", ("A", 1)))
    spec.when(ReleasePromise(promise_id="b1")).then_refused("promise_confirmed")


def test_units_that_never_were_are_taken_from_baskets_before_orders_the_youngest_first() -> None:
    spec = stocked(A=6).heard(hold("b1", ("A", 2)), hold("b2", ("A", 2)), accepted("o1", ("A", 2)))
    broken = spec.when(adjust("A", -3)).events[0]
    assert broken == HoldsBroken(
        sku="A",
        holds=(HeldUnits(promise_id="b2", quantity=2), HeldUnits(promise_id="b1", quantity=1)),
        movements=(soft("A", 5, 3, "held", "unreserved"),),
    )
    assert [timer.stream for timer in domain.timers(broken, NOON)] == ["promise/b2", "promise/b1"]
    spec.when(due(BASKET, "settle")).then_one(PromiseReleased, cause="broken")
    spec.when(due("promise/b2", "settle")).then_one(PromiseReleased, cause="broken", movements=())
    assert sku(spec, "A").free == 1
    assert isinstance(spec.when(adjust("A", -2)).events[0], ReservationBroken)


def test_an_order_is_first_at_a_broken_basket() -> None:
    spec = stocked(A=3).heard(hold("b1", ("A", 3)), adjust("A", -1))
    confirmed, backordered = spec.when(order("o1", ("A", 3))).events
    assert isinstance(confirmed, PromiseConfirmed)
    assert confirmed.movements == (soft("A", 5, 2, "held", "reserved"),)
    assert isinstance(backordered, StockBackordered)
    assert backordered.short == (lacks("A", 1),)
    spec.when(due(BASKET, "settle")).then_nothing()
    spec.heard(receive("A", 1)).when(due("o1", "claims")).then_one(StockReserved, lines=lines(("A", 3)))


def test_the_end_of_a_basket_is_a_reminder_and_not_before_its_time() -> None:
    [held] = stocked(A=3).when(hold("b1", ("A", 1), ttl_seconds=60)).events
    assert domain.timers(held, NOON) == [Timer(BASKET, "expire", NOON + timedelta(seconds=60))]
    late, together = NOON + timedelta(milliseconds=1), NOON + timedelta(seconds=60, milliseconds=200)
    assert domain.timers(held, late) == [Timer(BASKET, "expire", together)], "those of some time end as one"
