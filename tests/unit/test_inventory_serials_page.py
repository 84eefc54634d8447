"""The worked example of serial numbers in docs/inventory.md: each figure is what comes of its steps."""

from collections import Counter

from libs.events.contract import Contract
from libs.events.refusal import CommandRefused
from services.inventory.proof import prove
from services.inventory.serials import SerialPart
from services.inventory.stock import EMPTY_SKU, SkuPart
from tests.unit.inventory_page import worked
from tests.unit.inventory_serials import CAM, back, came, cameras, corrected, sent
from tests.unit.inventory_trade import accepted, line, routed
from tests.unit.inventory_world import World


def read(words: list[str]) -> Contract:
    """A step as an input."""
    match words:
        case ["serials"]:
            return cameras()
        case ["receive", *serials]:
            return came(*serials)
        case ["order", order_id, units]:
            return accepted(order_id, (CAM, int(units)))
        case ["plan", order_id, units]:
            return routed(order_id, 1, N1=(line(1, CAM, int(units)),))
        case ["ship", order_id, *serials]:
            return sent(order_id, 1, *serials)
        case ["gone", *serials]:
            return corrected(*serials)
        case ["return", order_id, *serials]:
            return back(order_id, *serials)
    raise AssertionError(f"`{' '.join(words)}` is no step that this test knows")


def figures(world: World) -> list[int]:
    part = world.parts.get(f"sku/{CAM}", EMPTY_SKU)
    assert isinstance(part, SkuPart)
    units = [world.balance[CAM, "N1", bucket] for bucket in ("on_hand", "allocated", "issued")]
    numbers = Counter(one.place for one in world.parts.values() if isinstance(one, SerialPart))
    return [*units, numbers["shelf"], numbers["issued"], (part.astray or {}).get("shelf/N1", 0)]


def test_each_figure_of_the_worked_example_is_what_comes_of_its_steps() -> None:
    world, told = World(), worked("serials")
    assert len(told) >= 10
    for step, expected in told:
        words = step.split()
        refused = words[0] == "refused"
        [first, *_] = world.take(read(words[refused:]))
        assert isinstance(first, CommandRefused) is refused, f"after `{step}`"
        assert figures(world) == expected, f"after `{step}`"
    assert prove(world.log).holds
