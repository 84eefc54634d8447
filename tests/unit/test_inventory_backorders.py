"""What may be waited for: caps and dates of backorders and pre-orders, what is refused, and what is told."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from libs.events.availability import SkuAvailability
from libs.events.backorders import BackorderRefused, Backorders, ChannelBackorders
from libs.events.bundles import BundlePart, DefineBundle
from libs.events.catalogue import encode
from libs.events.contract import Event
from libs.events.inventory import StockBackordered, StockReserved
from libs.events.policy import DefineReservationPolicies, PolicyName, PolicyRule
from libs.events.promise import DefinePromiseTerms, Wanted
from libs.events.refusal import CommandRefused
from libs.events.supply import CancelSupply, ExpectSupply
from services.inventory.availability import answer, state
from services.inventory.caps import left, waiting_beyond
from services.inventory.order import OrderPart
from services.inventory.proof import prove
from services.inventory.stock import EMPTY_SKU, SkuPart
from tests.spec import NOON
from tests.unit.inventory_page import table
from tests.unit.inventory_trade import accepted, adjust, cancelled, hold, of_basket, receive, unroutable
from tests.unit.inventory_world import World, fold, known


def shop(on_hand: int = 0, **caps: Any) -> World:
    """Two SKUs; of A no more may be waited for than the caps say."""
    world = World()
    for sku in ("A", "B"):
        if on_hand:
            world.take(receive(sku, on_hand))
    world.take(DefinePromiseTerms(sku="A", backorders=Backorders.model_validate(caps)))
    return world


def settle(world: World) -> list[Event]:
    events = list[Event]()
    while soon := [timer for timer in world.timers.values() if timer.due_at <= world.now]:
        events += world.due(soon[0])
    return events


def sku(world: World, name: str = "A") -> SkuPart:
    part = world.parts.get(f"sku/{name}", EMPTY_SKU)
    assert isinstance(part, SkuPart)
    return part


def order_part(world: World, order_id: str) -> OrderPart:
    part = world.parts[order_id]
    assert isinstance(part, OrderPart)
    return part


def refusal(events: list[Event]) -> BackorderRefused:
    [found] = [event for event in events if isinstance(event, BackorderRefused)]
    return found


def proven(world: World) -> None:
    proof = prove(world.log)
    assert proof.holds, proof.violation
    assert known(fold(world.folded)) == known(world.parts)


def test_so_many_wait_as_may_and_who_comes_then_is_told_so() -> None:
    world = shop(on_hand=2, units_max=3)
    [first] = world.take(accepted("1", ("A", 4)))
    assert isinstance(first, StockBackordered), "two lack, three may"
    [refused] = world.take(accepted("2", ("A", 2)))
    assert isinstance(refused, BackorderRefused)
    [why] = refused.why
    assert (why.sku, why.lacking, why.open, why.reason, why.terms_version) == ("A", 2, 1, "backorder_full", 1)
    assert refused.rest == ()
    assert sku(world).claims.keys() == {"1"}, "who is refused holds nothing and waits for nothing"
    [last] = world.take(accepted("3", ("A", 1)))
    assert isinstance(last, StockBackordered)
    world.take(receive("A", 2))
    settle(world)
    [again] = world.take(accepted("4", ("A", 2)))
    assert isinstance(again, StockBackordered), "who was served waits no more"
    proven(world)


def test_only_the_line_that_lacks_is_refused_and_the_rest_goes_on() -> None:
    world = shop(on_hand=2, units_max=0)
    events = world.take(accepted("1", ("A", 3), ("B", 2), ("A", 2)))
    assert [type(event) for event in events] == [BackorderRefused, StockReserved]
    refused, reserved = refusal(events), events[1]
    assert [(line.line, line.quantity) for line in refused.lines] == [(1, 3)]
    assert isinstance(reserved, StockReserved)
    assert [(line.line, line.sku, line.quantity) for line in reserved.lines] == [(2, "B", 2), (3, "A", 2)]
    assert reserved.lines == refused.rest
    assert world.take(unroutable("1", *refused.lines)) == [], "nothing of it is to be given back"
    proven(world)


def test_an_order_that_wants_all_or_nothing_is_refused_whole() -> None:
    world = shop(on_hand=2, units_max=0)
    world.take(DefineReservationPolicies(rules=(PolicyRule(policy="all_or_nothing"),)))
    refused = refusal(world.take(accepted("1", ("A", 3), ("B", 2))))
    assert [line.line for line in refused.lines] == [1, 2]
    assert refused.rest == ()
    proven(world)


def test_a_box_is_refused_whole() -> None:
    world = shop(on_hand=4, units_max=0)
    parts = (BundlePart(sku="A", quantity=2), BundlePart(sku="B", quantity=1))
    world.take(DefineBundle(sku="BOX", parts=parts))
    world.take(accepted("1", ("BOX", 3), ("B", 1), ("A", 3)))
    events = settle(world)
    refused = refusal(events)
    assert {line.sku for line in refused.lines} == {"A", "B"}
    assert refused.bundles is not None
    assert [part.line for part in refused.bundles[0].parts] == [line.line for line in refused.lines]
    assert [(line.line, line.sku) for line in refused.rest] == [(2, "B"), (3, "A")]
    assert isinstance(events[1], StockReserved)
    proven(world)


def test_what_a_basket_holds_counts_as_there() -> None:
    world = shop(on_hand=2, units_max=0)
    world.take(hold("basket", ("A", 2)))
    events = world.take(of_basket("basket", accepted("1", ("A", 2), ("A", 1))))
    assert [(line.line, line.quantity) for line in refusal(events).lines] == [(2, 1)]
    assert isinstance(events[-1], StockReserved)
    settle(world)
    assert sku(world).reserved == 2
    proven(world)


def test_a_basket_whose_order_is_refused_is_free_again() -> None:
    world = shop(on_hand=2, units_max=0)
    world.take(hold("basket", ("A", 2)))
    world.take(of_basket("basket", accepted("1", ("A", 3))))
    settle(world)
    assert (sku(world).reserved, sku(world).free) == (0, 2)
    proven(world)


def test_a_channel_has_its_own_cap_within_that_of_all() -> None:
    own = (ChannelBackorders(channel="marketplace", units_max=1),)
    world = shop(units_max=3, channels=own)
    market = {"channel": "marketplace"}
    [one] = world.take(accepted("1", ("A", 1)).model_copy(update=market))
    assert isinstance(one, StockBackordered)
    assert refusal(world.take(accepted("2", ("A", 1)).model_copy(update=market))).why[0].open == 0
    [web] = world.take(accepted("3", ("A", 2)))
    assert isinstance(web, StockBackordered)
    assert refusal(world.take(accepted("4", ("A", 1))))


@pytest.mark.parametrize("days", [-1, 4 * 365])
def test_nobody_waits_for_what_is_late_or_has_no_day_that_anybody_keeps(days: int) -> None:
    world = shop(inbound=True)
    when = NOON + timedelta(days=days)
    world.take(
        ExpectSupply(sku="A", supply_id="PO-1", node="N1", quantity=5, expected_at=when, stated_at=NOON)
    )
    assert refusal(world.take(accepted("1", ("A", 1)))).why[0].reason == "backorder_full"
    told = state("sku/A", 1, TypeAdapter(SkuPart).dump_json(sku(world)), world.now)
    assert told is not None
    assert told[0].backorders is not None
    assert told[0].backorders.units == 0


def test_a_purchase_order_stops_counting_the_day_it_is_late() -> None:
    world = shop(inbound=True)
    when = NOON + timedelta(days=3)
    world.take(
        ExpectSupply(sku="A", supply_id="PO-1", node="N1", quantity=5, expected_at=when, stated_at=NOON)
    )
    assert isinstance(world.take(accepted("1", ("A", 1)))[0], StockBackordered)
    world.now = when
    assert refusal(world.take(accepted("2", ("A", 1)))).why[0].reason == "backorder_full"


def test_no_more_wait_than_is_to_come_where_the_terms_say_so() -> None:
    world = shop(inbound=True)
    assert refusal(world.take(accepted("1", ("A", 1)))).why[0].reason == "backorder_full"
    expected = ExpectSupply(
        sku="A",
        supply_id="PO-1",
        node="N1",
        quantity=5,
        expected_at=NOON + timedelta(days=3),
        stated_at=NOON,
    )
    world.take(expected)
    [waits] = world.take(accepted("2", ("A", 4)))
    assert isinstance(waits, StockBackordered)
    assert refusal(world.take(accepted("3", ("A", 2)))).why[0].open == 1
    world.take(CancelSupply(sku="A", supply_id="PO-1", reason="The factory burnt down."))
    assert sku(world).claims["2"].wanted == 4, "who waits, waits on"
    assert refusal(world.take(accepted("4", ("A", 1)))).why[0].open == 0
    proven(world)


def test_a_pre_order_opens_and_closes() -> None:
    opens, closes = NOON + timedelta(days=1), NOON + timedelta(days=3)
    world = shop(units_max=10, opens_at=opens, closes_at=closes)
    assert refusal(world.take(accepted("1", ("A", 1)))).why[0].reason == "backorder_not_open"
    world.now = opens
    [waits] = world.take(accepted("2", ("A", 1)))
    assert isinstance(waits, StockBackordered)
    world.now = closes
    assert refusal(world.take(accepted("3", ("A", 1)))).why[0].reason == "backorder_closed"
    world.take(receive("A", 2))
    settle(world)
    [there] = world.take(accepted("4", ("A", 1)))
    assert isinstance(there, StockReserved), "what is on the shelf is sold at any time"


def test_who_loses_units_waits_whatever_the_cap_says() -> None:
    world = shop(on_hand=2, units_max=0)
    world.take(accepted("1", ("A", 2)))
    world.take(adjust("A", -1))
    [waits] = settle(world)
    assert isinstance(waits, StockBackordered)
    assert order_part(world, "1").status == "waiting"
    proven(world)


def test_a_log_whose_order_is_promised_what_was_refused_does_not_hold() -> None:
    world = shop(on_hand=2, units_max=0)
    world.take(accepted("1", ("A", 3), ("B", 2)))
    at = [row.type for row in world.log].index(BackorderRefused.TYPE)
    payload = orjson.loads(world.log[at].payload)
    payload["rest"][0]["quantity"] = 1
    told = replace(world.log[at], payload=orjson.dumps(payload))
    violation = prove([*world.log[:at], told, *world.log[at + 1 :]]).violation
    assert violation is not None
    assert "is of other lines than order 1 was unpacked into, or left with" in violation.message


def test_a_refused_order_is_over_here_and_comes_twice_without_a_word() -> None:
    world = shop(units_max=0)
    world.take(accepted("1", ("A", 1)))
    assert world.take(accepted("1", ("A", 1))) == []
    world.take(cancelled("1"))
    assert order_part(world, "1").status == "closed"


@pytest.mark.parametrize(
    ("terms", "code"),
    [
        ({"opens_at": NOON, "closes_at": NOON}, "closes_before_it_opens"),
        (
            {"channels": ({"channel": "web", "units_max": 1}, {"channel": "web", "units_max": 2})},
            "channel_twice",
        ),
    ],
)
def test_caps_that_cannot_be_meant_are_refused_by_name(terms: dict[str, Any], code: str) -> None:
    [refused] = World().take(DefinePromiseTerms(sku="A", backorders=Backorders.model_validate(terms)))
    assert isinstance(refused, CommandRefused)
    assert refused.code == code
    assert refused.next_step


def test_availability_and_its_topic_tell_what_may_still_be_waited_for_and_from_when() -> None:
    opens = NOON + timedelta(days=1)
    own = ({"channel": "marketplace", "units_max": 1},)
    world = shop(on_hand=1, units_max=5, channels=own, opens_at=opens)
    world.now = opens
    world.take(accepted("1", ("A", 3)))
    part = sku(world)
    [asked] = answer([Wanted(sku="A", quantity=1)], "web", {"A": part})["skus"]
    assert asked["backorders"] == {"units": 3, "opens_at": opens, "closes_at": None}
    stored = TypeAdapter(SkuPart).dump_json(part)
    told = state("sku/A", 4, stored)
    assert told is not None
    record = told[0]
    assert isinstance(record, SkuAvailability)
    assert record.backorders is not None
    assert (record.backorders.units, record.backorders.opens_at) == (3, opens)
    [market] = record.channels
    assert market.backorders is not None
    assert market.backorders.units == 1
    assert b"backorders" not in encode(SkuAvailability(sku="B", version=1, position=0, available=1))
    [plain] = answer([Wanted(sku="B", quantity=1)], "web", {"B": sku(world, "B")})["skus"]
    assert "backorders" not in plain


def test_each_figure_of_how_many_may_wait_is_what_comes_of_its_steps() -> None:
    world = World()
    rows = [line for line in table("caps") if "`" in line]
    assert len(rows) >= 8
    for row in rows:
        cells = [cell.strip() for cell in row.split("|")[1:-1]]
        step = cells[0].split("`")[1]
        match step.split():
            case ["receive", quantity]:
                world.take(receive("A", int(quantity)))
            case ["caps", "inbound", quantity]:
                when = {"expected_at": NOON + timedelta(days=9), "stated_at": NOON}
                world.take(ExpectSupply(sku="A", supply_id="PO-1", node="N1", quantity=int(quantity), **when))
                world.take(DefinePromiseTerms(sku="A", backorders=Backorders(inbound=True)))
            case ["caps", units_max, own]:
                channel, _, units = own.partition("=")
                channels = (ChannelBackorders(channel=channel, units_max=int(units)),)
                caps = Backorders(units_max=int(units_max), channels=channels)
                world.take(DefinePromiseTerms(sku="A", backorders=caps))
            case ["order" | "refused" as how, order_id, quantity, channel]:
                order = accepted(order_id, ("A", int(quantity))).model_copy(update={"channel": channel})
                [event] = world.take(order)
                assert isinstance(event, BackorderRefused) == (how == "refused"), step
            case _:
                raise AssertionError(f"`{step}` is no step that this test knows")
        settle(world)
        part = sku(world)
        open_to = ["" if (n := left(part, channel)) is None else str(n) for channel in ("web", "marketplace")]
        figures = [str(sum(part.on_hand.values())), str(waiting_beyond(part)), *open_to]
        assert figures == cells[1:], f"after `{step}`"


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.tuples(
                st.just("order"),
                st.lists(st.tuples(st.sampled_from("AB"), st.integers(1, 5)), min_size=1, max_size=3),
                st.sampled_from(["web", "pos"]),
            ),
            st.tuples(st.just("receive"), st.integers(1, 4), st.sampled_from("AB")),
            st.tuples(st.just("cancel"), st.integers(0, 10), st.just("")),
        ),
        max_size=25,
    ),
    st.sampled_from(["together", "partial", "all_or_nothing"]),
    st.integers(0, 6),
)
def test_never_do_more_wait_than_may(steps: list[Any], policy: PolicyName, cap: int) -> None:
    world = shop(units_max=cap, channels=({"channel": "pos", "units_max": 2},))
    world.take(DefineReservationPolicies(rules=(PolicyRule(channel="web", policy=policy),)))
    for number, (what, one, other) in enumerate(steps):
        if what == "order":
            if policy == "all_or_nothing":
                one = [("A", units) for _, units in one]  # for what is there of another it may come to wait
            world.take(accepted(f"o{number}", *one).model_copy(update={"channel": other}))
        elif what == "receive":
            world.take(receive(other, one))
        elif f"o{one}" in world.parts:
            world.take(cancelled(f"o{one}"))
        settle(world)
        assert waiting_beyond(sku(world)) <= cap
        assert waiting_beyond(sku(world), "pos") <= 2
    proven(world)
