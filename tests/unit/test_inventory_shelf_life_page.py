"""The worked example of days left by channel in docs/inventory.md: each figure is what comes of its steps."""

from libs.events.contract import Contract
from libs.events.promise import ChannelTerms, DefinePromiseTerms
from services.inventory.stock import SkuPart
from tests.unit.inventory_lots import delivered, milk
from tests.unit.inventory_page import lived
from tests.unit.inventory_trade import accepted, line, routed
from tests.unit.inventory_world import World


def read(step: str) -> Contract | None:
    """A step as an input; None where time passes."""
    match step.split():
        case ["days-left", channel, days]:
            ways = (ChannelTerms(channel=channel, shelf_days_min=int(days)),)
            return DefinePromiseTerms(sku="MILK", channels=ways)
        case ["receive", quantity, lot, days]:
            return delivered(lot, int(quantity), int(days))
        case ["order", order_id, units, channel]:
            return accepted(order_id, ("MILK", int(units))).model_copy(update={"channel": channel})
        case ["plan", order_id, units]:
            return routed(order_id, 1, N1=(line(1, "MILK", int(units)),))
        case ["days", _]:
            return None
    raise AssertionError(f"`{step}` is no step that this test knows")


def figures(world: World) -> list[int]:
    part = world.parts["sku/MILK"]
    assert isinstance(part, SkuPart)
    lots = part.lots
    assert lots is not None
    by_lot = [
        lots.there(bucket, "N1").get(lot, 0) for lot in ("A", "B") for bucket in ("on_hand", "allocated")
    ]
    could = [part.claimable(channel) for channel in ("wholesale", "web")]
    return [*by_lot, part.reserved, part.wanted - part.reserved, *could]


def test_each_figure_of_the_worked_example_is_what_comes_of_its_steps() -> None:
    world = World()
    world.take(milk())
    lived(world, "shelf-life", read, figures)
