"""The example of "Who gets it" in docs/inventory.md: each figure is what comes of its steps."""

import re
from datetime import timedelta

from libs.events.contract import Event
from libs.events.policy import BackorderLapsed, DefineReservationPolicies
from libs.events.promise import DefinePromiseTerms, ReorderHold
from services.inventory.stock import EMPTY_SKU, NO_CLAIM, SkuPart
from tests.unit.inventory_page import PAGE, table
from tests.unit.inventory_trade import accepted, line, receive, routed, unroutable
from tests.unit.inventory_world import World

SECTION = PAGE.partition("## Who gets it")[2].partition("\n## ")[0]


def rows() -> tuple[list[str], list[tuple[list[str], list[int]]]]:
    """The orders, and (step, figures) of each row of the example."""
    head, _, *lines = table("who")
    orders = [cell.strip() for cell in head.split("|")[4:-1]]
    found = []
    for text in lines:
        step = re.findall(r"`([^`]+)`", text)[-1]
        found.append((step.split(), [int(cell) for cell in text.split("|")[2:-1]]))
    return orders, found


def settle(world: World) -> list[Event]:
    events = list[Event]()
    while soon := [timer for timer in world.timers.values() if timer.due_at <= world.now]:
        events += world.due(soon[0])
    return events


def take(world: World, step: list[str]) -> None:
    match step:
        case ["receive", units]:
            world.take(receive("MUG", int(units), "LON"))
        case ["reorder", "none"]:
            world.take(DefinePromiseTerms(sku="MUG"))
        case ["reorder", point, rank]:
            hold = ReorderHold(point=int(point), rank_max=int(rank))
            world.take(DefinePromiseTerms(sku="MUG", reorder=hold))
        case ["order", order_id, units, *kind]:
            order = accepted(order_id, ("MUG", int(units)))
            named = "service" if kind == ["express"] else "order_type"
            world.take(order.model_copy(update={named: kind[0]} if kind else {}))
        case ["plan", order_id, units]:
            world.take(routed(order_id, 1, LON=(line(1, "MUG", int(units)),)))
        case ["days", days]:
            world.now += timedelta(days=int(days))
            [lapsed] = settle(world)
            assert isinstance(lapsed, BackorderLapsed)
            world.take(unroutable(lapsed.order_id, *lapsed.lines))
        case _:
            raise AssertionError(f"`{' '.join(step)}` is no step that this test knows")
    settle(world)


def test_each_figure_of_who_gets_it_is_what_comes_of_its_steps() -> None:
    world = World()
    stated = re.search(r"\n    (\{.+?\}\]\})\n", SECTION, re.DOTALL)
    assert stated
    world.take(DefineReservationPolicies.model_validate_json(stated[1]))
    orders, told = rows()
    assert len(told) >= 12
    for step, expected in told:
        take(world, step)
        part = world.parts.get("sku/MUG", EMPTY_SKU)
        assert isinstance(part, SkuPart)
        held = [part.claims.get(order_id, NO_CLAIM).held for order_id in orders]
        assert [sum(part.on_hand.values()), part.free, *held] == expected, f"after `{' '.join(step)}`"
