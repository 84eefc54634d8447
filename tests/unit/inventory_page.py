"""docs/inventory.md and the worked examples in it, whose figures tests compute."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

from libs.events.contract import Contract
from services.inventory.proof import prove
from tests.spec import NOON
from tests.unit.inventory_world import World

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "inventory.md").read_text()


def table(name: str) -> list[str]:
    """Lines of the table between the page's markers of that name."""
    return PAGE.partition(f"<!-- {name} -->")[2].partition(f"<!-- /{name} -->")[0].strip().splitlines()


def worked(name: str) -> list[tuple[str, list[int]]]:
    """(step, figures) of each row of an example."""
    found = []
    for text in table(name):
        step = re.search(r"`([^`]+)`", text)
        if step:
            found.append((step[1], [int(cell) for cell in text.split("|")[2:-1]]))
    return found


def lived(
    world: World, name: str, read: Callable[[str], Contract | None], figures: Callable[[World], list[int]]
) -> None:
    """A worked example in which days pass: each of its figures is what comes of its steps, and the proof
    holds of them. `read` makes an input of a step; None of `days N`, the N-th day's beginning, from when on
    whatever is due is looked at after each step."""
    told = worked(name)
    assert len(told) >= 8
    for step, expected in told:
        body = read(step)
        if body is None:
            world.now = datetime.combine(NOON.date(), time(), UTC) + timedelta(days=int(step.split()[1]))
        else:
            world.take(body)
        while due := [timer for timer in world.timers.values() if timer.due_at <= world.now]:
            world.due(due[0])
        assert figures(world) == expected, f"after `{step}`"
    assert prove(world.log).holds
