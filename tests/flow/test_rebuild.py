"""Every stage folded again from the broker's topics: the same digest, or a sentence that says why not."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from uuid import UUID

import pytest

from libs.events.contract import Event
from libs.events.fulfillment import (
    CancellationDeclined,
    FulfillmentCompleted,
    ShipmentDispatched,
)
from libs.events.intake import CancelOrder, OrderAccepted
from libs.events.inventory import (
    AllocationFailed,
    ReservationBroken,
    StockBackordered,
    StockReleased,
    StockReturned,
    StockShorted,
)
from libs.events.notifications import MessageSent
from libs.events.returns import (
    RefundRequested,
    ReturnReceived,
)
from libs.runtime import rebuild
from libs.runtime.complaint import Complaint
from libs.runtime.digest import memory_digest
from libs.runtime.memory_log import MemoryLog
from libs.runtime.stage import Stage
from libs.runtime.topic_reader import Read
from libs.runtime.wire import Record
from tests.flow.life import life
from tests.flow.oracle import check, stands
from tests.flow.people import Warehouse, open_shop, order
from tests.flow.world import STAGES, TENANT, World

INTAKE, INVENTORY, _, FULFILLMENT, _, RETURNS = STAGES
Change = Callable[[Record], Record | None]
"""A record as it is read instead, or None for one that is gone."""


def reading(world: World, change: Change = lambda record: record) -> Read:
    """The broker's topics, read nine records at a time."""

    async def read(topic: str, partition: int, offset: int) -> Sequence[Record]:
        kept = [change(record) for record in world.broker.read((topic, partition), 0, 1_000_000)]
        found = [record for record in kept if record is not None]
        found = [replace(record, offset=place) for place, record in enumerate(found)]
        return found[offset : offset + 9]

    return read


async def again(world: World, stage: Stage, change: Change = lambda record: record) -> MemoryLog:
    """A log replayed from the topics up to where the stage stands."""
    log = MemoryLog()
    await rebuild.replay(stage, stands(world, stage), reading(world, change), log, world.lane_of)
    return log


@pytest.fixture(scope="module")
async def month() -> World:
    """One life that all look at and nobody changes."""
    world = await life(3)
    happened = {type(event) for event in world.events()}
    assert happened > {StockBackordered, ReservationBroken, AllocationFailed, StockShorted, StockReleased}
    assert happened > {StockReturned, RefundRequested, MessageSent, CancellationDeclined}
    for stage, heard in EARLY.items():
        rows = [
            row for (_, origin), rows in world.logs[stage].rows.items() if origin == "heard" for row in rows
        ]
        assert heard.TYPE in {row.type for row in rows}, f"{stage} heard no {heard.__name__} too early"
    return world


