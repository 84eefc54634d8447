"""The proof over lots: a log that holds, and the first event of one that does not."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from libs.events.inventory import StockAllocated, StockIssued, StockReceived, StockReleased
from libs.events.lots import LotQuarantined
from services.inventory.proof import prove
from tests.unit.inventory_logs import nth_event, tampered, violation
from tests.unit.inventory_lots import cleared, delivered, milk, recalled
from tests.unit.inventory_trade import accepted, cancelled, dispatched, line, routed
from tests.unit.inventory_world import Logged, World


def a_good_log() -> list[Logged]:
    """Milk in two lots, sold, shipped, freed, recalled and released, and sold again."""
    world = World()
    for body in (
        milk(),
        delivered("OLD", 4, 3),
        delivered("NEW", 6, 9),
        accepted("o1", ("MILK", 5)),
        routed("o1", 1, N1=(line(1, "MILK", 5),)),
        dispatched("o1", 1, "N1", line(1, "MILK", 3)),
        cancelled("o1", line(1, "MILK", 2)),
        recalled("NEW"),
        cleared("NEW"),
        accepted("o2", ("MILK", 6)),
        routed("o2", 1, N1=(line(1, "MILK", 6),)),
    ):
        world.take(body)
        while (key := ("sku/MILK", "lots_back")) in world.timers:
            world.due(world.timers[key])
    return world.log


GOOD = a_good_log()
nth = partial(nth_event, GOOD)


def test_a_good_log_holds_in_any_order_of_lanes() -> None:
    for rows in (
        GOOD,
        sorted(GOOD, key=lambda row: (row.lane, row.seq)),
        sorted(GOOD, key=lambda r: (-r.lane, r.seq)),
    ):
        proof = prove(rows)
        assert proof.holds, proof.violation


def named(lot: str | None, move: int = -1) -> Callable[[dict[str, Any]], None]:
    """A movement is said to be of another lot, or of none."""

    def change(payload: dict[str, Any]) -> None:
        payload["movements"][move]["lot"] = lot

    return change


def never_released(payload: dict[str, Any]) -> None:
    """The recall stands behind none of the later movements."""
    payload["up_to"] = 0


@pytest.mark.parametrize(
    ("place", "change", "says"),
    [
        (
            nth(StockReceived.TYPE),
            named(None),
            "moves units of MILK into or out of on_hand without their lot",
        ),
        (nth(StockReceived.TYPE), named("NEW"), "on_hand of lot OLD of MILK at N1 falls to -4"),
        (nth(StockAllocated.TYPE), named("OLD"), "on_hand of lot OLD of MILK at N1 falls to -1"),
        (nth(StockIssued.TYPE), named("NEW"), "allocated of lot NEW of MILK at N1 falls to -2"),
        (nth(StockReleased.TYPE), named("OLD"), "allocated of lot OLD of MILK at N1 falls to -1"),
        (nth(LotQuarantined.TYPE), never_released, "allocates units of lot NEW of MILK after it was stopped"),
    ],
)
def test_the_first_event_that_does_not_hold_is_named(
    place: int, change: Callable[[dict[str, Any]], None], says: str
) -> None:
    assert says in violation(prove(tampered(GOOD, place, change)))


def test_an_order_that_ships_the_lot_of_another_is_found() -> None:
    world = World()
    for body in (
        milk(),
        delivered("OLD", 2, 3),
        delivered("NEW", 2, 9),
        accepted("o1", ("MILK", 2)),
        accepted("o2", ("MILK", 2)),
        routed("o1", 1, N1=(line(1, "MILK", 2),)),
        routed("o2", 1, N1=(line(1, "MILK", 2),)),
        dispatched("o2", 1, "N1", line(1, "MILK", 2)),
    ):
        world.take(body)
    said = violation(prove(tampered(world.log, -1, named("OLD", 0))))
    assert "order o2 uses 2 units of lot OLD of MILK at N1 that were not allocated" in said
