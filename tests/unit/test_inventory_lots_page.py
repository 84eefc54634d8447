"""The worked example of lots in docs/inventory.md: each figure is what comes of its steps."""

from itertools import count

from libs.events.contract import Contract
from libs.events.inventory import ReceiveStock
from libs.events.measure import LotQuantity
from libs.events.stocktaking import LotCount
from services.inventory.lots import Lots
from services.inventory.stock import EMPTY_SKU, SkuPart
from tests.unit.inventory_lots import cleared, delivered, milk, recalled
from tests.unit.inventory_page import lived
from tests.unit.inventory_supply import count as recount
from tests.unit.inventory_supply import land, send
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


def units(text: str) -> dict[str, int]:
    """`A=2 B=8`"""
    return {lot: int(number) for lot, _, number in (one.partition("=") for one in text.split() if "=" in one)}


class Moved:
    """The second example: what is sent, landed and counted by lot."""

    def __init__(self) -> None:
        self.world, self.numbers = World(), count(1)

    def read(self, step: str) -> Contract | None:
        verb, *more = step.split()
        if verb in ("lots", "receive"):
            told = read(step)
            return told.model_copy(update={"node": "LON"}) if isinstance(told, ReceiveStock) else told
        if verb == "count":
            return self._counted(more[0], units(" ".join(more[1:])))
        id_, rest = more[0], " ".join(more[1:])
        named = tuple(LotQuantity(lot=lot, quantity=number) for lot, number in units(rest).items())
        quantity, lots = (sum(one.quantity for one in named), named) if "=" in rest else (int(rest), None)
        move: Contract = land("MILK", id_, "R", quantity)
        if verb == "send":
            move = send("MILK", id_, quantity, "LON", "LEE")
        return move.model_copy(update={"lots": lots})

    def _counted(self, node: str, found: dict[str, int]) -> Contract:
        """As the edge fills it in: what the books have, and lots that nobody found."""
        book = dict(lots_of(self.world).there("on_hand", node))
        part = self.world.parts["sku/MILK"]
        assert isinstance(part, SkuPart)
        counts = tuple(
            LotCount(lot=lot, counted=found.get(lot, 0), book=book.get(lot, 0))
            for lot in dict.fromkeys((*found, *book))
        )
        body = recount(
            *("MILK", f"C{next(self.numbers)}", sum(found.values()), sum(book.values()), part.position),
            at=self.world.now,
            node=node,
        )
        return body.model_copy(update={"lots": counts})

    def figures(self, world: World) -> list[int]:
        lots = lots_of(world)
        places = (("on_hand", "LON"), ("in_transit", "LEE"), ("on_hand", "LEE"))
        found = [lots.there(bucket, node).get(lot, 0) for bucket, node in places for lot in ("A", "B")]
        return [*found, world.balance["MILK", "LEE", "quarantine"]]


def lots_of(world: World) -> Lots:
    part = world.parts["sku/MILK"]
    assert isinstance(part, SkuPart)
    assert part.lots is not None
    return part.lots


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


def test_each_figure_of_what_moves_and_is_counted_by_lot() -> None:
    moved = Moved()
    lived(moved.world, "lots-moved", moved.read, moved.figures)


def test_each_figure_of_the_worked_example_is_what_comes_of_its_steps() -> None:
    lived(World(), "lots", read, figures)
