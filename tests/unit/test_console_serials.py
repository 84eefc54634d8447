"""Units with serial numbers as the console reads them: where each is, and which nobody can name."""

from itertools import permutations
from typing import Any

from hypothesis.stateful import invariant

from libs.events.contract import Event
from libs.events.inventory import Movement, StockIssued, StockReceived, StockShorted
from libs.events.measure import Unnamed
from libs.events.order import LineQuantity
from libs.events.set_aside import ReturnMovement, ReturnQuarantined
from services.console.projection import Changes, fold
from services.console.serials import SerialKey
from services.console.stock_items import StockItemKey
from services.inventory.stock import SkuPart
from tests.console_parts import TENANT, envelopes
from tests.plays import plays
from tests.unit.test_inventory_serials_model import SerialLife


class ConsoleLife(SerialLife):
    """The same lives of units; what inventory believes of them is held against what the console reads."""

    def __init__(self) -> None:
        super().__init__()
        self.read = Changes()

    def _follow(self, event: Event) -> None:
        super()._follow(event)
        fold(envelopes("inventory", [event]), {}, self.read)

    @invariant()
    def each_unit_is_where_inventory_knows_it(self) -> None:
        found = {
            key.serial: (unit.place, unit.node, unit.order_id) for key, unit in self.read.serial_units.items()
        }
        assert found == self.where

    @invariant()
    def units_without_a_name_are_those_that_left_shelves_so(self) -> None:
        part = self.world.parts.get("sku/A")
        astray = (part.astray if isinstance(part, SkuPart) else None) or {}
        for node in ("N1", "N2"):
            item = self.read.stock_items.get(StockItemKey(TENANT, "A", f"unnamed/{node}"))
            assert (item.units if item else 0) == astray.get(f"shelf/{node}", 0), node


ConsoleLife.TestCase.settings = plays(lives=8, steps=30)
TestConsoleLife = ConsoleLife.TestCase


def moved(source: Any, target: Any, position: int, *serials: str, units: int = 1) -> tuple[Movement, ...]:
    quantity = len(serials) or units
    terms: dict[str, Any] = {"sku": "A", "node": "N1", "source": source, "target": target}
    return (Movement(**terms, quantity=quantity, position=position, serials=serials or None),)


RECEIVED = StockReceived(
    sku="A", node="N1", quantity=2, reference="PO-1", movements=moved("supplier", "on_hand", 1, "S1", "S2")
)
ISSUED = StockIssued(order_id="o-1", shipment_id="o-1-S1", movements=moved("allocated", "issued", 7, "S1"))
NOBODY_KNOWS = StockIssued(
    order_id="o-2",
    shipment_id="o-2-S1",
    movements=moved("allocated", "issued", 9, units=2),
    unnamed=(Unnamed(sku="A", quantity=2, serials=("X1",)),),
)


def test_of_two_lanes_the_later_movement_counts() -> None:
    for told in permutations((RECEIVED, ISSUED)):
        changes = Changes()
        for event in told:
            fold(envelopes("inventory", [event]), {}, changes)
        unit = changes.serial_units[SerialKey(TENANT, "A", "S1")]
        assert (unit.place, unit.node, unit.order_id) == ("issued", "N1", "o-1")
        assert [(move.serial, move.document) for move in sorted(changes.serial_moves)] == [
            ("S1", "PO-1"),
            ("S1", "o-1-S1"),
            ("S2", "PO-1"),
        ]


def test_what_left_without_its_number_is_told_with_what_was_read() -> None:
    [(key, item)] = fold(envelopes("inventory", [NOBODY_KNOWS]), {}).stock_items.items()
    assert (key.sku, key.item, item.units, item.node) == ("A", "unnamed/N1", 2, "N1")
    assert item.opened_at is not None
    assert item.why == "2 units with o-2-S1, and nobody knows which. Told were X1."


def test_a_pick_that_found_nothing_opens_nothing_as_the_sku_may_have_no_numbers() -> None:
    short = StockShorted(
        order_id="o-1",
        fulfillment_order_id="o-1-F1",
        lines=(LineQuantity(line=1, sku="A", quantity=1),),
        movements=moved("allocated", "missing", 3),
    )
    [(key, item)] = fold(envelopes("inventory", [short]), {}).stock_items.items()
    assert (key.item, item.units, item.opened_at) == ("unnamed/N1", 1, None)


def test_what_came_back_without_a_number_is_an_item_of_its_return() -> None:
    back = ReturnQuarantined(
        order_id="o-1",
        rma_id="o-1-R1",
        movements=(
            ReturnMovement(sku="A", node="N1", source="issued", target="quarantine", quantity=1, position=8),
            ReturnMovement(sku="B", node="N1", source="issued", target="quarantine", quantity=1, position=2),
        ),
        unnamed=(Unnamed(sku="A", quantity=1),),
    )
    [(key, item)] = fold(envelopes("inventory", [back]), {}).stock_items.items()
    assert (key.sku, key.item, item.units) == ("A", "unnamed/o-1-R1", 1)
    assert item.why == "1 unit with o-1-R1, and nobody knows which."
