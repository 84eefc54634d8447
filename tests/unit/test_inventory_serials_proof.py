"""The proof over serial numbers: a log that holds, and the first event of one that does not."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from libs.events.inventory import StockIssued, StockReceived, StockReturned
from services.inventory.proof import prove
from tests.unit.inventory_logs import nth_event, tampered, violation
from tests.unit.inventory_serials import CAM, back, came, cameras, corrected, sent
from tests.unit.inventory_trade import accepted, line, routed
from tests.unit.inventory_world import Logged, World, fold, known


def a_good_log() -> World:
    """Cameras that are sold, shipped, one with a number that is not there, come back, and are sold again."""
    world = World()
    for body in (
        cameras(),
        came("A", "B"),
        came("C", node="N2"),
        accepted("o1", (CAM, 1)),
        routed("o1", 1, N1=(line(1, CAM, 1),)),
        sent("o1", 1, "A"),
        back("o1", "A", node="N2"),
        accepted("o2", (CAM, 2)),
        routed("o2", 1, N2=(line(1, CAM, 2),)),
        sent("o2", 1, "A", "C", node="N2"),
        accepted("o3", (CAM, 1)),
        routed("o3", 1, N1=(line(1, CAM, 1),)),
        sent("o3", 1, "B7"),
        back("o3", "B7"),
        corrected("B"),
    ):
        assert world.take(body)
    return world


WORLD = a_good_log()
GOOD: list[Logged] = WORLD.log
nth = partial(nth_event, GOOD)


def test_a_good_log_holds_in_any_order_of_lanes_and_rebuilds_where_each_unit_is() -> None:
    for rows in (
        GOOD,
        sorted(GOOD, key=lambda row: (row.lane, row.seq)),
        sorted(GOOD, key=lambda row: (-row.lane, row.seq)),
    ):
        proof = prove(rows)
        assert proof.holds, proof.violation
    assert fold(WORLD.folded) == known(WORLD.parts)


def numbered(*serials: str, move: int = 0) -> Callable[[dict[str, Any]], None]:
    """A movement is said to be of other units, or of none that is known."""

    def change(payload: dict[str, Any]) -> None:
        payload["movements"][move]["serials"] = list(serials) or None

    return change


def untold(payload: dict[str, Any]) -> None:
    """Nobody is told that units left without a number."""
    payload["unnamed"] = None


@pytest.mark.parametrize(
    ("place", "change", "says"),
    [
        (nth(StockReceived.TYPE), numbered(), "brings units of CAM to N1 without their serial numbers"),
        (nth(StockReceived.TYPE), numbered("A", "A"), "moves 2 units of CAM with 1 serial numbers"),
        (nth(StockReceived.TYPE, 1), numbered("A"), "A of CAM into N2, and it is in shelf of N1"),
        (nth(StockIssued.TYPE), numbered("C"), "C of CAM out of the shelf of N1, and it is in shelf of N2"),
        (nth(StockIssued.TYPE), numbered("Z"), "Z of CAM out of the shelf of N1, and it never came"),
        (
            nth(StockIssued.TYPE),
            numbered(),
            "order o1 moves 1 units of CAM without serial numbers, and 0 are",
        ),
        (
            nth(StockIssued.TYPE, 1),
            numbered("B", "C"),
            "B of CAM out of the shelf of N2, and it is in shelf of N1",
        ),
        (
            nth(StockIssued.TYPE, 2),
            numbered("A"),
            "A of CAM out of the shelf of N1, and it is issued to order o2",
        ),
        (
            nth(StockIssued.TYPE, 2),
            untold,
            "order o3 moves 1 units of CAM without serial numbers, and 0 are told",
        ),
        (nth(StockReturned.TYPE), numbered("B"), "B of CAM out of issued of N1, and it is in shelf of N1"),
        (
            nth(StockReturned.TYPE, 1),
            numbered("A"),
            "A of CAM out of issued of N1, and it is issued to order o2",
        ),
    ],
)
def test_the_first_event_that_does_not_hold_is_named(
    place: int, change: Callable[[dict[str, Any]], None], says: str
) -> None:
    assert says in violation(prove(tampered(GOOD, place, change)))


def test_a_number_that_nobody_has_heard_of_comes_back_only_for_a_unit_that_left_without() -> None:
    first = nth_event(GOOD, StockReturned.TYPE)
    assert "Z of CAM out of issued of N1, and it never came" in violation(
        prove(tampered(GOOD, first, numbered("Z")))
    )
