"""A plan that is held for review, as the console tells of it: status, who acts next, its item, its time."""

from collections.abc import Callable
from dataclasses import replace
from itertools import zip_longest

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.events.changes import HoldPlaced
from libs.events.contract import Event
from libs.events.envelope import Envelope
from services.console.blockers import blockers
from services.console.customer_view import customer_view
from services.console.facts import State
from services.console.items import items
from services.console.order_view import preview_cancel
from services.console.rules import SHIPPED
from services.console.segments import SEGMENTS, broken, delays, waiting
from services.console.sentences import sentence
from services.console.standing import in_review, line_standings, milestones, nodes, status
from tests.console_lives import Life
from tests.console_parts import at, envelopes
from tests.console_reviews import FAR, held, nothing_left, passed, reviewed, turned_down
from tests.unit.test_console_orders import ORDER, folded, in_order, interleavings, published, until


def test_an_order_whose_plan_is_held_says_why_since_when_and_who_acts_next() -> None:
    state = until(reviewed(ORDER), intake=1, inventory=1, routing=1)
    assert status(state) == "in_review"
    [one] = blockers(state, SHIPPED)
    assert one.what == f"Its plan is to be reviewed before it is carried out. {FAR.message}"
    assert (one.since, one.owner, one.review) == (at(1), "operations", 1)
    assert one.next_step == "Approve its plan, name other nodes on the order's page, or cancel the order."
    assert [line.units for line in line_standings(state)] == [{"in_review": 10}, {"in_review": 2}]
    assert milestones(state).routed is None
    assert nodes(state) == []
    assert preview_cancel(state).possible
    assert customer_view(state).standing == "preparing"
    [item] = items(state)
    assert (item.name, item.since, item.ended_at, item.units) == ("review/1", at(1), None, 12)
    assert item.reason == FAR.message


def test_once_approved_it_goes_on_and_what_was_held_is_over() -> None:
    state = until(reviewed(ORDER), intake=1, inventory=3, routing=3)
    assert (status(state), in_review(state)) == ("routed", None)
    assert [one.review for one in blockers(state, SHIPPED)] == [None]
    found = {item.name: (item.since, item.ended_at) for item in items(state)}
    assert found["review/1"] == (at(1), at(2)), "the stock was lost"
    assert found["review/2"] == (at(2), at(3)), "somebody approved it"
    assert [one.round for one in state.routing.decisions] == [1, 2]
    assert milestones(state).routed == at(3)


def test_a_plan_that_is_overtaken_waits_for_nobody() -> None:
    state = until(reviewed(ORDER), intake=1, inventory=2, routing=1)
    assert (status(state), in_review(state)) == ("backordered", None)
    assert [one.review for one in blockers(state, SHIPPED)] == [None]
    assert not [item for item in items(state) if item.kind == "review" and item.ended_at is None]
    again = until(reviewed(ORDER), intake=1, inventory=3, routing=2)
    assert (status(again), [one.review for one in blockers(again, SHIPPED)]) == ("in_review", [2])


def test_a_cancelled_order_leaves_nothing_to_review() -> None:
    for state in (
        folded(in_order(turned_down(ORDER))),
        until(turned_down(ORDER), intake=1, routing=1, inventory=2),
    ):
        assert in_review(state) is None
        [item] = [one for one in items(state) if one.kind == "review"]
        assert item.ended_at == at(2)
    stopped = until(turned_down(ORDER), intake=2, inventory=1, routing=1)
    assert [one.review for one in blockers(stopped, SHIPPED)] == [1, None], "it is being cancelled"


def test_lines_that_nobody_wants_any_more_are_held_no_more_though_the_order_goes_on() -> None:
    life = {**reviewed(ORDER), "inventory": nothing_left(ORDER)}
    state = until(life, intake=1, inventory=2, routing=1)
    assert in_review(state) is None
    assert [item.ended_at for item in items(state)] == [at(2)]


def test_an_order_that_is_held_by_hand_as_well_says_both() -> None:
    life = reviewed(ORDER)
    placed = HoldPlaced(order_id=ORDER, hold="fraud_review", message="Ask the bank.")
    state = until({**life, "intake": [life["intake"][0], placed]}, intake=2, inventory=1, routing=1)
    assert status(state) == "held"
    found = blockers(state, SHIPPED)
    assert {(one.hold, one.review) for one in found} == {("fraud_review", None), (None, 1)}


def minutes(state: State) -> dict[str, float]:
    found = delays(state)
    assert found is not None
    return {name: us / 60_000_000 for name, us in zip(SEGMENTS, found.us, strict=True) if us}


def test_the_time_of_a_review_is_a_hold_and_all_adds_up() -> None:
    times = {
        "intake": (0, 300),
        "inventory": (0, 20, 30, 60),
        "routing": (0, 30, 60),
        "fulfillment": (65, 75, 80, 95),
    }
    life = reviewed(ORDER)
    told: list[Envelope[Event]] = []
    for stage, minutes_of in times.items():
        told += [
            replace(one, at=at(minute))
            for one, minute in zip_longest(envelopes(stage, life[stage]), minutes_of, fillvalue=250)
            if isinstance(one, Envelope) and isinstance(minute, int)
        ]
    state = folded(told)
    assert minutes(state) == {
        "stock": 10,
        "hold": 20 + 30,
        "queue": 5,
        "pick": 10,
        "pack": 20,
        "carrier": 105,
    }
    assert broken(state).split()[:2] == ["held", "backordered"]


@pytest.mark.parametrize(
    ("arrived", "expected"),
    [
        ({"intake": 1, "inventory": 1, "routing": 1}, ("hold", at(1))),
        ({"intake": 1, "inventory": 2, "routing": 1}, ("stock", at(1))),
        ({"intake": 1, "inventory": 3, "routing": 2}, ("hold", at(2))),
        ({"intake": 1, "inventory": 3, "routing": 3}, ("queue", at(3))),
    ],
)
def test_while_it_waits_the_order_is_in_hold(arrived: dict[str, int], expected: object) -> None:
    state = until(reviewed(ORDER), **arrived)
    assert waiting(state, status(state)) == expected


@pytest.mark.parametrize("life", [reviewed, turned_down])
@given(data=st.data())
@settings(deadline=None, max_examples=60)
def test_whichever_topic_is_read_first_the_order_is_the_same(
    life: Callable[[str], Life], data: st.DataObject
) -> None:
    stages = published(life(ORDER))
    told = folded([one for events in stages for one in events])
    assert folded(data.draw(interleavings(stages))) == told


def test_the_timeline_says_what_was_held_and_how_it_passed() -> None:
    assert sentence(held(ORDER, 2)) == (f"Plan held for review (round 2): LON (12 units). {FAR.message}")
    assert (
        sentence(passed(ORDER, 2))
        == "Routed to LON (12 units) (round 2), approved in review: A good customer."
    )
    instead = passed(ORDER, reason="")
    assert instead.reviewed is not None
    instead = instead.model_copy(update={"reviewed": instead.reviewed.model_copy(update={"instead": True})})
    assert sentence(instead) == "Routed to LON (12 units), named in review."
