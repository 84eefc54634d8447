"""A stage's database is lost in the middle of a life: made again from the topics alone, nobody notices."""

import random
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from libs.events.contract import Event
from libs.events.intake import OrderAccepted, OrderClosed, SubmitOrder
from libs.runtime import rebuild
from libs.runtime.log import TopicPartition
from libs.runtime.memory_log import MemoryLog
from libs.runtime.retrace import retrace
from libs.runtime.stage import Stage
from tests.flow.life import life
from tests.flow.oracle import check, ledger_holds, topics_are_the_logs
from tests.flow.people import open_shop, order
from tests.flow.test_rebuild import reading
from tests.flow.world import STAGES, World

INTAKE, INVENTORY, *_ = STAGES

LOST = 0.02
"""How often a turn of the stages ends in a loss."""


async def recovered(world: World, stage: Stage, known: Mapping[TopicPartition, int]) -> MemoryLog:
    """A log from the broker's topics alone; `known` is what the consumer group had committed."""
    read, log = reading(world), MemoryLog()
    ends = {
        (topic, lane): len(world.broker.read((topic, lane), 0, 1_000_000))
        for topic in (stage.topic, *stage.topics)
        for lane in range(world.broker.partitions)
    }
    traces = await retrace(stage, ends, read, world.lane_of)
    stands = {
        lane: trace.stand({topic: at for (topic, number), at in known.items() if number == lane})
        for lane, trace in traces.items()
    }
    await rebuild.replay(stage, stands, read, log, world.lane_of)
    return log


async def lose(world: World, stage: Stage, known: Mapping[TopicPartition, int]) -> None:
    """The stage's process ends, its database is gone; a recovered one takes its place."""
    await world.broker.leave(stage.name, world.members[stage.name])
    world.logs[stage.name] = await recovered(world, stage, known)
    world.processes[stage.name], world.members[stage.name] = await world.process(stage)


def nothing_is_lost(world: World) -> None:
    """Every order that was submitted was decided, and who hears of an acceptance has answered it."""

    def answered(stage: str, *types: str) -> set[str]:
        rows = (
            row for (_, origin), rows in world.logs[stage].rows.items() for row in rows if origin == "decided"
        )
        return {row.stream for row in rows if not types or row.type in types}

    submitted = {
        dict(record.headers)["ce_subject"].decode()
        for record in world.broker.all(INTAKE.topics[0])
        if dict(record.headers)["ce_type"] == SubmitOrder.TYPE.encode()
    }
    accepted = answered("intake", OrderAccepted.TYPE)
    assert len(accepted) > 5
    assert submitted <= answered("intake")
    assert accepted <= answered("inventory")
    assert accepted <= answered("notifications")


async def losing(seed: int, monkeypatch: pytest.MonkeyPatch, *, committed: bool) -> World:
    """A life in which databases are lost, half of them with what was decided and not published yet."""
    dice, turn, lost = random.Random(seed), World.turn, [0]

    async def turn_and_lose(world: World, stages: Iterable[str] | None = None) -> int:
        happened = await turn(world, stages)
        if dice.random() < LOST:
            stage = dice.choice(STAGES)
            known = dict(world.logs[stage.name].consumed) if committed else {}
            if dice.random() < 0.5:
                await world.members[stage.name].poll(dice.randint(1, 500))
            await lose(world, stage, known)
            lost[0] += 1
        return happened

    monkeypatch.setattr(World, "turn", turn_and_lose)
    world = await life(seed, partitions=1 + seed % 3)
    assert lost[0] > 2
    return world


async def test_what_cannot_be_folded_waits_for_a_person() -> None:
    world = await World().start()
    await open_shop(world, {"LON": {"TEA": 5}})
    for number in range(3):
        await world.send(order(str(number), {"TEA": 1}))
    await world.settle()

    def fails(state: Any, event: Event) -> Any:
        if isinstance(event, OrderAccepted) and event.external_id == "1":
            raise ValueError("of another time")
        return INVENTORY.evolve(state, event)

    log = await recovered(world, replace(INVENTORY, evolve=fails), {})
    [waits] = log.parked_rows
    assert (waits.code, waits.topic, waits.type) == ("failed", INTAKE.topic, OrderAccepted.TYPE)
    assert waits.reason == "folding it failed: ValueError: of another time"
    record = await world.broker.fetch(waits.topic, waits.partition, waits.offset)
    assert record is not None
    assert (record.key or b"").decode() == waits.key
    assert len(log.rows) > 0


@pytest.mark.parametrize("seed", range(4))
async def test_a_life_in_which_databases_are_lost_comes_out_sound(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = await losing(seed, monkeypatch, committed=True)
    check(world, all_closed=False)
    nothing_is_lost(world)


@pytest.mark.parametrize("seed", range(3))
async def test_also_when_the_group_never_committed_nothing_is_lost_or_doubled(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = await losing(seed, monkeypatch, committed=False)
    ledger_holds(world)
    topics_are_the_logs(world)
    nothing_is_lost(world)
    for kind in (OrderAccepted, OrderClosed):
        orders = [getattr(event, "order_id") for event in world.events(kind)]  # noqa: B009
        assert len(orders) == len(set(orders))
