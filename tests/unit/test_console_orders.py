"""The read model of an order: the same whatever arrives first, and what it says of where the order stands."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.events.amendments import FULFILLMENT_AMENDMENTS, INTAKE_AMENDMENTS, INVENTORY_AMENDMENTS
from libs.events.availability import AVAILABILITY_EVENTS
from libs.events.backorders import BACKORDER_EVENTS, BackorderRefused
from libs.events.bundles import BundlePlanDropped, BundlePlanned
from libs.events.catalogue import EVENTS
from libs.events.contract import Event
from libs.events.dates import DATES_EVENTS
from libs.events.envelope import Envelope
from libs.events.exception_rules import RULE_EVENTS
from libs.events.inventory import Claim, ReservationBroken, StockPegged, StockReturned
from libs.events.outside import OUTSIDE_EVENTS
from libs.events.parked import PARKED_EVENTS
from libs.events.parked_exceptions import PARKED_EXCEPTION_EVENTS
from libs.events.policy import POLICY_EVENTS, BackorderLapsed
from libs.events.promise import HoldsFilled, PromiseDated
from libs.events.reach import REACH_EVENTS
from libs.events.refusal import CommandRefused
from libs.events.stock_exceptions import STOCK_EXCEPTION_EVENTS
from libs.events.substitutes import SubstitutesSought
from services.console.facts import INITIAL, State
from services.console.orders import evolve
from services.console.projection import Changes, LaneKey, OrderKey, fold, order_row, unheard
from services.console.sentences import claim_sentence, money, sentence
from services.console.standing import STATUSES, line_standings, milestones, returned_units, status
from services.console.stored import read_state, write_state
from tests.console_bundles import boxed, made
from tests.console_changes import changed_by_support
from tests.console_lives import LIVES, Life, cancelled, delivered, receipts, troubled
from tests.console_parts import at, baskets, envelopes, move
from tests.console_reviews import reviewed
from tests.contract.example_backorders import BACKORDERS
from tests.contract.example_parts import ORDER as EXAMPLE
from tests.contract.example_policies import POLICIES
from tests.contract.examples import EXAMPLES

ORDER = "o-1"
Published = Sequence[Envelope[Event]]


def published(life: Life) -> list[list[Envelope[Event]]]:
    """Per stage, what it publishes."""
    return [envelopes(stage, events) for stage, events in life.items()]


def folded(published_events: Published) -> State:
    state = INITIAL
    for envelope in published_events:
        state = evolve(state, envelope)
    return state


def in_order(life: Life) -> list[Envelope[Event]]:
    return [envelope for events in published(life) for envelope in events]


def until(life: Life, **count: int) -> State:
    """The state when only so many events of each stage have arrived."""
    return folded([e for stage, n in count.items() for e in envelopes(stage, life[stage][:n])])


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"])
def test_a_time_beyond_the_calendar_stops_no_projection(text: str) -> None:
    never = datetime.fromisoformat(text)
    life: list[Envelope[Event]] = []
    for envelope in in_order(delivered(ORDER)):
        changed = {name: never for name in ("placed_at", "occurred_at") if hasattr(envelope.body, name)}
        life.append(replace(envelope, body=envelope.body.model_copy(update=changed)))
    state = folded(life)
    row = order_row(OrderKey("acme", ORDER), write_state(state))
    assert row.ordered_at is not None
    assert row.ordered_at.tzinfo is UTC


@st.composite
def interleavings(draw: st.DrawFn, stages: list[list[Envelope[Event]]]) -> list[Envelope[Event]]:
    """One arrival order of several topics, each in its own order."""
    turns = draw(st.permutations([n for n, events in enumerate(stages) for _ in events]))
    ahead = [iter(events) for events in stages]
    return [next(ahead[turn]) for turn in turns]


@st.composite
def batches(draw: st.DrawFn, events: Published) -> list[Published]:
    """The same events, cut into batches."""
    cuts = sorted(draw(st.sets(st.integers(1, max(1, len(events) - 1)), max_size=6)))
    return [events[a:b] for a, b in zip([0, *cuts], [*cuts, len(events)], strict=True)]


def digest(changes: Sequence[Changes]) -> str:
    """What the database would hold after these batches, in key order, as one hash."""
    rows: dict[object, tuple[object, ...]] = {}
    sums: dict[object, tuple[int, ...]] = {}
    for change in changes:
        rows |= {key: order_row(key, write_state(state)) for key, state in change.states.items()}
        rows |= {row[:5]: row for row in change.timeline}
        rows |= dict.fromkeys(change.skus, ())
        for key, units in [
            *((k, tuple(v)) for k, v in change.reservations.items()),
            *((k, (v,)) for k, v in change.balances.items()),
        ]:
            sums[key] = tuple(a + b for a, b in zip(sums.get(key, (0,) * len(units)), units, strict=True))
    text = repr(sorted((repr(k), [str(cell) for cell in v]) for k, v in {**rows, **sums}.items()))
    return hashlib.sha256(text.encode()).hexdigest()


def project(parts: Sequence[Published]) -> str:
    """Fold batch by batch as the store does, states through their stored form."""
    stored: dict[OrderKey, str] = {}
    done = []
    for part in parts:
        known = {key: read_state(facts) for key, facts in stored.items()}
        changes = fold(part, known)
        stored |= {key: write_state(state).facts() for key, state in changes.states.items()}
        done.append(changes)
    return digest(done)


@given(st.data(), st.sampled_from(sorted(LIVES)))
@settings(deadline=None)
def test_any_interleaving_of_the_topics_folds_to_the_same_order(data: st.DataObject, life: str) -> None:
    stages = published(LIVES[life](ORDER))
    arrived = data.draw(interleavings(stages))
    state = folded(arrived)
    assert state == folded([e for events in stages for e in events])
    assert status(state) == life


@given(st.data())
@settings(deadline=None)
def test_events_in_any_number_fold_the_same_whatever_topic_is_first(
    data: st.DataObject,
) -> None:
    pool = [LIVES[life](ORDER) for life in sorted(LIVES)]
    stages = []
    for stage in EVENTS:
        known = [event for life in pool for event in life.get(stage, ())]
        stages.append(envelopes(stage, data.draw(st.lists(st.sampled_from(known), max_size=8))))
    one, other = data.draw(interleavings(stages)), data.draw(interleavings(stages))
    assert folded(one) == folded(other)
    assert status(folded(one)) in STATUSES


@given(st.data())
@settings(deadline=None, max_examples=30)
def test_the_digest_depends_neither_on_arrival_nor_on_batches(data: st.DataObject) -> None:
    both = [*published(delivered(ORDER)), *published(troubled("o-2"))]
    other_lane = [replace(e, lane=1) for events in both[6:] for e in events]
    stages = [*both[:6], envelopes("inventory", receipts(ORDER), lane=2), other_lane]
    straight = [e for events in stages for e in events]
    arrived = data.draw(interleavings(stages))
    assert project(data.draw(batches(arrived))) == project([straight])


@pytest.mark.parametrize("life", LIVES)
def test_the_state_survives_being_stored(life: str) -> None:
    state = folded(in_order(LIVES[life](ORDER)))
    assert read_state(write_state(state).facts()) == state


def test_no_personal_data_is_kept() -> None:
    row = order_row(OrderKey("acme", ORDER), write_state(folded(in_order(delivered(ORDER)))))
    assert "c:17850" in row.facts
    assert "ciphertext" not in row.facts
    assert "BBBBBBBB" not in row.facts


def test_a_refused_command_is_told_and_changes_nothing() -> None:
    life = cancelled(ORDER)
    heard = envelopes("intake", life["intake"])
    without = [e for e in heard if not isinstance(e.body, CommandRefused)]
    assert len(without) < len(heard)
    assert folded(heard) == folded(without)
    told = [row.sentence for row in fold(heard, {}).timeline]
    assert "Refused to release hold: The order has no hold credit_limit. Look at its holds." in told


@pytest.mark.parametrize(
    ("arrived", "expected"),
    [
        ({"intake": 1}, "held"),
        ({"intake": 2}, "accepted"),
        ({"notifications": 0}, "incoming"),
        ({"intake": 3}, "accepted"),
        ({"inventory": 1}, "reserved"),
        ({"intake": 3, "inventory": 1}, "reserved"),
        ({"intake": 3, "inventory": 1, "routing": 1}, "routed"),
        ({"intake": 3, "routing": 1}, "routed"),
        ({"intake": 3, "inventory": 2, "routing": 1}, "allocated"),
        ({"intake": 3, "fulfillment": 1}, "released"),
        ({"intake": 3, "inventory": 2, "fulfillment": 2}, "picking"),
        ({"intake": 3, "inventory": 2, "fulfillment": 3}, "short_picked"),
        ({"intake": 3, "inventory": 4, "routing": 1, "fulfillment": 3}, "reserved"),
        ({"intake": 3, "inventory": 4, "routing": 2, "fulfillment": 3}, "routed"),
        ({"intake": 3, "inventory": 5, "routing": 2, "fulfillment": 4}, "reserved"),
        ({"intake": 3, "inventory": 6, "routing": 2, "fulfillment": 4}, "backordered"),
        ({"intake": 3, "inventory": 8, "routing": 3, "fulfillment": 5}, "released"),
        ({"intake": 3, "inventory": 8, "routing": 3, "fulfillment": 7}, "packed"),
        ({"intake": 3, "inventory": 8, "routing": 3, "fulfillment": 8}, "shipped"),
        ({"intake": 4, "inventory": 8, "routing": 3, "fulfillment": 11}, "partly_delivered"),
        ({"intake": 5}, "partly_delivered"),
    ],
)
def test_the_status_is_that_of_the_least_advanced_unit(arrived: dict[str, int], expected: str) -> None:
    assert status(until(troubled(ORDER), **arrived)) == expected


def test_a_shipment_that_the_carrier_has_is_in_transit() -> None:
    assert status(until(delivered(ORDER), intake=1, fulfillment=5)) == "in_transit"


def test_units_of_a_line_add_up_to_what_was_ordered_at_every_moment() -> None:
    life = troubled(ORDER)
    seen = folded(envelopes("intake", life["intake"][:3]))
    for event in [*envelopes("fulfillment", life["fulfillment"])]:
        seen = evolve(seen, event)
        for line in line_standings(seen):
            assert sum(line.units.values()) == line.ordered, (event.body.TYPE, line)
    first = line_standings(seen)[0]
    assert dict(first.units) == {"delivered": 7, "lost": 3}


def test_returned_units_are_counted_beside_the_delivered_ones() -> None:
    state = folded(in_order(delivered(ORDER)))
    assert returned_units(state) == {1: 5}
    assert dict(line_standings(state)[0].units) == {"delivered": 10}


def test_each_milestone_has_its_own_time() -> None:
    moments = milestones(folded(in_order(delivered(ORDER))))
    expected: dict[str, datetime] = {
        "confirmed": at(1),
        "paid": at(1),
        "routed": at(1),
        "picking": at(1),
        "shipped": at(4),
        "picked_up": at(60),
        "delivered": at(200),
    }
    assert {name: getattr(moments, name) for name in expected} == expected


def test_what_has_not_happened_has_no_milestone() -> None:
    moments = milestones(until(cancelled(ORDER), intake=1, inventory=1))
    assert moments.confirmed == at(1)
    assert [moments.paid, moments.routed, moments.picking, moments.shipped] == [None] * 4
    half = milestones(until(troubled(ORDER), intake=3, fulfillment=10))
    assert half.shipped is not None
    assert half.delivered is None, "a parcel is still on its way"


def test_who_waits_under_a_policy_is_told_of() -> None:
    [lapsed] = [full for full, _ in POLICIES if isinstance(full, BackorderLapsed)]
    assert sentence(lapsed) == "Waited 14 days in vain: gives up 6 units."
    claims = (Claim(order_id=ORDER, quantity=2),)
    lost = ReservationBroken(sku="MUG", claims=claims, cause="reallocated", movements=())
    won = StockPegged(sku="MUG", claims=claims, cause="reallocated", movements=())
    assert claim_sentence(lost, ORDER) == "2 promised units of MUG given to who is before it in the queue."
    assert "given to the order, from who is behind it" in claim_sentence(won, ORDER)


def test_what_nobody_may_wait_for_is_told_with_its_reason() -> None:
    refused = BACKORDERS[0][0]
    assert isinstance(refused, BackorderRefused)
    assert sentence(refused) == (
        "Refused 6 units. Not available: 4 of 85123A lack, and no more than 3 may still be waited for; "
        "1 of 71053 lack, and it cannot be waited for any more."
    )


def test_a_unit_that_came_back_to_another_node_is_one_unit() -> None:
    """Its movements pass through `transfer` (services.inventory.returned)."""
    moves = [
        ("LON", "issued", "transfer", 3),
        ("MAN", "transfer", "on_hand", 1),
        ("MAN", "transfer", "scrapped", 2),
    ]
    returned = StockReturned(
        order_id=ORDER, rma_id="R1", movements=tuple(move("MUG", *found) for found in moves)
    )
    assert sentence(returned) == "Booked 1 returned unit of R1 into stock, 2 scrapped."


AFTERWARDS = {
    "oms.intake.held_order_cancelled": "Cancelled before it was accepted: nothing of it had been promised.",
    "oms.inventory.return_quarantined": f"Set 1 returned unit of {EXAMPLE}-R1 aside, to be looked at.",
    "oms.returns.void_requested": "Void of 35.25 GBP requested, which was never paid.",
}


@pytest.mark.parametrize("type_", AFTERWARDS)
def test_what_is_let_go_and_set_aside_is_told(type_: str) -> None:
    event = EXAMPLES[type_]["full"]
    assert isinstance(event, Event)
    assert sentence(event) == AFTERWARDS[type_]


def test_every_event_of_an_order_has_its_sentence() -> None:
    lives: list[Callable[[str], Life]] = [*LIVES.values(), boxed, changed_by_support, reviewed]
    told = {e.body.TYPE: e.body for life in lives for e in in_order(life(ORDER))}
    of_orders = {event.TYPE for events in EVENTS.values() for event in events if event.stream is not None}
    outside = {
        event.TYPE
        for event in EVENTS["inventory"]
        if event in (*OUTSIDE_EVENTS, *AVAILABILITY_EVENTS, *POLICY_EVENTS, *BACKORDER_EVENTS)
    }
    elsewhere = {e.TYPE for e in (*receipts(ORDER), *baskets(), *made())} | outside
    elsewhere |= {f"oms.routing.{what}_defined" for what in ("node", "transit", "review")}
    elsewhere |= {SubstitutesSought.TYPE}  # tests/unit/test_inventory_substitutes.py
    elsewhere |= {"oms.inventory.substitutes_defined"} | set(AFTERWARDS)
    elsewhere |= {BundlePlanned.TYPE, BundlePlanDropped.TYPE}  # of the SKU
    elsewhere |= {event.TYPE for event in (*RULE_EVENTS, *STOCK_EXCEPTION_EVENTS)}
    elsewhere |= {event.TYPE for event in REACH_EVENTS}  # of nodes and SKUs
    elsewhere |= {HoldsFilled.TYPE, PromiseDated.TYPE}  # of SKUs and baskets
    elsewhere |= {event.TYPE for event in DATES_EVENTS}  # tests/unit/test_console_dates.py
    parked = (*PARKED_EVENTS, *PARKED_EXCEPTION_EVENTS)
    elsewhere |= {event.TYPE for event in parked}  # of keys; tests/log/test_console_parked.py
    amended = (*INTAKE_AMENDMENTS, *FULFILLMENT_AMENDMENTS, *INVENTORY_AMENDMENTS)
    elsewhere |= {event.TYPE for event in amended}  # tests/unit/test_console_amended.py
    assert of_orders - elsewhere == set(told)
    for event in told.values():
        text = sentence(event)
        assert ORDER + ":" not in text
        assert text.partition(":")[0] != event.TYPE
        assert not text.endswith(f": {event.stream}."), f"{event.TYPE} has no sentence of its own"


def test_sentences_carry_numbers() -> None:
    told = [row.sentence for row in fold(in_order(delivered(ORDER)), {}).timeline]
    assert "Accepted: 2 lines, 12 units, 48.95 GBP, order X-o-1 from channel web." in told
    assert "Dispatched 12 units from LON by royal: RM1." in told
    assert "5 units of return o-1-R1 received at LON: 4 restocked, 1 scrapped." in told
    assert "Could not tell the customer about shipped: 550\ufffd" in told


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [
        (-1230, "GBP", "-12.30 GBP"),
        (5, "GBP", "0.05 GBP"),
        (500, "JPY", "500 JPY"),
        (1001, "BHD", "1.001 BHD"),
    ],
)
def test_money_has_its_currencys_decimals(amount: int, currency: str, text: str) -> None:
    assert money(amount, currency) == text


def test_a_repeat_of_a_senders_sequence_is_dropped() -> None:
    heard = envelopes("intake", delivered(ORDER)["intake"])
    new, moved = unheard([*heard, *heard], {})
    assert new == heard
    again, unmoved = unheard(heard, moved)
    assert (again, unmoved) == ([], {})
    assert moved[LaneKey("orderlog/intake", 0)].sequence == 2


def test_a_sku_event_shows_in_the_life_of_each_order_it_names() -> None:
    changes = fold(envelopes("inventory", receipts(ORDER)), {})
    assert changes.states == {}
    assert [row.sentence for row in changes.timeline] == [
        "2 units of A that arrived set aside for the order.",
        "The promise of 2 units of A was broken: the units do not exist.",
    ]
