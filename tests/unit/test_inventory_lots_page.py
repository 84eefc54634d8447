"""The worked example of lots in docs/inventory.md: each figure is what comes of its steps."""

from libs.events.contract import Contract
from services.inventory.stock import EMPTY_SKU, SkuPart
from tests.unit.inventory_lots import cleared, delivered, milk, recalled
from tests.unit.inventory_page import lived
from tests.unit.inventory_trade import accepted, cancelled, line, routed
from tests.unit.inventory_world import World


def read(step: str) -> Contract | None:
    """A step as an input; None where time passes."""
    match step.split():
        case ["lots"]:
            return milk(units=({"unit": "crate", "holds": 12},))
        case ["receive", quantity, "crate", lot, days]:
            return delivered(lot, int(quantity), int(days)).model_copy(update={"unit": "crate"})
        case ["receive", quantity, lot, days]:
            return delivered(lot, int(quantity), int(days))
        case ["order", order_id, units]:
            return accepted(order_id, ("MILK", int(units)))
        case ["plan", order_id, units]:
            return routed(order_id, 1, N1=(line(1, "MILK", int(units)),))
        case ["cancel", order_id]:
            return cancelled(order_id)
        case ["recall", lot]:
            return recalled(lot)
        case ["release", lot]:
            return cleared(lot)
        case ["days", _]:
            return None
    raise AssertionError(f"`{step}` is no step that this test knows")


def figures(world: World) -> list[int]:
    part = world.parts.get("sku/MILK", EMPTY_SKU)
    assert isinstance(part, SkuPart)
    lots = part.lots
    assert lots is not None
    by_lot = [
        lots.there(bucket, "N1").get(lot, 0) for lot in ("A", "B") for bucket in ("on_hand", "allocated")
    ]
    quarantined = world.balance["MILK", "N1", "quarantine"]
    return [*by_lot, quarantined, part.reserved, part.wanted - part.reserved]


def test_each_figure_of_the_worked_example_is_what_comes_of_its_steps() -> None:
    lived(World(), "lots", read, figures)
