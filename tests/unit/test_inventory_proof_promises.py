"""The proof over held baskets: each is held once, resolved once, and with all of its units."""

from dataclasses import replace
from functools import partial
from typing import Any

import orjson
import pytest

from libs.events.inventory import StockReserved
from libs.events.promise import PromiseConfirmed, PromiseExpired, PromiseHeld, ReleasePromise
from services.inventory.proof import Proof, prove
from tests.unit.inventory_logs import Change, nth_event, tampered, violation
from tests.unit.inventory_trade import accepted, adjust, hold, of_basket, receive
from tests.unit.inventory_world import Logged, World


def a_good_log() -> list[Logged]:
    """Baskets that are confirmed (one in part), given up, broken by a count, overtaken, and that expire."""
    world = World()
    for body in (
        receive("A", 9),
        receive("B", 3, "N2"),
        hold("confirmed", ("A", 2), ("B", 1)),
        of_basket("confirmed", accepted("o1", ("A", 2), ("B", 1))),
        hold("partly", ("A", 2), ("B", 1)),
        of_basket("partly", accepted("o2", ("A", 1))),
        hold("given-up", ("B", 1)),
        ReleasePromise(promise_id="given-up"),
        of_basket("overtaken", accepted("o3", ("A", 1))),
        hold("expires", ("A", 1)),
        hold("broken", ("A", 2)),
        adjust("A", -3),
    ):
        world.take(body)
    while world.timers:
        world.due(next(iter(world.timers.values())))
    return world.log


GOOD = a_good_log()
place = partial(nth_event, GOOD)


def with_payload(index: int, change: Change) -> Proof:
    return prove(tampered(GOOD, index, change))


def test_a_good_log_holds_in_any_order_of_lanes() -> None:
    for rows in (GOOD, sorted(GOOD, key=lambda row: (row.lane, row.seq))):
        proof = prove(rows)
        assert proof.holds, proof.violation
        assert (proof.events, proof.skus) == (len(GOOD), 2)


def test_a_basket_is_resolved_once() -> None:
    """One that an order has confirmed expires nevertheless."""
    rows = list(GOOD)
    lane = rows[place(PromiseHeld.TYPE)].lane
    seq = max(row.seq for row in rows if row.lane == lane) + 1
    expired = PromiseExpired(promise_id="confirmed", position=3, movements=())
    rows.append(
        replace(rows[0], lane=lane, seq=seq, type=expired.TYPE, payload=orjson.dumps(expired.model_dump()))
    )
    assert violation(prove(rows)) == "comes to the promise confirmed, which is confirmed"


def test_two_events_take_one_place_of_a_basket() -> None:
    proof = with_payload(place(PromiseConfirmed.TYPE), lambda event: event.update(position=1))
    assert "takes position 1 of promise/confirmed, which an earlier event took" in violation(proof)


def test_an_order_takes_only_what_its_basket_holds() -> None:
    proof = with_payload(place(PromiseConfirmed.TYPE), lambda event: event.update(promise_id="partly"))
    assert not proof.holds


def test_held_units_that_do_not_exist_are_oversold() -> None:
    proof = with_payload(place(PromiseHeld.TYPE), lambda event: event["movements"][0].update(quantity=10))
    assert "10 units of A are promised and 9 are on hand" in violation(proof)
    assert proof.oversold_units == 1


def test_a_resolved_basket_keeps_nothing() -> None:
    """Its end frees a unit less than it held, and the next reservation a unit less is there."""
    index = place(PromiseExpired.TYPE)
    assert orjson.loads(GOOD[index].payload)["movements"] != []

    def forget(event: dict[str, Any]) -> None:
        event["promise_id"] = "partly"

    assert not with_payload(index, forget).holds


@pytest.mark.parametrize("type_", [PromiseHeld.TYPE, PromiseConfirmed.TYPE, StockReserved.TYPE])
def test_a_missing_row_is_found(type_: str) -> None:
    rows = list(GOOD)
    del rows[place(type_)]
    assert not prove(rows).holds
