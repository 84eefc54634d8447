"""Who gets what is scarce: each policy, classes, the reorder point, reallocation, and waits that end."""

from datetime import timedelta

import pytest

from libs.events.contract import Event
from libs.events.intake import OrderAccepted
from libs.events.inventory import (
    ReservationBroken,
    StockBackordered,
    StockPegged,
    StockReleased,
    StockReserved,
)
from libs.events.policy import (
    BackorderLapsed,
    BackordersCalled,
    DefineReservationPolicies,
    PolicyName,
    PolicyRule,
    PriorityClass,
    ReservationPoliciesDefined,
)
from libs.events.promise import DefinePromiseTerms, ReorderHold
from libs.events.refusal import CommandRefused
from services.inventory.order import OrderPart
from services.inventory.proof import prove
from services.inventory.stock import SkuPart
from tests.unit.inventory_trade import (
    accepted,
    adjust,
    cancelled,
    line,
    lines,
    receive,
    routed,
    unroutable,
)
from tests.unit.inventory_world import World

CLASSES = (
    PriorityClass(name="express", rank=10),
    PriorityClass(name="wholesale", rank=20),
    PriorityClass(name="bulk", rank=70),
)


def world(*rules: PolicyRule) -> World:
    found = World()
    [defined] = found.take(DefineReservationPolicies(classes=CLASSES, rules=rules))
    assert isinstance(defined, ReservationPoliciesDefined)
    return found


def of(policy: PolicyName, wait_days: int | None = None, **more: object) -> World:
    """A world in which one policy holds for every order."""
    return world(PolicyRule.model_validate({"policy": policy, "wait_days": wait_days, **more}))


def order(order_id: str, *wanted: tuple[str, int], service: str | None = None) -> OrderAccepted:
    return accepted(order_id, *wanted).model_copy(update={"service": service})


def settle(world: World) -> list[Event]:
    """Let what is due now happen; the events, in order."""
    events = list[Event]()
    while soon := [timer for timer in world.timers.values() if timer.due_at <= world.now]:
        events += world.due(soon[0])
    return events


def take(world: World, *bodies: object) -> list[Event]:
    events = list[Event]()
    for body in bodies:
        events += world.take(body)  # type: ignore[arg-type]
        events += settle(world)
    return events


def held(world: World, sku: str) -> dict[str, int]:
    part = world.parts[f"sku/{sku}"]
    assert isinstance(part, SkuPart)
    return {holder: claim.held for holder, claim in part.claims.items() if claim.held}


def status(world: World, order_id: str) -> str:
    part = world.parts[order_id]
    assert isinstance(part, OrderPart)
    return part.status


def proven(world: World) -> None:
    proof = prove(world.log)
    assert proof.holds, proof.violation


# Which policy an order goes by


def test_an_order_goes_by_the_first_rule_that_fits_it_and_its_events_say_so() -> None:
    shop = world(
        PolicyRule(channel="pos", policy="partial"),
        PolicyRule(channel="web", service="express", priority="express"),
        PolicyRule(channel="web", order_type="wholesale", priority="wholesale", policy="all_or_nothing"),
    )
    take(shop, receive("A", 9))
    [none] = take(shop, accepted("1", ("A", 1)))
    [fast] = take(shop, order("2", ("A", 1), service="express"))
    [bulk] = take(shop, accepted("3", ("A", 1)).model_copy(update={"order_type": "wholesale"}))
    assert isinstance(none, StockReserved)
    assert none.policy is None
    assert isinstance(fast, StockReserved)
    assert fast.policy is not None
    assert (fast.policy.version, fast.policy.policy, fast.policy.rank) == (1, "together", 10)
    assert isinstance(bulk, StockReserved)
    assert bulk.policy is not None
    assert (bulk.policy.policy, bulk.policy.rank) == ("all_or_nothing", 20)


