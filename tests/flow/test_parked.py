"""What becomes of a parked record is an event of the stage that parked it, in its log."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import orjson
import pytest

from libs.events.intake import CancelOrder, OrderAccepted, SubmitOrder
from libs.events.parked import NOBODY, PARKED_EVENTS
from libs.runtime.digest import memory_digest
from libs.runtime.log import Fenced, LogRow
from libs.runtime.retrace import retrace
from tests.flow.oracle import check
from tests.flow.people import open_shop, order
from tests.flow.test_rebuild import reading
from tests.flow.test_recover import recovered
from tests.flow.world import STAGES, TENANT, World

INVENTORY = STAGES[1]
INTAKE_EVENTS = "oms.intake.events"


def told(world: World, stage: str) -> list[LogRow]:
    """What the stage told of parked records, in order within a lane."""
    types = {event.TYPE for event in PARKED_EVENTS}
    rows = (row for _, rows in sorted(world.logs[stage].rows.items()) for row in rows)
    return [row for row in rows if row.type in types]


def short(rows: list[LogRow]) -> list[tuple[str, int, int]]:
    """What happened, to which version of its record's stream, and how many wait then."""
    return [
        (row.type.removeprefix("oms.record_"), row.stream_version, orjson.loads(row.payload)["waiting"])
        for row in rows
    ]


async def shop() -> World:
    world = await World().start()
    await open_shop(world, {"LON": {"TEA": 50}})
    return world


async def broken(world: World, one: SubmitOrder) -> tuple[str, Callable[[], None]]:
    """An order whose acceptance inventory cannot read: its key, and how to mend it."""
    await world.send(one)
    await world.turn(["intake"])
    key = f"{TENANT}/{one.order_id}"
    held = world.broker._records[INTAKE_EVENTS, world.lane_of(key)]
    good = held[-1]
    held[-1] = replace(good, value=b"{")
    return key, partial(held.__setitem__, len(held) - 1, good)


async def settle(world: World, key: str, *, replay: bool, note: str = "") -> None:
    await world.logs["inventory"].resolve_parked(key, replay=replay, actor="ann", note=note)
    await world.settle()


async def test_it_is_told_when_a_record_is_parked_fails_again_and_is_replayed() -> None:
    world = await shop()
    one = order("1", {"TEA": 1})
    key, mend = await broken(world, one)
    accepted = world.logs["intake"].rows[world.lane_of(key), "decided"][-1]
    await world.send(CancelOrder(order_id=one.order_id))
    await world.settle()
    assert short(told(world, "inventory")) == [("parked", 1, 1), ("queued", 1, 2)]
    first = orjson.loads(told(world, "inventory")[0].payload)
    assert (first["parked_key"], first["topic"], first["offset"]) == (key, INTAKE_EVENTS, accepted.seq - 1)
    assert (first["code"], first["record_type"]) == ("malformed", OrderAccepted.TYPE)
    assert first["record_id"] == str(accepted.event_id)
    await settle(world, key, replay=True, note="Not mended yet.")
    mend()
    await settle(world, key, replay=True, note="The sender is mended.")
    rows = told(world, "inventory")[2:]
    assert short(rows) == [("parked", 2, 2), ("replayed", 3, 1), ("replayed", 2, 0)]
    said = [(row.context["actor"], row.context["reason"]) for row in rows]
    assert said == [("orderlog", ""), ("ann", "The sender is mended."), ("orderlog", "")]
    check(world)


async def test_it_is_told_who_discarded_a_record_and_why() -> None:
    world = await shop()
    key, mend = await broken(world, order("1", {"TEA": 1}))
    await world.settle()
    await settle(world, key, replay=False, note="Nobody can mend it.")
    parked, discarded = told(world, "inventory")
    assert short([parked, discarded]) == [("parked", 1, 1), ("discarded", 2, 0)]
    assert (discarded.context["actor"], discarded.context["reason"]) == ("ann", "Nobody can mend it.")
    assert parked.stream == discarded.stream
    mend()  # a topic that is not what its log says is another thing
    check(world, all_closed=False)


async def test_what_says_not_whose_it_is_is_told_under_a_tenant_that_nobody_has() -> None:
    world = await shop()
    await world.send(order("1", {"TEA": 1}))
    lane = world.lane_of(f"{TENANT}/{order('1', {'TEA': 1}).order_id}")
    held = world.broker._records["oms.intake.commands", lane]
    held[-1] = replace(held[-1], headers=tuple(one for one in held[-1].headers if one[0] != "ce_tenant"))
    await world.settle()
    [row] = told(world, "intake")
    assert (row.tenant, short([row])) == (NOBODY, [("parked", 1, 1)])
    assert "record_id" not in orjson.loads(row.payload)
    check(world, all_closed=False)


async def test_a_stage_that_lost_its_database_knows_from_its_topic_what_became_of_parked_records() -> None:
    world = await shop()
    given_up, waits = order("1", {"TEA": 1}), order("2", {"TEA": 1})
    first, mend_first = await broken(world, given_up)
    second, mend_second = await broken(world, waits)
    await world.send(CancelOrder(order_id=waits.order_id))
    await world.settle()
    await settle(world, first, replay=False, note="Nobody can mend it.")
    mend_first()
    mend_second()
    log, lanes = world.logs["inventory"], range(world.broker.partitions)
    ends = {
        (topic, lane): len(world.broker.read((topic, lane), 0, 1_000_000))
        for topic in (INVENTORY.topic, *INVENTORY.topics)
        for lane in lanes
    }
    traces = await retrace(INVENTORY, ends, reading(world), world.lane_of)
    known = [row for trace in traces.values() for row in trace.parked.values()]
    assert {(row.key, row.state) for row in known} == {
        (first, "discarded"),
        (second, "parked"),
        (second, "queued"),
    }
    was = {(row.topic, row.partition, row.offset): replace(row, id=0) for row in log.parked_rows}
    for row in known:
        before = was[row.topic, row.partition, row.offset]
        assert row == replace(before, decided_by="", note="", code=row.code, reason=row.reason)
    after = await recovered(world, INVENTORY, dict(log.consumed))
    assert memory_digest(after, INVENTORY) == memory_digest(log, INVENTORY)


async def test_a_replay_that_was_read_before_and_is_over_is_fenced() -> None:
    world = await shop()
    key, mend = await broken(world, order("1", {"TEA": 1}))
    await world.settle()
    mend()
    log, lanes = world.logs["inventory"], range(world.broker.partitions)
    await log.resolve_parked(key, replay=True, actor="ann", note="")
    [read_before] = await log.replaying(lanes, 9)
    await world.settle()
    with pytest.raises(Fenced, match="it was before"):
        await world.processes["inventory"].loop._replay(read_before)
    assert short(told(world, "inventory")) == [("parked", 1, 1), ("replayed", 2, 0)]


async def test_a_record_that_its_topic_lost_is_discarded_too() -> None:
    """Topics made anew from the logs hold no commands: what was parked of those lies nowhere."""
    world = await shop()
    key, mend = await broken(world, order("1", {"TEA": 1}))
    await world.settle()
    mend()
    rows = world.logs["inventory"].parked_rows
    rows[0] = replace(rows[0], offset=-1)
    await settle(world, key, replay=False, note="It is gone.")
    parked, discarded = told(world, "inventory")
    assert short([parked, discarded]) == [("parked", 1, 1), ("discarded", 2, 0)]
    assert "offset" not in orjson.loads(discarded.payload)
