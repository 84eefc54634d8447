"""The worked example of docs/inventory.md is what the decisions do."""

import re

from libs.events.contract import Contract
from tests.unit.inventory_page import PAGE
from tests.unit.inventory_supply import arrive, count, expect, land, move, send
from tests.unit.inventory_world import World


def shown() -> list[list[int]]:
    """The example's figures, a row a step."""
    table = PAGE.partition("A worked example.")[2].partition("The count found")[0]
    rows = re.findall(r"^\| (?!what|-)[^|]*\|(.*)\|$", table, re.MULTILINE)
    return [[int(cell) for cell in row.split("|")] for row in rows]


def test_the_buckets_after_each_step_are_those_of_the_page() -> None:
    world, found = World(), list[list[int]]()
    columns = [
        ("LON", "on_hand"),
        ("LON", "inbound"),
        ("LON", "damaged"),
        ("LON", "quarantine"),
        ("LEE", "in_transit"),
        ("LEE", "on_hand"),
    ]

    def step(body: Contract) -> None:
        world.take(body)
        found.append([world.balance["MUG", node, bucket] for node, bucket in columns])

    step(expect("MUG", "PO-1077", 144, "LON"))
    step(arrive("MUG", "PO-1077", "GR-1", 140, 2, "LON", final=True))
    before_it_left, position = world.now, 4
    step(send("MUG", "T-12", 12, "LON", "LEE"))
    step(land("MUG", "T-12", "TR-1", 11, final=True))
    step(move("MUG", 6, "on_hand", "quarantine", "LON"))
    step(count("MUG", "CC-77", 138, 140, position, before_it_left, "LON"))
    assert found == shown()
    assert len(found) == 6