def test_policies_are_versioned_and_bind_orders_that_come_after_them() -> None:
    shop = of("all_or_nothing")
    take(shop, receive("A", 1), accepted("old", ("A", 2)))
    rules = DefineReservationPolicies(classes=CLASSES, rules=(PolicyRule(policy="partial"),))
    [defined] = take(shop, rules)
    assert isinstance(defined, ReservationPoliciesDefined)
    assert defined.version == 2
    assert take(shop, rules) == []
    take(shop, accepted("new", ("A", 2)))
    assert held(shop, "A") == {"new": 1}, "the old one waits for all of it, by the policy of its day"


@pytest.mark.parametrize(
    ("stated", "code"),
    [
        (DefineReservationPolicies(classes=(CLASSES[0], CLASSES[0]), rules=()), "class_twice"),
        (DefineReservationPolicies(rules=(PolicyRule(priority="express"),)), "unknown_class"),
        (
            DefineReservationPolicies(rules=(PolicyRule(policy="all_or_nothing", reallocates=True),)),
            "reallocates_nothing",
        ),
    ],
)
def test_policies_that_cannot_be_meant_are_refused_by_name(
    stated: DefineReservationPolicies, code: str
) -> None:
    [refused] = World().take(stated)
    assert isinstance(refused, CommandRefused)
    assert refused.code == code
    assert refused.next_step


# All or nothing


def test_all_or_nothing_holds_nothing_until_all_is_there_and_then_all() -> None:
    shop = of("all_or_nothing")
    take(shop, receive("A", 5))
    [waits] = take(shop, accepted("1", ("A", 2), ("B", 1), ("A", 1)))
    assert isinstance(waits, StockBackordered)
    assert (waits.movements, [(one.sku, one.quantity) for one in waits.short]) == ((), [("B", 1)])
    [other] = take(shop, accepted("2", ("A", 4)))
    assert isinstance(other, StockReserved), "nobody stands behind an order that lacks something else"
    assert [type(event).__name__ for event in take(shop, receive("B", 1))] == [
        "StockReceived",
        "BackordersCalled",
        "StockBackordered",  # there are too few of A now
    ]
    assert held(shop, "B") == {}
    events = take(shop, receive("A", 2))
    assert [type(event).__name__ for event in events] == [
        "StockReceived",
        "BackordersCalled",
        "StockReserved",
    ]
    assert (held(shop, "A"), held(shop, "B")) == ({"2": 4, "1": 3}, {"1": 1})
    proven(shop)


def test_units_that_all_or_nothing_was_called_for_are_nobody_elses_until_it_has_looked() -> None:
    shop = of("all_or_nothing", channel="web")
    take(shop, accepted("1", ("A", 2)))
    shop.take(receive("A", 2))
    [late] = shop.take(accepted("2", ("A", 1)))
    assert isinstance(late, StockBackordered)
    settle(shop)
    assert (status(shop, "1"), held(shop, "A")) == ("reserved", {"1": 2})


def test_who_stands_behind_is_served_when_all_or_nothing_cannot_use_its_units_or_is_cancelled() -> None:
    shop = of("all_or_nothing")
    take(shop, accepted("1", ("A", 2), ("B", 1)), accepted("2", ("A", 2)))
    events = take(shop, receive("A", 2))
    assert [event.stream for event in events if isinstance(event, StockReserved)] == ["2"]
    take(shop, accepted("3", ("C", 1)), accepted("4", ("C", 1)))
    shop.take(receive("C", 1))  # 3 is called …
    shop.take(cancelled("3", line(1, "C", 1)))  # … and cancelled before it has looked
    settle(shop)
    assert held(shop, "C") == {"4": 1}
    proven(shop)


def test_all_or_nothing_that_loses_a_unit_gives_the_others_back() -> None:
    shop = of("all_or_nothing")
    take(shop, receive("A", 2), receive("B", 1), accepted("1", ("A", 2), ("B", 1)))
    take(shop, accepted("2", ("A", 1)))
    assert held(shop, "A") == {"1": 2}
    take(shop, adjust("A", -1))
    assert (held(shop, "A"), held(shop, "B"), status(shop, "1")) == ({"2": 1}, {}, "waiting")
    take(shop, receive("A", 2))
    assert (held(shop, "A"), status(shop, "1")) == ({"2": 1, "1": 2}, "reserved")
    proven(shop)


# Partial


