"""Baskets held against what is to come: their place, date and caps, and the order that takes them over."""

from dataclasses import replace
from datetime import timedelta
from itertools import count
from typing import Any

import orjson
from pydantic import TypeAdapter

from libs.events.backorders import Backorders
from libs.events.catalogue import encode
from libs.events.contract import Contract, Event
from libs.events.dates import BackorderDated
from libs.events.inventory import StockBackordered, StockReserved
from libs.events.policy import DefineReservationPolicies, PolicyRule, PriorityClass
from libs.events.promise import (
    DefinePromiseTerms,
    HoldsBroken,
    HoldsFilled,
    HoldStock,
    PromiseConfirmed,
    PromiseDated,
    PromiseExpired,
    PromiseHeld,
    PromiseReleased,
    ReleasePromise,
    Share,
    Wanted,
)
from libs.events.refusal import CommandRefused
from libs.events.supply import CancelSupply
from services.inventory import domain
from services.inventory.availability import read_sku, state
from services.inventory.proof import prove
from services.inventory.queue import WAITER
from services.inventory.stock import EMPTY_SKU, SkuPart
from tests.spec import NOON
from tests.unit.inventory_page import worked
from tests.unit.inventory_supply import arrive, expect
from tests.unit.inventory_trade import FRANCE, accepted, adjust, hold, of_basket, receive
from tests.unit.inventory_world import World, fold, known

IN_3_DAYS, IN_9_DAYS = NOON + timedelta(days=3), NOON + timedelta(days=9)


def shop(on_hand: int = 0, **caps: Any) -> World:
    """The web shop's baskets wait, the marketplace's do not; five units of A are to come in three days."""
    world = World()
    world.take(
        DefineReservationPolicies(
            classes=(PriorityClass(name="express", rank=10),),
            rules=(
                PolicyRule(order_type="fast", priority="express", baskets_wait=True),
                PolicyRule(channel="web", baskets_wait=True),
            ),
        )
    )
    if on_hand:
        world.take(receive("A", on_hand))
    if caps:
        world.take(DefinePromiseTerms(sku="A", backorders=Backorders.model_validate(caps)))
    world.take(expect("A", "PO-1", 5, expected_at=IN_3_DAYS))
    settle(world)
    return world


def ahead(promise_id: str, *wanted: tuple[str, int], **more: Any) -> HoldStock:
    """A basket of the web shop, which says where it goes."""
    return hold(promise_id, *wanted).model_copy(update={"channel": "web", "destination": FRANCE, **more})


def settle(world: World) -> list[Event]:
    events = list[Event]()
    while soon := [
        timer for timer in world.timers.values() if timer.due_at <= world.now + timedelta(seconds=2)
    ]:
        events += world.due(soon[0])
    return events


def asked(world: World, body: Contract) -> list[Event]:
    """The answer, and what it brings about."""
    return [*world.take(body), *settle(world)]


def only(events: list[Event], kind: type[Event]) -> Any:
    [found] = [event for event in events if isinstance(event, kind)]
    return found


def none(events: list[Event], *kinds: type[Event]) -> bool:
    return not any(isinstance(event, kinds) for event in events)


def sku(world: World, name: str = "A") -> SkuPart:
    part = world.parts.get(f"sku/{name}", EMPTY_SKU)
    assert isinstance(part, SkuPart)
    return part


def proven(world: World) -> None:
    by_lane = sorted(world.log, key=lambda row: (row.lane, row.seq))
    for rows in (world.log, by_lane):
        proof = prove(rows)
        assert proof.holds, proof.violation
    skus_first = sorted(world.folded, key=lambda item: not item[0].startswith("sku/"))
    assert fold(skus_first) == fold(world.folded) == known(world.parts)


def test_a_basket_holds_what_is_there_and_waits_for_what_is_to_come_with_a_date() -> None:
    world = shop(on_hand=2)
    held = only(asked(world, ahead("b1", ("A", 5))), PromiseHeld)
    assert [(move.target, move.quantity) for move in held.movements] == [("held", 2)]
    assert [(one.sku, one.quantity) for one in held.short] == [("A", 3)]
    assert held.usable_at == IN_3_DAYS
    assert (sku(world).reserved, sku(world).wanted, sku(world).claimable("web")) == (2, 5, 0)
    filled = asked(world, arrive("A", "PO-1", "R1", 5))
    assert [(one.promise_id, one.quantity) for one in only(filled, HoldsFilled).holds] == [("b1", 3)]
    dated = only(filled, PromiseDated)
    assert (dated.skus, dated.told_before) == ((), IN_3_DAYS)
    confirmed, reserved = world.take(of_basket("b1", accepted("o1", ("A", 5))))
    assert isinstance(confirmed, PromiseConfirmed)
    assert isinstance(reserved, StockReserved)
    assert reserved.movements == ()
    proven(world)


