"""What the read model says of an order that support changes, while it does and afterwards."""

from hypothesis import given
from hypothesis import strategies as st

from services.console.blockers import blockers
from services.console.documents import MILESTONES, order_document
from services.console.facts import State
from services.console.items import items
from services.console.orders import evolve
from services.console.rules import SHIPPED
from services.console.standing import line_standings, open_holds, status
from services.console.stored import write_state
from tests.console_changes import changed_by_support
from tests.console_parts import envelopes
from tests.unit.test_console_orders import ORDER, folded, in_order, published, until

LIFE = changed_by_support(ORDER)


def units(state: State) -> list[dict[str, int]]:
    return [dict(line.units) for line in line_standings(state)]


def test_an_order_that_a_person_holds_is_held_until_the_release() -> None:
    held = until(LIFE, intake=2, inventory=2)
    assert status(held) == "held"
    [blocker] = blockers(held, SHIPPED)
    assert (blocker.hold, blocker.what) == ("fraud_review", "Hold fraud_review: Ask the bank.")
    assert [(item.name, item.ended_at) for item in items(held)] == [("hold/fraud_review", None)]
    assert status(until(LIFE, intake=6, inventory=2)) == "allocated"


def test_cancelled_units_are_told_apart_and_add_up_at_every_moment() -> None:
    seen = folded([*envelopes("intake", LIFE["intake"]), *envelopes("inventory", LIFE["inventory"])][:9])
    for event in envelopes("fulfillment", LIFE["fulfillment"]):
        seen = evolve(seen, event)
        for line in line_standings(seen):
            assert sum(line.units.values()) == line.ordered, event.body
    at_node = until(LIFE, intake=8, inventory=4, fulfillment=4)
    assert units(at_node) == [{"released": 5, "cancelled": 5}, {"cancelled": 2}]
    assert units(folded(in_order(LIFE))) == [{"delivered": 5, "cancelled": 5}, {"cancelled": 2}]


def test_a_cancellation_blocks_until_it_is_decided() -> None:
    asked = until(LIFE, intake=9, inventory=4, fulfillment=5)
    assert "A cancellation of lines is being decided." in [one.what for one in blockers(asked, SHIPPED)]
    answered = until(LIFE, intake=9, inventory=4, fulfillment=6)
    assert "A cancellation of lines is being decided." not in [
        one.what for one in blockers(answered, SHIPPED)
    ]
    last = answered.fulfillment.line_cancellations[f"{ORDER}-C3"]
    assert (dict(last.kept), dict(last.cancelled)) == ({1: 2}, {})
    assert "picked" in last.why_kept


def test_a_hold_that_came_too_late_holds_nothing() -> None:
    state = until(LIFE, intake=9, inventory=4, fulfillment=7)
    assert open_holds(state) == ()
    assert status(state) == "picking"
    assert all(item.ended_at for item in items(state) if item.kind == "hold")


@given(st.data())
def test_the_same_state_whatever_stage_is_heard_first(data: st.DataObject) -> None:
    stages = published(LIFE)
    state, left = folded([]), [list(events) for events in stages if events]
    while left:
        events = data.draw(st.sampled_from(left))
        state = evolve(state, events.pop(0))
        status(state), blockers(state, SHIPPED), items(state)
        left = [rest for rest in left if rest]
    assert state == folded([event for events in stages for event in events])


def test_the_query_api_tells_what_became_of_each_cancellation() -> None:
    state = until(LIFE, intake=9, inventory=4, fulfillment=7)
    moments = {f"{name}_at": None for name in MILESTONES}
    document = order_document({"tenant": "acme", "facts": write_state(state).facts(), **moments})
    first, second, third = document["line_cancellations"]
    assert first["cancelled"] == [{"line": 1, "quantity": 3}, {"line": 2, "quantity": 2}]
    assert (second["cancelled"], second["kept"]) == ([{"line": 1, "quantity": 2}], [])
    assert (third["kept"], third["why_kept"]) == (
        [{"line": 1, "quantity": 2}],
        "Too late: 2 of A are picked already.",
    )
    released, late = document["holds"]
    assert (released["declined_at"], late["declined_at"] is None) == (None, False)
