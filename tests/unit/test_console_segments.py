"""Where an order's time went: segments that add up to the whole; and what needs a person, until it ends."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.events.catalogue import EVENTS
from libs.events.changes import HoldDeclined, HoldPlaced
from libs.events.intake import HoldReleased
from libs.events.inventory import Shortage, StockBackordered
from libs.events.order import NodeLines
from libs.events.routing import OrderRouted
from services.console.facts import State
from services.console.items import item_rows, items, stuck_name, stuck_since
from services.console.segments import SEGMENTS, broken, delays, waiting
from services.console.standing import status
from tests.console_changes import changed_by_support
from tests.console_lives import LIVES, Life, delivered, troubled, unroutable
from tests.console_parts import GB, at, envelopes, units
from tests.unit.test_console_orders import ORDER, folded, in_order, until

_MINUTE = 60_000_000
LATER = troubled(ORDER)["routing"][1]


def minutes(life: str) -> dict[str, float]:
    found = delays(folded(in_order(LIVES[life](ORDER))))
    assert found is not None
    return {name: us / _MINUTE for name, us in zip(SEGMENTS, found.us, strict=True) if us}


def test_the_time_of_an_order_by_segment() -> None:
    assert minutes("delivered") == {"pick": 1, "pack": 2, "carrier": 196}
    assert minutes("partly_delivered") == {"hold": 1, "payment": 1, "pack": 1, "carrier": 296}


@given(st.data())
@settings(deadline=None)
def test_segments_add_up_to_the_whole_and_none_is_negative(data: st.DataObject) -> None:
    lives = [life(ORDER) for life in (*LIVES.values(), changed_by_support)]
    arrived = []
    for stage in EVENTS:
        known = [event for life in lives for event in life.get(stage, ())]
        told = envelopes(stage, data.draw(st.lists(st.sampled_from(known), max_size=8)))
        off = st.timedeltas(timedelta(-3), timedelta(3))
        arrived += [replace(one, at=one.at + data.draw(off)) for one in told]
    state = folded(arrived)
    found = delays(state)
    if found is None:
        return
    begin = state.intake.captured_at
    ends = [one.delivered_at for one in state.fulfillment.shipments.values() if one.delivered_at]
    assert begin is not None
    assert timedelta(microseconds=sum(found.us)) == max(*ends, begin) - begin
    assert min(found.us) >= 0


@pytest.mark.parametrize(
    ("arrived", "expected"),
    [
        ({"intake": 1}, ("hold", at(1))),
        ({"intake": 3}, ("stock", at(3))),
        ({"intake": 3, "inventory": 1}, ("routing", at(1))),
        ({"intake": 3, "inventory": 2, "routing": 1}, ("queue", at(1))),
        ({"intake": 3, "inventory": 2, "routing": 1, "fulfillment": 1}, ("pick", at(1))),
        ({"intake": 3, "inventory": 8, "routing": 3, "fulfillment": 7}, ("pack", at(6))),
        ({"intake": 5}, ("", None)),
    ],
)
def test_the_segment_that_an_open_order_is_in(arrived: dict[str, int], expected: object) -> None:
    state = until(troubled(ORDER), **arrived)
    assert waiting(state, status(state)) == expected


def test_what_was_the_matter_is_kept_with_when_it_ended() -> None:
    state = folded(in_order(troubled(ORDER)))
    found = {item.name: (item.since, item.ended_at, item.node, item.units) for item in items(state)}
    assert found == {
        "hold/fraud_review": (at(1), at(2), "", 0),
        "backordered/4": (at(6), at(7), "", 1),
        "short_picked/o-1-F1": (at(2), at(5), "LON", 3),
        "lost/o-1-S2": (at(400), None, "MAN", 3),
    }
    assert broken(state) == "held backordered short_picked split carrier"


def ends(life: Life, **count: int) -> dict[str, object]:
    return {item.name: item.ended_at for item in items(until(life, **count))}


def test_a_short_pick_ends_with_the_work_that_another_node_has_for_it() -> None:
    """While the order goes on: nobody has to see to it any more."""
    before = {"intake": 3, "inventory": 8, "routing": 3}
    assert ends(troubled(ORDER), **before, fulfillment=4)["short_picked/o-1-F1"] is None
    assert ends(troubled(ORDER), **before, fulfillment=5)["short_picked/o-1-F1"] == at(5)


def test_what_no_node_may_ship_does_not_end_by_the_close() -> None:
    """Such an order closes at once, and then nobody has told the customer yet."""
    life = unroutable(ORDER)
    assert folded(in_order(life)).intake.closed_at == at(2)
    assert folded(in_order(life)).intake.outcome == "unroutable"
    assert ends(life, intake=2, routing=1, fulfillment=2) == {"unroutable/1": None}
    again = OrderRouted(**vars(LATER) | {"round": 2})
    found_later = {**life, "routing": [*life["routing"], again]}
    assert ends(found_later, intake=1, routing=2) == {"unroutable/1": at(2)}
    other_line = again.model_copy(update={"nodes": (NodeLines(node="LON", lines=(units(3, 1, "C"),)),)})
    assert ends({**life, "routing": [*life["routing"], other_line]}, routing=2) == {"unroutable/1": None}


def test_who_cancels_the_order_has_settled_it() -> None:
    life, asked = unroutable(ORDER), troubled(ORDER)["intake"][3]
    intake = [life["intake"][0], asked, life["intake"][1]]
    assert ends({**life, "intake": intake}, intake=3, routing=1) == {"unroutable/1": at(3)}


def test_what_people_did_about_it_goes_with_it_and_ends_it() -> None:
    rows = {row.item: row for row in item_rows("acme", ORDER, folded(in_order(troubled(ORDER))))}
    lost = rows["lost/o-1-S2"]
    assert (lost.assignee, lost.snoozed_until_at, lost.note) == ("ann", at(900), "The carrier paid.")
    assert lost.ended_at == at(8)
    assert "nonsense" not in rows


def test_nothing_is_the_matter_with_most_orders() -> None:
    life = {stage: events for stage, events in delivered(ORDER).items() if stage in ("intake", "fulfillment")}
    state = folded(in_order(life))
    assert broken(state) == ""
    assert item_rows("acme", ORDER, state) == []


def test_the_name_of_a_stop_says_since_when() -> None:
    kind, _, which = stuck_name("pick", at(3)).partition("/")
    assert (kind, stuck_since(which)) == ("stuck", at(3))
    assert stuck_since("pick") is stuck_since("pick 2026-03-02T09:00:00") is None


def held_by_hand(*holds: tuple[float, float | None], declined: bool = False) -> State:
    """Accepted in minute 1, routed in 2, and with the node, after these holds, in 30; then delivered."""
    life = delivered(ORDER)
    intake, fulfillment = list(life["intake"][:1]), list(life["fulfillment"])
    told = envelopes("intake", intake)
    for n, (begin, end) in enumerate(holds):
        hold = f"look_{n}"
        placed = HoldPlaced(order_id=ORDER, hold=hold, message="Look.")
        found = [replace(one, at=at(begin)) for one in envelopes("intake", [placed])]
        if end is not None:
            released = HoldReleased(order_id=ORDER, hold=hold)
            found += [replace(one, at=at(end)) for one in envelopes("intake", [released])]
        told += found
        if declined:
            late = HoldDeclined(order_id=ORDER, hold=hold, reason="Too late.")
            told += [replace(one, at=at(end or begin)) for one in envelopes("fulfillment", [late])]
    shifted = [
        replace(one, at=one.at + timedelta(minutes=29)) for one in envelopes("fulfillment", fulfillment)
    ]
    routed = [replace(one, at=at(2)) for one in envelopes("routing", life["routing"])]
    return folded([*told, *envelopes("inventory", life["inventory"][:1]), *routed, *shifted])


@pytest.mark.parametrize(
    ("holds", "hold", "queue"),
    [
        ([], 0, 28),
        ([(5, 15)], 10, 18),
        ([(1, 15)], 13, 15),
        ([(5, 15), (10, 20)], 15, 13),
        ([(5, 15), (6, 8), (20, 25)], 15, 13),
        ([(5, 300)], 25, 3),
        ([(5, None)], 0, 28),
    ],
)
def test_a_hold_placed_by_hand_takes_its_time_from_the_queue(
    holds: list[tuple[float, float | None]], hold: float, queue: float
) -> None:
    found = delays(held_by_hand(*holds))
    assert found is not None
    spent = {name: us / _MINUTE for name, us in zip(SEGMENTS, found.us, strict=True)}
    assert (spent["hold"], spent["queue"]) == (hold, queue)
    assert sum(spent.values()) == 199


def test_a_hold_that_came_too_late_took_no_time() -> None:
    found = delays(held_by_hand((5, 15), declined=True))
    assert found is not None
    assert found.us[0] == 0


def test_an_accepted_order_that_is_held_waits_since_its_hold_was_placed() -> None:
    life = changed_by_support(ORDER)
    state = folded(in_order({"intake": life["intake"][:2], "inventory": life["inventory"][:2]}))
    assert status(state) == "held"
    assert waiting(state, "held") == ("hold", at(2))


def test_a_round_that_is_told_again_what_it_lacks_stays_one_item() -> None:
    told = [lacks(1, 82), lacks(1, 12), lacks(2, 3)]
    state = folded(envelopes("inventory", told))
    assert [(one.name, one.since, one.ended_at, one.units) for one in items(state)] == [
        ("backordered/1", at(1), at(3), 12),
        ("backordered/2", at(3), None, 3),
    ]
    assert len({row.item for row in item_rows("acme", ORDER, state)}) == 2


def lacks(round_: int, missing: int) -> StockBackordered:
    short = (Shortage(sku="A", quantity=missing),)
    return StockBackordered(
        order_id=ORDER,
        round=round_,
        lines=(units(1, 100),),
        short=short,
        since=at(0),
        destination=GB,
        movements=(),
    )