def test_partial_ships_what_is_there_and_the_rest_when_it_comes() -> None:
    shop = of("partial")
    take(shop, receive("A", 3))
    [first] = take(shop, accepted("1", ("A", 5), ("B", 1)))
    assert isinstance(first, StockReserved)
    assert (first.lines, first.later) == (lines(("A", 3)), (line(1, "A", 2), line(2, "B", 1)))
    assert take(shop, receive("A", 1))[-1].TYPE.endswith("stock_pegged"), "a plan is on its way already"
    _, second = take(shop, routed("1", 1, N1=(line(1, "A", 3),)))
    assert isinstance(second, StockReserved), "one more has come meanwhile"
    assert (second.round, second.lines, second.later) == (
        2,
        (line(1, "A", 1),),
        (line(1, "A", 1), line(2, "B", 1)),
    )
    _, third = take(shop, routed("1", 2, N1=(line(1, "A", 1),)))
    assert isinstance(third, StockBackordered)
    assert (third.round, third.lines) == (3, (line(1, "A", 1), line(2, "B", 1)))
    take(shop, receive("B", 1))
    [_, last] = take(shop, routed("1", 3, N1=(line(2, "B", 1),)))
    assert isinstance(last, StockBackordered)
    take(shop, receive("A", 1))
    take(shop, routed("1", 4, N1=(line(1, "A", 1),)))
    assert status(shop, "1") == "settled"
    proven(shop)


def test_partial_goes_on_without_the_lines_that_no_node_may_ship() -> None:
    shop = of("partial")
    take(shop, receive("A", 1), accepted("1", ("A", 1), ("B", 1)))
    released, waits = take(shop, unroutable("1", line(1, "A", 1)))[:2]
    assert isinstance(released, StockReleased)
    assert isinstance(waits, StockBackordered)
    assert waits.lines == (line(2, "B", 1),)
    take(shop, receive("B", 1))
    take(shop, routed("1", 2, N1=(line(2, "B", 1),)))
    assert status(shop, "1") == "settled"
    proven(shop)


# Waits that end


def after_days(world: World, days: int) -> list[Event]:
    world.now += timedelta(days=days)
    return settle(world)


def test_what_lacks_after_n_days_is_given_up_and_the_rest_ships() -> None:
    shop = of("together", wait_days=14)
    take(shop, receive("A", 2), accepted("1", ("A", 3), ("B", 1)))
    assert after_days(shop, 13) == []
    [lapsed] = after_days(shop, 1)
    assert isinstance(lapsed, BackorderLapsed)
    assert (lapsed.lines, lapsed.rest) == ((line(1, "A", 1), line(2, "B", 1)), (line(1, "A", 2),))
    take(shop, receive("A", 1), receive("B", 1))
    assert status(shop, "1") == "lapsing", "what comes now is too late"
    _, reserved = take(shop, unroutable("1", *lapsed.lines))[:2]
    assert isinstance(reserved, StockReserved)
    assert reserved.lines == (line(1, "A", 2),)
    assert (held(shop, "A"), held(shop, "B")) == ({"1": 2}, {})
    proven(shop)


def test_what_is_there_after_n_days_ships_where_the_rule_says_so() -> None:
    shop = of("together", wait_days=14, then="ship")
    take(shop, receive("A", 2), accepted("1", ("A", 3)))
    [reserved] = after_days(shop, 14)
    assert isinstance(reserved, StockReserved)
    assert (reserved.lines, reserved.later) == ((line(1, "A", 2),), (line(1, "A", 1),))
    take(shop, routed("1", 1, N1=(line(1, "A", 2),)))
    assert after_days(shop, 100) == []
    take(shop, receive("A", 1))
    take(shop, routed("1", 2, N1=(line(1, "A", 1),)))
    assert status(shop, "1") == "settled"
    proven(shop)


def test_an_order_that_got_all_in_time_knows_nothing_of_its_end() -> None:
    shop = of("all_or_nothing", wait_days=1)
    take(shop, accepted("1", ("A", 1)), receive("A", 1))
    assert after_days(shop, 2) == []
    assert status(shop, "1") == "reserved"