def test_all_of_a_basket_or_nothing_of_it() -> None:
    world = shop(on_hand=2)
    world.take(receive("B", 1))
    refused = only(asked(world, ahead("b1", ("A", 3), ("B", 2))), CommandRefused)
    assert refused.code == "not_available"
    assert "B: 2 wanted, 1 can be promised now, and what is to come in time does not cover" in refused.message
    assert (sku(world).wanted, sku(world, "B").wanted) == (0, 0)


def test_who_may_not_wait_is_told_as_ever_and_what_to_do_next() -> None:
    world = shop(on_hand=2)
    other = only(asked(world, ahead("b1", ("A", 3), channel="marketplace")), CommandRefused)
    assert (other.code, other.next_step) == (
        "not_available",
        "Hold fewer units, or order without a promise: what is short is then backordered.",
    )
    nowhere = only(asked(world, ahead("b2", ("A", 3), destination=None)), CommandRefused)
    assert nowhere.code == "not_available"
    assert "Say where it goes (destination)" in nowhere.next_step


def test_no_more_is_held_than_is_to_come_behind_all_who_wait() -> None:
    world = shop()
    asked(world, accepted("o1", ("A", 3)))
    assert only(asked(world, ahead("b1", ("A", 3))), CommandRefused).code == "not_available"
    assert only(asked(world, ahead("b2", ("A", 2))), PromiseHeld).usable_at == IN_3_DAYS
    assert only(asked(world, ahead("b3", ("A", 1))), CommandRefused).code == "not_available"
    asked(world, expect("A", "PO-2", 9, expected_at=IN_9_DAYS))
    assert only(asked(world, ahead("b4", ("A", 1))), PromiseHeld).usable_at == IN_9_DAYS
    proven(world)


def test_units_that_terms_keep_from_the_channel_cover_nothing() -> None:
    world = shop()
    asked(world, DefinePromiseTerms(sku="A", safety_stock=1, shares=(Share(channel="pos", units=2),)))
    assert only(asked(world, ahead("b1", ("A", 3))), CommandRefused).code == "not_available"
    assert only(asked(world, ahead("b2", ("A", 2))), PromiseHeld).usable_at == IN_3_DAYS
    filled = asked(world, arrive("A", "PO-1", "R1", 4))
    assert only(filled, HoldsFilled).holds[0].quantity == 1, "the others are kept"
    proven(world)


def test_caps_count_baskets_and_their_orders_are_not_counted_twice() -> None:
    world = shop(units_max=3)
    asked(world, ahead("b1", ("A", 2)))
    refused = only(asked(world, ahead("b2", ("A", 2))), CommandRefused)
    assert "no more than 1 may still be waited for" in refused.message
    answer = asked(world, of_basket("b1", accepted("o1", ("A", 2))))
    assert only(answer, StockBackordered).short[0].quantity == 2
    assert only(asked(world, ahead("b3", ("A", 1))), PromiseHeld)
    assert only(asked(world, ahead("b4", ("A", 1))), CommandRefused)
    proven(world)


def test_a_pre_order_is_held_from_the_day_it_opens() -> None:
    world = shop(opens_at=NOON + timedelta(days=1))
    assert "cannot be waited for yet" in only(asked(world, ahead("b1", ("A", 1))), CommandRefused).message
    world.now = NOON + timedelta(days=1)
    assert only(asked(world, ahead("b2", ("A", 1))), PromiseHeld).usable_at == IN_3_DAYS


def test_its_order_stands_where_the_basket_stood_and_who_came_between_stands_behind() -> None:
    world = shop()
    asked(world, ahead("b1", ("A", 2)))
    asked(world, accepted("between", ("A", 2)))
    answer = asked(world, of_basket("b1", accepted("o1", ("A", 2))))
    assert only(answer, PromiseConfirmed).waited == (Wanted(sku="A", quantity=2),)
    assert only(answer, BackorderDated).usable_at == IN_3_DAYS
    assert (sku(world).wanted, sku(world).reserved) == (4, 0)
    filled = asked(world, arrive("A", "PO-1", "R1", 2))
    assert [line.sku for line in only(filled, StockReserved).lines] == ["A"]
    assert only(filled, StockReserved).order_id == "o1"
    proven(world)


