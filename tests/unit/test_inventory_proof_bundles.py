"""The proof over bundles and kits: each is of the parts that its definition says, recounted from the log."""

from collections.abc import Callable
from functools import partial
from typing import Any

import orjson
import pytest

from libs.events.bundles import AssembleKit, BundlesUnpacked, KitAssembled, KitTakenApart, TakeKitApart
from libs.events.changes import LinesCancelled
from libs.events.inventory import StockReserved
from libs.events.order import LineQuantity
from services.inventory.proof import Proof, prove
from tests.unit.inventory_logs import Change, nth_event, tampered, violation
from tests.unit.inventory_trade import accepted, cancelled, receive
from tests.unit.inventory_world import Logged, World
from tests.unit.test_inventory_bundles import define

BOX = (("MUG", 2), ("TEA", 1))


def fewer(order_id: str) -> LinesCancelled:
    """Two boxes of its first line are taken off an order that no node has."""
    two = (LineQuantity(line=1, sku="BOX", quantity=2),)
    return LinesCancelled(order_id=order_id, cancellation_id=f"{order_id}-C1", lines=two, work=(), reason="")


def a_good_log() -> list[Logged]:
    """Bundles that are promised, cancelled, redefined; kits that are made and taken apart."""
    world = World()
    for body in (
        receive("MUG", 20),
        receive("TEA", 20),
        define(*BOX),
        define(("TEA", 3), name="KIT", kept="assembled"),
        accepted("o1", ("BOX", 2), ("MUG", 1)),
        AssembleKit(sku="KIT", node="N1", quantity=2),
        accepted("o2", ("BOX", 1), ("KIT", 1)),
        cancelled("o2"),
        define(("MUG", 1)),
        accepted("o3", ("BOX", 1)),
        TakeKitApart(sku="KIT", node="N1", quantity=1),
        accepted("o4", ("BOX", 3), ("MUG", 1)),
        fewer("o4"),
        fewer("o5"),
        accepted("o5", ("BOX", 3), ("MUG", 1)),
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
        assert prove(rows).holds, violation(prove(rows))
    backwards = sorted(GOOD, key=lambda row: (-row.lane, row.seq))
    assert prove(backwards).holds, "a definition may be read after what stands on it"


@pytest.mark.parametrize("order_id", ["o4", "o5"])
def test_boxes_cancelled_before_their_order_was_promised_take_their_parts_along(order_id: str) -> None:
    [promised] = [
        row
        for row in GOOD
        if row.type == StockReserved.TYPE and orjson.loads(row.payload)["order_id"] == order_id
    ]
    lines = [(line["sku"], line["quantity"]) for line in orjson.loads(promised.payload)["lines"]]
    assert lines == [("MUG", 1), ("MUG", 1)], "its own, and that of the one box that stays"


def test_a_bundle_of_fewer_parts_than_its_definition_says_is_found() -> None:
    index = place(BundlesUnpacked.TYPE)

    def one_less(payload: dict[str, Any]) -> None:
        payload["bundles"][0]["parts"][0]["quantity"] -= 1

    said = violation(with_payload(index, one_less))
    assert "2 units of BOX are {'MUG': 4, 'TEA': 2} by version 1" in said
    assert "has {'MUG': 3, 'TEA': 2}" in said


def test_a_promise_of_other_lines_than_were_unpacked_is_found() -> None:
    index = place(StockReserved.TYPE)

    def another(payload: dict[str, Any]) -> None:
        payload["lines"][0]["line"] = 77

    assert "is of other lines than order o1 was unpacked into" in violation(with_payload(index, another))


@pytest.mark.parametrize(
    ("type_", "change", "said"),
    [
        (KitAssembled.TYPE, lambda p: p.update(quantity=3), "says 3 units of KIT and moves 2"),
        (KitAssembled.TYPE, lambda p: p["movements"][0].update(quantity=5), "by version 1"),
        (KitTakenApart.TYPE, lambda p: p["movements"][1].update(quantity=4), "by version 1"),
        (KitTakenApart.TYPE, lambda p: p["movements"][1].update(node="N2"), "of TEA at N2"),
        (BundlesUnpacked.TYPE, lambda p: p["bundles"][0].update(sku="KIT"), "is kept assembled"),
        ("oms.inventory.bundle_defined", lambda p: p.update(bundle_version=7), "nowhere defined"),
    ],
)
def test_what_contradicts_the_definition_is_found(
    type_: str, change: Callable[[dict[str, Any]], object], said: str
) -> None:
    assert said in violation(with_payload(place(type_), change))