EARLY: dict[str, type[Event]] = {
    "notifications": ShipmentDispatched,
    "inventory": ReturnReceived,
    "returns": FulfillmentCompleted,
    "intake": CancellationDeclined,
}


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.name)
async def test_a_stage_is_what_its_topics_say(
    month: World, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In small pieces, so that parts leave memory and come back."""
    monkeypatch.setattr(rebuild, "_ROWS_AT_ONCE", 7)
    monkeypatch.setattr(rebuild, "_PARTS_IN_HAND", 5)
    live, rebuilt = month.logs[stage.name], await again(month, stage)
    assert month.events(StockBackordered)
    assert memory_digest(rebuilt, stage) == memory_digest(live, stage)
    assert sum(len(rows) for (_, origin), rows in live.rows.items() if origin == "decided") > 5
    assert dict(rebuilt.consumed) == dict(live.consumed)
    assert set(rebuilt.effects) == set(live.effects)
    assert set(rebuilt.timers) >= set(live.timers)
    lanes = range(month.broker.partitions)
    published, before = await rebuilt.published(lanes), await live.published(lanes)
    assert {lane: mark.published for lane, mark in published.items()} == {
        lane: mark.published for lane, mark in before.items()
    }


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.name)
async def test_commands_are_known_again_and_when_each_event_was_decided(month: World, stage: Stage) -> None:
    live, rebuilt = month.logs[stage.name], await again(month, stage)
    for (lane, origin), rows in live.rows.items():
        for row in rows if origin == "decided" else ():
            found = await live.answer(TENANT, row_cause(row.context))
            known = await rebuilt.answer(TENANT, row_cause(row.context))
            assert [r.event_id for r in known or ()] == [r.event_id for r in found or ()]
            timed = stage is INVENTORY and found is None
            assert timed or rebuilt.rows[lane, origin][row.seq - 1].at == row.at


def row_cause(context: object) -> UUID:
    assert isinstance(context, dict)
    return UUID(context["causationid"])


@pytest.mark.parametrize("seed", range(3))
async def test_any_life_is_rebuilt(seed: int) -> None:
    """The oracle folds every stage again and compares."""
    check(await life(seed, partitions=1 + seed), all_closed=False)


async def test_a_stage_behind_its_topics_is_rebuilt_to_where_it_stands() -> None:
    """What was published for a stage and not decided by it is not its own yet."""
    month = await World().start()
    await open_shop(month, {"LON": {"TEA": 5}})
    await month.send(order("late", {"TEA": 1}))
    for name in ("intake", "inventory", "intake"):
        await month.turn([name])
    await month.send(order("later", {"TEA": 1}))
    await month.turn(["intake"])
    for stage in STAGES:
        assert memory_digest(await again(month, stage), stage) == memory_digest(month.logs[stage.name], stage)


async def test_a_declined_cancellation_may_be_asked_for_again() -> None:
    """Between the two requests only the refusal, heard and not answered, changed what intake knows."""
    world = await World().start()
    await open_shop(world, {"LON": {"TEA": 5}})
    bought = order("1", {"TEA": 2})
    await world.send(bought)
    await world.settle()
    warehouse = Warehouse(world)
    await warehouse.pick()
    await warehouse.pack()
    await warehouse.dispatch()
    for _ in range(2):
        await world.send(CancelOrder(order_id=bought.order_id))
        await world.settle()
        check(world, all_closed=False)
    await world.send(CancelOrder(order_id=bought.order_id))
    await world.turn(["intake"])
    check(world, all_closed=False)
    (state,) = (part for key, part in world.logs["intake"].parts.items() if bought.order_id in key)
    assert b'"cancelling"' in (state.part or b"")


async def test_a_loss_heard_before_the_prices_of_an_unpaid_order_is_forgotten() -> None:
    """Returns hears of the end of an order before it hears of its acceptance."""
    world = await World().start()
    await open_shop(world, {"LON": {"TEA": 5}})
    held_back = world.members["returns"].position
    late = {place: held_back.pop(place) for place in list(held_back) if place[0] == INTAKE.topic}
    await world.send(order("1", {"TEA": 2}, payment="on_account"))
    await world.settle()
    warehouse = Warehouse(world)
    await warehouse.pick()
    await warehouse.pack()
    await warehouse.dispatch()
    await warehouse.carry("lost")
    held_back |= late
    await world.settle()
    (part,) = world.logs["returns"].parts.values()
    assert RETURNS.adapter("").validate_json(part.part or b"").owed == ()
    check(world)


async def test_a_changed_byte_is_told(month: World) -> None:
    accepted = next(
        record
        for record in month.broker.all(INTAKE.topic)
        if dict(record.headers)["ce_type"] == OrderAccepted.TYPE.encode()
    )

    def change(record: Record) -> Record:
        value = (record.value or b"").replace(b'"web"', b'"wep"', 1)
        return replace(record, value=value) if record == accepted else record

    rebuilt = await again(month, INTAKE, change)
    assert memory_digest(rebuilt, INTAKE) != memory_digest(month.logs["intake"], INTAKE)


async def test_a_movement_that_was_changed_fits_nowhere(month: World) -> None:
    def change(record: Record) -> Record:
        return replace(record, value=(record.value or b"").replace(b'"position":2}', b'"position":3}'))

    with pytest.raises(
        Complaint, match=r"do not fit together: lane . sequence .* not the next change of sku/"
    ):
        await again(month, INVENTORY, change)


async def test_an_event_that_cannot_follow_is_named(month: World) -> None:
    """A shipment whose work was released under another name."""

    def change(record: Record) -> Record:
        return replace(record, value=(record.value or b"").replace(b'-F1","node"', b'-F9","node"'))

    with pytest.raises(Complaint, match=r"fulfillment lane \d sequence \d+ .* cannot follow .*: KeyError"):
        await again(month, FULFILLMENT, change)


@pytest.mark.parametrize("heard", [False, True], ids=["own", "heard"])
async def test_a_record_that_is_gone_is_named(month: World, heard: bool) -> None:
    topic = INTAKE.topic if heard else FULFILLMENT.topic
    source = "intake" if heard else "fulfillment"
    gone = month.broker.all(topic)[2]

    def drop(record: Record) -> Record | None:
        return None if record == gone else record

    with pytest.raises(Complaint, match=f"orderlog/{source} lane {gone.partition} lacks sequence 3"):
        await again(month, FULFILLMENT, drop)


async def test_a_topic_that_ends_too_early_is_named(month: World) -> None:
    last = month.broker.all(RETURNS.topic)[-1]

    def drop(record: Record) -> Record | None:
        return None if record == last else record

    with pytest.raises(Complaint, match=f"{RETURNS.topic}/{last.partition} does not hold"):
        await again(month, RETURNS, drop)


async def test_records_published_twice_are_folded_once() -> None:
    month = await World().start()
    await open_shop(month, {"LON": {"TEA": 5}})
    await month.send(order("1", {"TEA": 2}))
    await month.settle()
    for record in month.broker.all(INVENTORY.topic):
        await month.broker.publish(
            record.topic,
            record.partition,
            [(record.key or b"", record.value or b"", list(record.headers), 0)],
        )
    await month.settle()
    for stage in STAGES:
        assert memory_digest(await again(month, stage), stage) == memory_digest(month.logs[stage.name], stage)