def test_an_order_that_wants_more_than_was_held_stands_as_an_order_of_now() -> None:
    world = shop()
    asked(world, ahead("b1", ("A", 1)))
    asked(world, accepted("between", ("A", 1)))
    assert only(asked(world, of_basket("b1", accepted("o1", ("A", 2)))), PromiseConfirmed).places is None
    assert only(asked(world, arrive("A", "PO-1", "R1", 1)), StockReserved).order_id == "between"
    proven(world)


def test_what_the_order_leaves_and_what_expires_goes_to_the_next() -> None:
    world = shop()
    asked(world, ahead("b1", ("A", 3)))
    asked(world, ahead("b2", ("A", 2)))
    asked(world, accepted("o2", ("A", 2)))
    asked(world, arrive("A", "PO-1", "R1", 4))
    left = asked(world, of_basket("b1", accepted("o1", ("A", 2))))
    assert only(left, PromiseReleased).cause == "not_ordered"
    assert only(left, HoldsFilled).holds[0].promise_id == "b2"
    world.now += timedelta(hours=1)
    ended = settle(world)
    assert only(ended, PromiseExpired).waited == ()
    assert only(ended, StockReserved).order_id == "o2"
    assert sku(world).baskets == {}
    assert not [holder for holder in sku(world).claims if holder.startswith(WAITER)]
    proven(world)


def test_a_basket_that_goes_leaves_its_place_and_dates_move_up() -> None:
    world = shop()
    asked(world, expect("A", "PO-2", 5, expected_at=IN_9_DAYS))
    asked(world, ahead("b1", ("A", 5)))
    assert only(asked(world, accepted("o1", ("A", 1))), BackorderDated).usable_at == IN_9_DAYS
    gone = asked(world, ReleasePromise(promise_id="b1"))
    assert only(gone, PromiseReleased).waited == (Wanted(sku="A", quantity=5),)
    assert only(gone, BackorderDated).usable_at == IN_3_DAYS
    proven(world)


def test_a_class_is_served_first_among_orders_and_baskets() -> None:
    world = shop()
    asked(world, accepted("o1", ("A", 1)))
    asked(world, ahead("b1", ("A", 1)))
    asked(world, ahead("b2", ("A", 1), order_type="fast"))
    assert only(asked(world, arrive("A", "PO-1", "R1", 1)), HoldsFilled).holds[0].promise_id == "b2"
    assert only(asked(world, arrive("A", "PO-1", "R2", 1)), StockReserved).order_id == "o1"
    assert only(asked(world, arrive("A", "PO-1", "R3", 1)), HoldsFilled).holds[0].promise_id == "b1"
    proven(world)


def test_it_is_told_another_date_when_supply_moves_and_none_when_it_is_called_off() -> None:
    world = shop()
    asked(world, ahead("b1", ("A", 2)))
    later = asked(world, expect("A", "PO-1", 5, stated=1, expected_at=IN_9_DAYS))
    assert (only(later, PromiseDated).usable_at, only(later, PromiseDated).told_before) == (
        IN_9_DAYS,
        IN_3_DAYS,
    )
    lost = only(asked(world, CancelSupply(sku="A", supply_id="PO-1", reason="sold out")), PromiseDated)
    assert (lost.usable_at, lost.delivery, lost.skus[0].supply_id) == (None, None, None)
    assert (
        only(asked(world, expect("A", "PO-3", 5, expected_at=IN_3_DAYS)), PromiseDated).usable_at == IN_3_DAYS
    )
    proven(world)


def test_a_count_takes_from_baskets_first_and_one_that_may_wait_waits_again() -> None:
    world = shop(on_hand=3)
    asked(world, accepted("o1", ("A", 1)))
    asked(world, ahead("b1", ("A", 4)))
    broken = asked(world, adjust("A", -2))
    assert [one.quantity for one in only(broken, HoldsBroken).holds] == [2]
    assert none(broken, PromiseReleased)
    assert (sku(world).wanted, sku(world).reserved) == (5, 1)
    assert [one.quantity for one in only(asked(world, receive("A", 1)), HoldsFilled).holds] == [1]
    proven(world)


