"""What the read side tells of an amended order, whichever stage's topic is read first."""

from collections.abc import Sequence
from datetime import date
from itertools import permutations

from libs.events.amendments import (
    AllocationOutdated,
    AmendmentDeclined,
    HeldOrderAmended,
    OrderAmended,
    OrderAmendmentRequested,
    StockDeallocated,
)
from libs.events.contract import Event
from libs.events.intake import OrderAccepted, OrderHeld
from libs.events.order import Destination, NodeLines
from services.console.amend_view import amendments, terms_now
from services.console.amended import Changed
from services.console.change_view import preview_amend
from services.console.customer_view import customer_view
from services.console.facts import INITIAL, State
from services.console.order_view import order_view
from services.console.orders import evolve
from services.console.promises import order_promise
from services.console.search.entries import entries
from services.console.sentences import sentence
from services.console.stored import read_state, write_state
from tests.console_lives import BOTH, terms
from tests.console_parts import CONTACT, envelopes, move
from tests.unit.test_console_dates import by, plan

NORTH = Destination(country="IE", postcode_area="D02")
WANTED = {"destination": NORTH, "contact": CONTACT, "service": "express", "reason": "moved"}
AT = {"order_id": "o1", "amendment_id": "o1-A1"}
REQUESTED = OrderAmendmentRequested.model_validate({**AT, **WANTED})
AGREED = OrderAmended.model_validate({**AT, **WANTED})
LATE = AmendmentDeclined(**AT, reason="Too late to amend: o1-F1 is released at LON.")
OUTDATED = AllocationOutdated(order_id="o1", round=1, nodes=(NodeLines(node="LON", lines=BOTH),))
FREED = StockDeallocated(
    order_id="o1", round=1, lines=BOTH, movements=(move("A", "LON", "allocated", "on_hand", 10),)
)
ACCEPTED = OrderAccepted(**terms("o1"))
ORDER_EVENT = ": o1."
"""How the sentence of an event ends that has none."""


def known(*stages: Sequence[Event]) -> State:
    """The order after what each stage said, the stages one after the other, as it is read back."""
    state = INITIAL
    for number, events in enumerate(stages):
        for envelope in envelopes(f"s{number}", events):
            state = evolve(state, envelope)
    return read_state(write_state(state).facts())


def test_the_order_goes_where_fulfillment_agreed_to_in_whatever_order_it_is_read() -> None:
    stages: tuple[list[Event], ...] = (
        [ACCEPTED, REQUESTED],
        [AGREED, OUTDATED],
        [plan(1, by(6)), plan(2, by(4))],
        [FREED],
    )
    for order in permutations(stages):
        state = known(*order)
        assert terms_now(state) == Changed("IE", "D02", "express")
        [one] = amendments(state)
        assert (one.what, one.declined) == ("the address (IE D02) and the service (express)", "")
        assert one.decided_at is not None
        promise = order_promise(state)
        assert promise is not None
        assert promise.promised.deliver_by == date(2026, 3, 4), "told anew: the date of before is void"
        assert promise.standing == "open"
        page = customer_view(state)
        assert (page.changed, page.deliver_by) == ("done", date(2026, 3, 4))


def test_while_it_is_decided_it_says_so_and_what_came_too_late_changes_nothing() -> None:
    asked = known([ACCEPTED, REQUESTED])
    assert terms_now(asked) == terms_now(known([ACCEPTED]))
    assert customer_view(asked).changed == "asked"
    blocked = [one.what for one in order_view("o1", asked, ()).blocked]
    assert "A change of the address (IE D02) and the service (express) is being decided." in blocked
    late = known([ACCEPTED, REQUESTED], [LATE])
    assert terms_now(late) == terms_now(asked)
    assert [one.declined for one in amendments(late)] == [LATE.reason]
    assert customer_view(late).changed == "too_late"


def test_a_held_order_is_amended_at_once() -> None:
    held = OrderHeld.model_validate({**terms("o1"), "holds": ({"name": "address", "message": "Ask."},)})
    state = known([held, HeldOrderAmended.model_validate({**AT, **WANTED})])
    assert terms_now(state) == Changed("IE", "D02", "express")
    assert amendments(state)[0].decided_at is not None
    assert (
        preview_amend(state, "FR", "").details[0].startswith("It goes to the new address in FR instead of IE")
    )


def test_the_timeline_names_no_address_and_the_search_finds_the_new_one_last() -> None:
    held = HeldOrderAmended.model_validate({**AT, **WANTED})
    for event in (REQUESTED, held, AGREED, LATE, OUTDATED, FREED):
        assert CONTACT.ciphertext not in sentence(event)
        assert ORDER_EVENT not in sentence(event), "it has one of its own"
    assert sentence(AGREED) == (
        "Changed the address (IE D02) and the service (express); nothing was at a node: moved."
    )
    assert sentence(OUTDATED).startswith("To be planned anew, as the order was changed: ")
    second = AGREED.model_copy(update={"amendment_id": "o1-A12"})
    ranks = [parts[-1].newness for event in (ACCEPTED, AGREED, second) if (parts := entries("t", event)[0])]
    assert ranks == sorted(ranks)
    assert len(set(ranks)) == 3
