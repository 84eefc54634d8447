"""The proof over transfers and counts that name lots: a log that holds, and the first event that does not."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from libs.events.measure import LotQuantity
from libs.events.stocktaking import CountRecorded, LotCount
from libs.events.supply import TransferDispatched, TransferReceived
from services.inventory.proof import prove
from tests.unit.inventory_logs import nth_event, tampered, violation
from tests.unit.inventory_lots import delivered, milk
from tests.unit.inventory_supply import count, land, send
from tests.unit.inventory_world import Logged, World


def a_good_log() -> list[Logged]:
    """Two lots go to N2 under a transfer each, land in the other order, and are counted there."""
    world = World()
    for body in (milk(), delivered("OLD", 4, 3), delivered("NEW", 6, 9)):
        world.take(body)
    for id_, lot in (("T", "OLD"), ("U", "NEW")):
        lots = (LotQuantity(lot=lot, quantity=3),)
        world.take(send("MILK", id_, 3).model_copy(update={"lots": lots}))
    world.take(land("MILK", "U", "R", 3))
    world.take(land("MILK", "T", "R", 3))
    counted = count("MILK", "C", 5, 6, 8, at=world.now, node="N2")
    lots_ = (LotCount(lot="OLD", counted=1, book=3), LotCount(lot="NEW", counted=4, book=3))
    world.take(counted.model_copy(update={"lots": lots_}))
    return world.log


GOOD = a_good_log()
nth = partial(nth_event, GOOD)


def test_a_good_log_holds() -> None:
    assert GOOD[-1].type == CountRecorded.TYPE
    proof = prove(GOOD)
    assert proof.holds, proof.violation


def brought(lot: str) -> Callable[[dict[str, Any]], None]:
    """A movement is said to be of another lot, which is there too."""

    def change(payload: dict[str, Any]) -> None:
        payload["movements"][-1]["lot"] = lot

    return change


def said(payload: dict[str, Any]) -> None:
    payload["lots"][0]["lot"] = "NEW"


def found(payload: dict[str, Any]) -> None:
    payload["lots"][0]["counted"] = 2


def left(payload: dict[str, Any]) -> None:
    """Less is written off than was found to lack."""
    payload["movements"][-1]["quantity"] = 1


@pytest.mark.parametrize(
    ("place", "change", "says"),
    [
        (nth(TransferReceived.TYPE), brought("OLD"), "3 units of lot OLD of MILK come of U, never sent"),
        (nth(TransferDispatched.TYPE), said, "transfer T of MILK moves other lots than it says"),
        (nth(CountRecorded.TYPE), found, "books -2 of lot OLD of MILK; -1 it found"),
        (nth(CountRecorded.TYPE), left, "leaves 1 units of MILK to picks, and says 0"),
    ],
)
def test_the_first_event_that_does_not_hold_is_named(
    place: int, change: Callable[[dict[str, Any]], None], says: str
) -> None:
    assert says in violation(prove(tampered(GOOD, place, change)))