def test_others_see_what_waits_and_the_topic_does() -> None:
    world = shop(units_max=4)
    asked(world, ahead("b1", ("A", 3)))
    raw = orjson.dumps(TypeAdapter(SkuPart).dump_python(sku(world), mode="json"))
    told = state("sku/A", 1, raw, world.now)
    assert told is not None
    assert told[0].backorders is not None
    assert (told[0].available, told[0].backorders.units) == (0, 1)
    assert read_sku(raw).claims == sku(world).claims


def test_a_basket_of_what_is_there_is_written_as_it_was() -> None:
    """No stream more that is read, no event or reminder more, nothing more on an event or a part."""
    world = shop(on_hand=2)
    before = set(world.timers)
    [held] = world.take(ahead("b1", ("A", 2)))
    assert isinstance(held, PromiseHeld)
    assert not {"short", "usable_at", "destination", "service"} & orjson.loads(encode(held)).keys()
    assert {name for _, name in set(world.timers) - before} == {"expire"}
    assert (sku(world).baskets, sku(world).claims, sku(world).turns) == ({"b1": 2}, {}, {})
    heard = world._envelope(world.log[0].event_id, hold("b2", ("A", 1)))
    assert domain.more_streams(heard, domain.empty("promise/b2")) == ("sku/A",)
    [confirmed, reserved] = world.take(of_basket("b1", accepted("o1", ("A", 2))))
    assert not {"waited", "places", "queue"} & orjson.loads(encode(confirmed)).keys()
    assert "places" not in orjson.loads(encode(reserved))


def test_a_policy_under_which_nothing_is_held_cannot_let_baskets_wait() -> None:
    rule = PolicyRule(channel="web", policy="all_or_nothing", baskets_wait=True)
    [refused] = World().take(DefineReservationPolicies(rules=(rule,)))
    assert isinstance(refused, CommandRefused)
    assert refused.code == "baskets_hold_nothing"


def test_a_log_that_passes_a_basket_over_or_gives_it_another_place_does_not_hold() -> None:
    world = shop()
    asked(world, ahead("b1", ("A", 2)))
    asked(world, accepted("o2", ("A", 2)))
    asked(world, of_basket("b1", accepted("o1", ("A", 2))))
    proven(world)
    at = next(n for n, row in enumerate(world.log) if row.type == PromiseConfirmed.TYPE)
    row = world.log[at]
    payload = orjson.loads(row.payload)
    payload["places"][0]["since"] = "2026-03-02T11:00:00Z"

    forged = [*world.log[:at], replace(row, payload=orjson.dumps(payload)), *world.log[at + 1 :]]
    violation = prove(forged).violation
    assert violation is not None
    assert "takes over another place than promise/b1 has" in violation.message


def test_the_page_tells_what_comes_of_its_steps() -> None:
    world, seen, receipts = World(), list[str](), count(1)
    for step, expected in worked("basket-waits"):
        word, *rest = step.split()
        match word:
            case "policies":
                world.take(DefineReservationPolicies(rules=(PolicyRule(channel="web", baskets_wait=True),)))
            case "receive":
                world.take(receive("A", int(rest[0])))
            case "expect":
                world.take(
                    expect("A", rest[0], int(rest[1]), expected_at=NOON + timedelta(days=int(rest[2])))
                )
            case "hold":
                answer = world.take(ahead(rest[0], ("A", int(rest[1]))))
                assert isinstance(answer[0], PromiseHeld)
            case "refused":
                assert isinstance(world.take(ahead(rest[0], ("A", int(rest[1]))))[0], CommandRefused)
            case "order":
                order = accepted(rest[0], ("A", int(rest[1])))
                world.take(of_basket(rest[2], order) if len(rest) > 2 else order)
            case "arrive":
                world.take(arrive("A", rest[0], f"R{next(receipts)}", int(rest[1])))
            case "expire":
                stream = f"promise/{rest[0]}"
                world.due(world.timers[stream, "expire"])
        settle(world)
        assert _figures(world) == expected, f"after `{step}`"
        seen.append(word)
    assert len(seen) >= 8
    proven(world)


def _figures(world: World) -> list[int]:
    """On hand, held, reserved, waited for, and what the web shop could be promised now."""
    part, soft = sku(world), world.balance
    on_hand = sum(part.on_hand.values())
    held, reserved = soft["A", "*", "held"], soft["A", "*", "reserved"]
    return [on_hand, held, reserved, part.wanted - part.reserved, part.claimable("web")]