def test_all_or_nothing_gives_up_all_of_it() -> None:
    shop = of("all_or_nothing", wait_days=1)
    take(shop, receive("A", 1), accepted("1", ("A", 1), ("B", 1)))
    [lapsed] = after_days(shop, 1)
    assert isinstance(lapsed, BackorderLapsed)
    assert (lapsed.lines, lapsed.rest) == (lines(("A", 1), ("B", 1)), ())
    take(shop, unroutable("1", *lapsed.lines))
    assert status(shop, "1") == "settled"
    proven(shop)


# Classes

BY_SERVICE = (
    PolicyRule(service="express", priority="express"),
    PolicyRule(service="wholesale", priority="wholesale", reallocates=True),
    PolicyRule(service="bulk", priority="bulk"),
)


def test_a_queue_is_served_by_class_then_by_age() -> None:
    shop = world(*BY_SERVICE)
    take(
        shop,
        order("b", ("A", 1), service="bulk"),
        order("s1", ("A", 1)),
        order("e1", ("A", 1), service="express"),
        order("s2", ("A", 1)),
        order("e2", ("A", 1), service="express"),
    )
    served = list[str]()
    for _ in range(5):
        served += [
            claim.order_id
            for event in take(shop, receive("A", 1))
            if isinstance(event, StockPegged)
            for claim in event.claims
        ]
    assert served == ["e1", "e2", "s1", "s2", "b"]


def test_nobody_new_takes_units_of_its_own_class_and_a_higher_one_does() -> None:
    shop = world(*BY_SERVICE)
    take(shop, receive("A", 1), accepted("has", ("A", 1)), order("waits", ("A", 1)))
    shop.take(cancelled("has", line(1, "A", 1)))  # its unit is free; the queue has not been served yet
    [same] = shop.take(order("same", ("A", 1)))
    assert isinstance(same, StockBackordered)
    [higher] = shop.take(order("higher", ("A", 1), service="express"))
    assert isinstance(higher, StockReserved)
    settle(shop)
    assert held(shop, "A") == {"higher": 1}


def test_a_count_breaks_the_lowest_class_first() -> None:
    shop = world(*BY_SERVICE)
    take(
        shop,
        receive("A", 3),
        order("bulk", ("A", 1), service="bulk"),
        order("old", ("A", 1)),
        order("new", ("A", 1), service="express"),
    )
    take(shop, adjust("A", -1))
    assert held(shop, "A") == {"old": 1, "new": 1}
    take(shop, adjust("A", -1))
    assert held(shop, "A") == {"new": 1}


# Below the reorder point


def test_below_the_reorder_point_only_a_high_class_is_promised_units() -> None:
    shop = world(*BY_SERVICE)
    terms = DefinePromiseTerms(sku="A", safety_stock=1, reorder=ReorderHold(point=4, rank_max=20))
    take(shop, receive("A", 6), terms)
    [waits] = take(shop, accepted("1", ("A", 3)))
    assert isinstance(waits, StockBackordered)
    assert [(one.quantity, one.reason) for one in waits.short] == [(1, "below_reorder_point")]
    [fast] = take(shop, order("2", ("A", 3), service="express"))
    assert isinstance(fast, StockReserved)
    [none] = take(shop, order("3", ("A", 1), service="express"))
    assert isinstance(none, StockBackordered)
    assert [one.reason for one in none.short] == [None], "that is the safety stock, kept from everybody"
    take(shop, receive("A", 3))
    assert held(shop, "A") == {"1": 2, "2": 3, "3": 1}
    take(shop, receive("A", 2))
    assert held(shop, "A") == {"1": 3, "2": 3, "3": 1}


# Reallocation


