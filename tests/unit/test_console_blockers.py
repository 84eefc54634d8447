"""What blocks an order, since when, who acts next: for every status that an order can have."""

import random
from collections.abc import Iterator
from datetime import datetime

import pytest

from libs.events.intake import ExceptionResolved
from libs.runtime.settings import STAGES
from services.console.blockers import OWNERS, blockers
from services.console.facts import INITIAL, State
from services.console.orders import evolve
from services.console.rules import SHIPPED
from services.console.standing import OPEN, status
from tests.console_database import by_stage
from tests.console_lives import LIVES, unroutable
from tests.console_reviews import reviewed, turned_down
from tests.unit.test_console_orders import folded, in_order

ALL = {**LIVES, "reviewed": reviewed, "turned_down": turned_down}


def moments(life: str, seeds: range = range(30)) -> Iterator[State]:
    """The states of an order's life, whichever stage's news comes first."""
    topics = by_stage(ALL[life]("o-1"))
    for seed in seeds:
        turn, state = random.Random(seed), INITIAL
        ahead = {stage: list(events) for stage, events in topics.items() if events}
        while ahead:
            stage = turn.choice(sorted(ahead)[: 1 + seed % len(STAGES)])
            state = evolve(state, ahead[stage].pop(0))
            if not ahead[stage]:
                del ahead[stage]
            yield state


@pytest.mark.parametrize("life", ALL)
def test_at_every_moment_it_is_said_what_blocks_since_when_and_who_acts(life: str) -> None:
    for state in moments(life):
        found = blockers(state, SHIPPED)
        assert all(one.what and one.next_step and one.owner in OWNERS for one in found)
        assert all(isinstance(one.since, datetime) for one in found), (status(state), found)
        if state.intake.closed_at is None and status(state) != "rejected":
            assert found, status(state)


def test_every_open_status_is_met_in_the_lives() -> None:
    met = {status(state) for life in ALL for state in moments(life)}
    assert met >= {"incoming", "held", *OPEN}, {"incoming", "held", *OPEN} - met


def standing(wanted: str) -> State:
    return next(state for life in LIVES for state in moments(life) if status(state) == wanted)


def test_a_held_order_waits_for_whoever_settles_its_hold() -> None:
    [first, *_] = blockers(standing("held"), SHIPPED)
    assert first.hold is not None
    assert first.what.startswith(f"Hold {first.hold}: ")
    assert "release" in first.next_step


@pytest.mark.parametrize(
    ("wanted", "owner"),
    [
        ("backordered", "purchasing"),
        ("released", "warehouse"),
        ("packed", "warehouse"),
        ("shipped", "carrier"),
        ("accepted", "system"),
    ],
)
def test_who_acts_next_is_who_can(wanted: str, owner: str) -> None:
    assert owner in {one.owner for one in blockers(standing(wanted), SHIPPED)}


def test_what_a_person_must_do_comes_first() -> None:
    for life in ALL:
        for state in moments(life):
            by_itself = [one.owner in ("system", "carrier") for one in blockers(state, SHIPPED)]
            assert by_itself == sorted(by_itself)


def test_a_closed_order_waits_for_nothing_but_its_return() -> None:
    ended = [state for state in moments("delivered") if state.intake.outcome is not None]
    assert {one.owner for state in ended for one in blockers(state, SHIPPED)} <= {"customer", "support"}
    assert not [one for one in blockers(ended[-1], SHIPPED) if "could not be sent" not in one.what]


def test_units_that_no_node_may_ship_are_said_until_a_person_has_seen_to_them() -> None:
    life = unroutable("o-1")
    state = folded(in_order(life))
    assert status(state) == "unroutable"
    [one] = blockers(state, SHIPPED)
    assert one.owner == "operations"
    assert one.what == "No node may ship 12 units, and they were given up: No node ships to GB."
    seen = ExceptionResolved(order_id="o-1", item="unroutable/1", note="The customer took another.")
    later = {**life, "intake": [*life["intake"], seen]}
    assert blockers(folded(in_order(later)), SHIPPED) == ()


@pytest.mark.parametrize("wanted", ["held", "backordered", "unroutable"])
def test_an_exceptions_owner_and_next_step_are_the_rules(wanted: str) -> None:
    rules = tuple(
        rule.model_copy(update={"owner": "platform", "next_step": f"See to {rule.kind}."}) for rule in SHIPPED
    )
    [first, *_] = blockers(standing(wanted), rules)
    assert first.owner == "platform"
    assert first.next_step.startswith("See to ")
