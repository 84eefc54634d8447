"""Scrubbing: a log that is not what was published halts its lane, and goes on once it is put right."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from libs.events.inventory import ReceiveStock, StockReceived
from libs.runtime.log import LogRow
from libs.runtime.scrub import Scrub
from tests.flow.oracle import check
from tests.flow.world import Process, World

MUGS = 40


async def stocked() -> tuple[World, Process]:
    """Inventory with forty SKUs, all of it anchored a few events at a time."""
    world = await World().start()
    for number in range(MUGS):
        await world.send(ReceiveStock(sku=f"MUG-{number}", node="LON", quantity=9))
        await world.settle()
    return world, world.processes["inventory"]


async def read_through(scrub: Scrub) -> int:
    """A round of every lane; how many turns it took."""
    for turns in range(1, 1000):
        if not await scrub.turn():
            return turns
    raise AssertionError("it never comes to an end")


def changed(rows: list[LogRow]) -> None:
    rows[1] = replace(rows[1], payload=rows[1].payload.replace(b'"quantity":9', b'"quantity":8'))


def backdated(rows: list[LogRow]) -> None:
    rows[1] = replace(rows[1], context={**rows[1].context, "actor": "nobody"})


def bared(rows: list[LogRow]) -> None:
    rows[1] = replace(rows[1], context={})


def missing(rows: list[LogRow]) -> None:
    del rows[1]


def cut(rows: list[LogRow]) -> None:
    del rows[-1]


async def test_a_log_as_it_was_published_is_read_round_after_round() -> None:
    world, inventory = await stocked()
    scrub = Scrub("inventory", world.logs["inventory"], inventory.loop)
    first, second = await read_through(scrub), await read_through(scrub)
    assert first == second > MUGS / 2, "each round reads all of it"
    assert not inventory.loop.halted


@pytest.mark.parametrize(
    ("tamper", "says"),
    [
        (changed, "was changed since it was published"),
        (backdated, "was changed since it was published"),
        (bared, "was changed since it was published"),
        (missing, "event 2 of lane"),
        (cut, "is missing in the log since it was published"),
    ],
)
async def test_a_log_that_is_not_halts_its_lane_until_it_is_put_right(
    tamper: Callable[[list[LogRow]], None], says: str
) -> None:
    world, inventory = await stocked()
    log = world.logs["inventory"]
    lane = world.lane_of("acme/sku/MUG-1")
    held = log.rows[lane, "decided"]
    before = list(held)
    scrub = Scrub("inventory", log, inventory.loop)
    tamper(held)
    for _ in range(3 * MUGS):
        await scrub.turn()
    assert [*inventory.loop.halted] == [lane]
    [why] = inventory.halts
    assert says in why
    assert why.endswith("orderlog prove log inventory")
    await world.send(ReceiveStock(sku="MUG-1", node="LON", quantity=1))
    await world.settle()
    assert len(world.events(StockReceived)) < MUGS + 1
    assert inventory.loop.resume(lane) == {}, "that the cause may be gone is for the scrub to say"
    held[:] = before
    for _ in range(3 * MUGS):
        await scrub.turn()
    for place, offset in inventory.loop.resume(lane).items():
        world.members["inventory"].position[place] = offset
    await world.settle()
    assert not inventory.loop.halted
    assert len(world.events(StockReceived)) == MUGS + 1
    check(world)


async def test_a_lane_that_another_process_has_is_not_read() -> None:
    world, inventory = await stocked()
    log = world.logs["inventory"]
    lane = world.lane_of("acme/sku/MUG-1")
    changed(log.rows[lane, "decided"])
    scrub = Scrub("inventory", log, inventory.loop)
    inventory.revoked([("oms.inventory.commands", lane)])
    await read_through(scrub)
    assert not inventory.halts


async def test_a_lane_that_cannot_be_read_keeps_no_other_from_being_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nor does it end the process: a damaged page of the table, say."""
    world, inventory = await stocked()
    log = world.logs["inventory"]
    lane = world.lane_of("acme/sku/MUG-1")
    changed(log.rows[lane, "decided"])
    whole = log.unpublished

    async def unpublished(of: int, after: int, limit: int) -> list[LogRow]:
        if of != lane:
            raise ValueError("invalid page in block 7")
        return await whole(of, after, limit)

    monkeypatch.setattr(log, "unpublished", unpublished)
    scrub = Scrub("inventory", log, inventory.loop)
    for _ in range(3 * MUGS):
        await scrub.turn()
    assert [*inventory.loop.halted] == [lane], "what cannot be read is not taken to be changed"


async def test_a_lane_that_was_amiss_is_trusted_only_once_it_leads_to_what_is_anchored_then() -> None:
    world, inventory = await stocked()
    log = world.logs["inventory"]
    lane = world.lane_of("acme/sku/MUG-1")
    held, anchors = log.rows[lane, "decided"], dict(log.anchors)
    before = list(held)
    scrub = Scrub("inventory", log, inventory.loop)
    changed(held)
    for _ in range(3 * MUGS):
        await scrub.turn()
    assert [*inventory.loop.halted] == [lane]
    log.anchors.clear()
    for _ in range(MUGS):
        await scrub.turn()
    assert inventory.loop.resume(lane) == {}
    held[:] = before
    log.anchors.update(anchors)
    for _ in range(3 * MUGS):
        await scrub.turn()
    assert inventory.loop.resume(lane)