def test_units_of_who_is_behind_are_given_to_who_may_have_them_and_the_loser_waits() -> None:
    shop = world(*BY_SERVICE)
    take(shop, receive("A", 2), receive("B", 1))
    take(shop, accepted("s1", ("A", 1)), accepted("s2", ("A", 1), ("B", 1)))
    events = take(shop, order("w", ("A", 1), service="wholesale"))
    lost = [event for event in events if isinstance(event, ReservationBroken)]
    won = [event for event in events if isinstance(event, StockPegged)]
    assert [(claim.order_id, claim.quantity) for event in lost for claim in event.claims] == [("s2", 1)]
    assert [(claim.order_id, claim.quantity) for event in won for claim in event.claims] == [("w", 1)]
    assert (lost[0].cause, won[0].cause) == ("reallocated", "reallocated")
    assert (status(shop, "w"), status(shop, "s2")) == ("reserved", "waiting")
    assert (held(shop, "A"), held(shop, "B")) == ({"s1": 1, "w": 1}, {"s2": 1})
    proven(shop)


def test_what_is_allocated_is_never_reallocated_nor_what_a_higher_class_has() -> None:
    shop = world(*BY_SERVICE)
    take(shop, receive("A", 2), accepted("s", ("A", 1)), order("e", ("A", 1), service="express"))
    take(shop, routed("s", 1, N1=(line(1, "A", 1),)))
    [waits] = take(shop, order("w", ("A", 1), service="wholesale"))
    assert isinstance(waits, StockBackordered)
    assert held(shop, "A") == {"e": 1}
    assert shop.balance["A", "N1", "allocated"] == 1
    proven(shop)


def test_called_orders_are_called_by_name() -> None:
    shop = of("all_or_nothing")
    take(shop, accepted("1", ("A", 1)), accepted("2", ("A", 1)))
    _, called = shop.take(receive("A", 1))
    assert called == BackordersCalled(sku="A", orders=("1",))


# Age


@pytest.mark.parametrize(("after_days", "first"), [(19, "new"), (21, "bulk")])
def test_a_low_class_moves_up_with_age_and_is_not_passed_over_for_ever(after_days: int, first: str) -> None:
    """Rank 70, a rank a day: after twenty days it stands where rank 50 does."""
    shop = World()
    shop.take(
        DefineReservationPolicies(
            classes=(PriorityClass(name="bulk", rank=70, step_days=1),),
            rules=(PolicyRule(order_type="bulk", priority="bulk"),),
        )
    )
    [waits] = take(shop, accepted("bulk", ("A", 1)).model_copy(update={"order_type": "bulk"}))
    assert isinstance(waits, StockBackordered)
    assert waits.policy is not None
    assert (waits.policy.rank, waits.policy.step_days) == (70, 1)
    shop.now += timedelta(days=after_days)
    take(shop, accepted("new", ("A", 1)), receive("A", 1))
    assert held(shop, "A") == {first: 1}
    proven(shop)


def test_who_moves_up_keeps_its_distance_to_who_moves_up_too_and_stays_behind_who_does_not() -> None:
    classes = (
        PriorityClass(name="express", rank=10),
        PriorityClass(name="gold", rank=40, step_days=2),
        PriorityClass(name="bulk", rank=70, step_days=2),
    )
    shop = World()
    rules = tuple(PolicyRule(service=one.name, priority=one.name) for one in classes)
    shop.take(DefineReservationPolicies(classes=classes, rules=rules))
    take(shop, order("bulk", ("A", 1), service="bulk"))
    shop.now += timedelta(days=59)
    take(shop, order("gold", ("A", 1), service="gold"))
    shop.now += timedelta(days=2)
    take(shop, order("late-gold", ("A", 1), service="gold"))
    take(shop, order("express", ("A", 1), service="express"))
    for served in (["express"], ["express", "gold"], ["express", "gold", "bulk"]):
        take(shop, receive("A", 1))
        assert set(held(shop, "A")) == set(served)
    proven(shop)


def test_the_reorder_point_goes_by_the_class_and_not_by_age() -> None:
    shop = World()
    bulk = PriorityClass(name="bulk", rank=51, step_days=1)
    shop.take(
        DefineReservationPolicies(classes=(bulk,), rules=(PolicyRule(service="bulk", priority="bulk"),))
    )
    take(shop, DefinePromiseTerms(sku="A", reorder=ReorderHold(point=2, rank_max=50)), receive("A", 2))
    take(shop, order("old", ("A", 1), service="bulk"))
    shop.now += timedelta(days=99)
    take(shop, accepted("new", ("A", 1)))
    assert held(shop, "A") == {"new": 1}
