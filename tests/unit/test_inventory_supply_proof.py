"""The proof over facts from outside: a log that holds, and the first event of one that does not."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from libs.events.supply import SupplyExpected, SupplyReceived, TransferDispatched, TransferReceived
from services.inventory.proof import prove
from tests.unit.inventory_logs import nth_event, tampered, violation
from tests.unit.inventory_supply import arrive, expect, feed, land, move, send, told
from tests.unit.inventory_world import Logged, World


def a_good_log() -> list[Logged]:
    """Bought and received in two deliveries, moved on, set aside, and told by a vendor."""
    world = World()
    for body in (
        feed(),
        expect("A", "P", 10),
        arrive("A", "P", "R1", 4, damaged=1),
        arrive("A", "P", "R2", 5),
        send("A", "T", 4),
        land("A", "T", "L1", 2),
        move("A", 1, "on_hand", "quarantine"),
        told("A", 7),
    ):
        world.take(body)
    return world.log


GOOD = a_good_log()
nth = partial(nth_event, GOOD)


def test_a_good_log_holds_with_units_on_their_way() -> None:
    proof = prove(GOOD)
    assert proof.holds, proof.violation
    assert (proof.events, proof.movements) == (len(GOOD), 10)


def more_arrives(payload: dict[str, Any]) -> None:
    payload["movements"][0]["quantity"] += 6


def under_another_name(field: str) -> Callable[[dict[str, Any]], None]:
    def change(payload: dict[str, Any]) -> None:
        payload[field] = "X"

    return change


def to_another_node(payload: dict[str, Any]) -> None:
    payload["movements"][1]["node"] = "N3"


def lost_between_nodes(payload: dict[str, Any]) -> None:
    payload["movements"][1]["quantity"] -= 1


@pytest.mark.parametrize(
    ("place", "change", "says"),
    [
        (nth(SupplyReceived.TYPE), more_arrives, "inbound of A at N1 falls to"),
        (nth(SupplyReceived.TYPE), under_another_name("supply_id"), "4 units of A come of X that were never"),
        (nth(SupplyExpected.TYPE), under_another_name("supply_id"), "come of P that were never on their way"),
        (nth(TransferReceived.TYPE), under_another_name("transfer_id"), "2 units of A come of X"),
        (nth(TransferDispatched.TYPE), lost_between_nodes, "1 units of A are between nodes"),
        (nth(TransferDispatched.TYPE), to_another_node, "in_transit of A at N2 falls to -2"),
    ],
)
def test_the_first_event_that_does_not_hold_is_named(
    place: int, change: Callable[[dict[str, Any]], None], says: str
) -> None:
    assert says in violation(prove(tampered(GOOD, place, change)))
