"""The worked example of docs/inventory.md: its steps are taken, and each figure is what comes of them."""

import re
from pathlib import Path

from libs.events.contract import Contract
from libs.events.inventory import NETWORK
from libs.events.promise import DefinePromiseTerms, HoldStock, Share, Wanted
from services.inventory.stock import EMPTY_SKU, SkuPart
from tests.unit.inventory_trade import accepted, adjust, line, of_basket, receive, routed
from tests.unit.inventory_world import World

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "inventory.md").read_text()


def rows() -> list[tuple[str, list[int]]]:
    """(step, figures) of each row of the example."""
    table = PAGE.partition("<!-- worked -->")[2].partition("<!-- /worked -->")[0]
    found = []
    for text in table.splitlines():
        step = re.search(r"`([^`]+)`", text)
        if step:
            found.append((step[1], [int(cell) for cell in text.split("|")[2:-1]]))
    return found


def read(step: str) -> Contract | None:
    """A step as an input; None where time passes."""
    match step.split():
        case ["receive", units]:
            return receive("MUG", int(units), "LON")
        case ["adjust", units]:
            return adjust("MUG", int(units), "LON")
        case ["terms", "safety", safety, "web", units]:
            share = Share(channel="web", units=int(units), lends_to=("pos",))
            return DefinePromiseTerms(sku="MUG", safety_stock=int(safety), shares=(share,))
        case ["hold", basket, units, channel]:
            wanted = (Wanted(sku="MUG", quantity=int(units)),)
            return HoldStock(promise_id=basket, lines=wanted, channel=channel)
        case ["order", order_id, units, channel]:
            order = accepted(order_id, ("MUG", int(units)))
            return order.model_copy(update={"channel": channel})
        case ["order", order_id, units, channel, basket]:
            order = accepted(order_id, ("MUG", int(units))).model_copy(update={"channel": channel})
            return of_basket(basket, order)
        case ["plan", order_id, units]:
            return routed(order_id, 1, LON=(line(1, "MUG", int(units)),))
        case ["expire", _]:
            return None
    raise AssertionError(f"`{step}` is no step that this test knows")


def figures(world: World) -> list[int]:
    part = world.parts.get("sku/MUG", EMPTY_SKU)
    assert isinstance(part, SkuPart)
    buckets = [world.balance["MUG", NETWORK, name] for name in ("held", "reserved")]
    on_hand, allocated = (world.balance["MUG", "LON", name] for name in ("on_hand", "allocated"))
    waiting = part.wanted - part.reserved
    return [
        on_hand,
        *buckets,
        allocated,
        waiting,
        *(part.claimable(c) for c in ("web", "pos", "marketplace")),
    ]


def test_each_figure_of_the_worked_example_is_what_comes_of_its_steps() -> None:
    world, told = World(), rows()
    assert len(told) >= 8
    for step, expected in told:
        body = read(step)
        if body is None:
            world.due(world.timers[f"promise/{step.split()[1]}", "expire"])
        else:
            world.take(body)
        while soon := [t for t in world.timers.values() if t.name != "expire"]:
            world.due(soon[0])
        assert figures(world) == expected, f"after `{step}`"
