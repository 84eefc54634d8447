"""Repeats, poison, rebalances, zombies: nothing lost, nothing doubled, other keys go on."""

import itertools
from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

import pytest

from libs.events.ids import order_id
from libs.events.intake import CancelOrder, OrderAccepted, OrderClosed, SubmitOrder
from libs.events.inventory import ReceiveStock, StockReceived, StockReleased, StockReserved
from libs.events.refusal import CommandRefused
from libs.runtime.limits import Limits
from libs.runtime.log import Fenced
from libs.runtime.relay import Message, PublishFailed
from libs.runtime.wire import Record
from tests.flow.oracle import check
from tests.flow.people import Warehouse, open_shop, order
from tests.flow.world import STAGES, TENANT, World

ID = UUID("11111111-2222-5333-8444-555555555555")


def accepted(world: World) -> set[str]:
    return {e.external_id for e in world.events(OrderAccepted) if isinstance(e, OrderAccepted)}


def refusals(world: World) -> list[str]:
    return [e.code for e in world.events(CommandRefused) if isinstance(e, CommandRefused)]


async def shop(limits: Limits | None = None) -> World:
    world = await World(limits=limits).start()
    await open_shop(world, {"LON": {"TEA": 100}})
    return world


async def test_a_command_sent_five_times_has_one_result() -> None:
    world = await shop()
    for _ in range(5):
        await world.send(ReceiveStock(sku="TEA", node="LON", quantity=7), id_=ID)
        await world.settle()
    received = [e.quantity for e in world.events(StockReceived) if isinstance(e, StockReceived)]
    assert received == [100, 7]
    check(world)


async def test_a_command_id_used_for_another_command_is_refused() -> None:
    world = await shop()
    await world.send(ReceiveStock(sku="TEA", node="LON", quantity=7), id_=ID)
    for _ in range(3):
        await world.send(ReceiveStock(sku="TEA", node="LON", quantity=8), id_=ID)
        await world.send(ReceiveStock(sku="TEA", node="LON", quantity=8), id_=ID)
        await world.settle()
    assert refusals(world) == ["command_id_reused"]
    check(world)


async def test_the_same_order_again_is_the_same_order_and_another_under_its_id_a_conflict() -> None:
    world = await shop()
    await world.send(order("1", {"TEA": 1}))
    await world.send(order("1", {"TEA": 1}))
    await world.send(order("1", {"TEA": 2}))
    await world.settle()
    assert len(world.events(OrderAccepted)) == 1
    assert refusals(world) == ["conflict"]
    check(world, all_closed=False)


async def test_every_topic_delivered_again_changes_nothing() -> None:
    world = await shop()
    await world.send(order("1", {"TEA": 1}))
    await world.settle()
    await Warehouse(world).everything()
    before = {stage.name: dict(world.logs[stage.name].rows) for stage in STAGES}
    for stage in STAGES:
        for record in world.broker.all(stage.topic):
            message = (record.key or b"", record.value or b"", list(record.headers), 0)
            await world.broker.publish(stage.topic, record.partition, [message])
    await world.settle()
    assert {stage.name: dict(world.logs[stage.name].rows) for stage in STAGES} == before
    assert not [why for process in world.processes.values() for why in process.halts]
    await world.send(order("2", {"TEA": 1}))
    await world.settle()
    await Warehouse(world).everything()
    assert accepted(world) == {"1", "2"}
    check(world)


POISON: dict[str, tuple[bytes, str]] = {
    "bad JSON": (b'{"order_id": ', "malformed"),
    "NUL bytes": (b"\x00\x00\x00", "malformed"),
    "empty": (b"", "malformed"),
    "not an object": (b"[1,2]", "malformed"),
    "10 MB": (b'{"x":"' + b"y" * 10_000_000 + b'"}', "too_large"),
}


@pytest.mark.parametrize("kind", POISON)
async def test_an_unreadable_command_is_refused_by_name_and_others_go_on(kind: str) -> None:
    world = await shop()
    value, code = POISON[kind]
    await world.publish(world.envelope(order("1", {"TEA": 1})), value)
    await world.send(order("2", {"TEA": 1}), order("3", {"TEA": 1}))
    await world.settle()
    assert refusals(world) == [code]
    assert accepted(world) == {"2", "3"}
    check(world, all_closed=False)


@pytest.mark.parametrize("quantity", [0, -1, 2**63, 1.5, "7", None])
async def test_an_impossible_quantity_is_refused(quantity: object) -> None:
    world = await shop()
    good = order("1", {"TEA": 1})
    envelope = world.envelope(good)
    value = good.model_dump_json().replace('"quantity":1', f'"quantity":{_json(quantity)}').encode()
    await world.publish(envelope, value)
    await world.settle()
    (refused,) = world.events(CommandRefused)
    assert isinstance(refused, CommandRefused)
    assert "lines.0.quantity" in refused.message
    check(world)


def _json(value: object) -> str:
    return "null" if value is None else f'"{value}"' if isinstance(value, str) else str(value)


async def publish_with_headers(world: World, command: SubmitOrder, **changed: bytes | None) -> Record:
    """Publish a command with some headers replaced, or left out where None."""
    await world.send(command)
    lane = world.lane_of(f"{TENANT}/{command.order_id}")
    held = world.broker._records["oms.intake.commands", lane]
    record = held[-1]
    found = {name: changed.get(name, value) for name, value in record.headers}
    headers = tuple((name, value) for name, value in found.items() if value is not None)
    held[-1] = replace(record, headers=headers)
    return held[-1]


async def test_an_unknown_type_and_a_newer_version_are_refused_by_name() -> None:
    world = await shop()
    await publish_with_headers(world, order("1", {"TEA": 1}), ce_type=b"oms.intake.teleport_order")
    await publish_with_headers(world, order("2", {"TEA": 1}), ce_typeversion=b"99")
    await world.send(order("3", {"TEA": 1}))
    await world.settle()
    assert sorted(refusals(world)) == ["newer_version", "unknown_type"]
    assert accepted(world) == {"3"}


@pytest.mark.parametrize("header", ["ce_tenant", "ce_id", "ce_type", "ce_time", "ce_subject"])
async def test_a_record_from_nobody_is_parked_and_blocks_nobody(header: str) -> None:
    world = await shop()
    await publish_with_headers(world, order("1", {"TEA": 1}), **{header: None})
    await world.send(order("1", {"TEA": 1}), order("2", {"TEA": 1}))
    await world.settle()
    (parked,) = await world.logs["intake"].parked(open_only=True, limit=10)
    assert parked.code == "bad_headers"
    assert header in parked.reason
    assert accepted(world) == {"1", "2"}
    check(world, all_closed=False)


async def test_an_unreadable_event_parks_its_key_and_replays_in_order() -> None:
    """A sender published nonsense: its order waits, others go on; once read again, the order goes on too."""
    world = await shop()
    first, second = order("1", {"TEA": 1}), order("2", {"TEA": 1})
    await world.send(first, second)
    await world.turn(["intake"])
    lane = world.lane_of(f"{TENANT}/{first.order_id}")
    held = world.broker._records["oms.intake.events", lane]
    place = next(n for n, r in enumerate(held) if r.key == f"{TENANT}/{first.order_id}".encode())
    good = held[place]
    held[place] = replace(good, value=b'{"order_id": 7}')
    await world.settle()
    parked = await world.logs["inventory"].parked(open_only=True, limit=10)
    assert {row.key for row in parked} == {f"{TENANT}/{first.order_id}"}
    await Warehouse(world).everything()
    closed = {e.order_id for e in world.events(OrderClosed) if isinstance(e, OrderClosed)}
    assert closed == {second.order_id}
    held[place] = good
    for name, log in world.logs.items():
        for row in await log.parked(open_only=True, limit=10):
            if row.state == "parked":
                await log.resolve_parked(row.key, replay=True, actor="ann", note=name)
    await world.settle()
    await Warehouse(world).everything()
    closed = {e.order_id for e in world.events(OrderClosed) if isinstance(e, OrderClosed)}
    assert closed == {first.order_id, second.order_id}
    check(world)


async def test_what_follows_a_parked_record_waits_behind_it() -> None:
    """The acceptance is unreadable to inventory; the cancellation that follows must not overtake it."""
    world = await shop()
    one = order("1", {"TEA": 1})
    await world.send(one)
    await world.turn(["intake"])
    lane = world.lane_of(f"{TENANT}/{one.order_id}")
    held = world.broker._records["oms.intake.events", lane]
    good = held[-1]
    place = len(held) - 1
    held[place] = replace(good, value=b"{")
    await world.send(CancelOrder(order_id=one.order_id))
    await world.settle()
    states = [row.state for row in await world.logs["inventory"].parked(open_only=True, limit=10)]
    assert states == ["parked", "queued"]
    assert not world.events(StockReleased)

    async def replay() -> None:
        for log in world.logs.values():
            await log.resolve_parked(f"{TENANT}/{one.order_id}", replay=True, actor="ann", note="")
        await world.settle()

    await replay()
    states = [row.state for row in await world.logs["inventory"].parked(open_only=True, limit=10)]
    assert states == ["parked", "queued"], "still unreadable: parked again, and nothing overtook it"
    held[place] = good
    await replay()
    assert [type(event) for event in world.events(StockReserved, StockReleased)] == [
        StockReserved,
        StockReleased,
    ]
    assert not await world.logs["inventory"].parked(open_only=True, limit=10)
    check(world)


async def test_a_relay_whose_broker_fails_now_and_then_keeps_order_and_loses_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Some publishes fail before, some after the broker stored them: nobody knows which."""
    world = await shop()
    store, calls = world.broker.publish, itertools.count()

    async def flaky(topic: str, partition: int, messages: Sequence[Message]) -> None:
        turn = next(calls) % 4 if topic.endswith(".events") else 0
        if turn == 1:
            raise PublishFailed("before")
        await store(topic, partition, messages)
        if turn == 3:
            raise PublishFailed("after")

    monkeypatch.setattr(world.broker, "publish", flaky)
    await world.send(*(order(str(n), {"TEA": 1}) for n in range(20)))
    for _ in range(60):
        for process in world.processes.values():
            process.relay._wake.set()
            try:
                await world.turn([process.stage.name])
            except PublishFailed:
                continue
    monkeypatch.setattr(world.broker, "publish", store)
    await world.settle()
    await Warehouse(world).everything()
    assert len(accepted(world)) == 20
    check(world)


async def test_a_zombie_rings_no_timers() -> None:
    """Units arrive for a waiting order; the former owner of its lane wakes up to its due timer."""
    world = await World().start()
    await open_shop(world, {})
    await world.send(order("1", {"TEA": 1}))
    await world.settle()
    zombie, asleep = world.processes["inventory"], world.members["inventory"]
    await world.send(ReceiveStock(sku="TEA", node="LON", quantity=1))
    await asleep.poll()
    await world.broker.leave("inventory", asleep, silently=True)
    world.processes["inventory"], world.members["inventory"] = await world.process(STAGES[1])
    with pytest.raises(Fenced):
        await zombie.loop.work()
    await world.settle()
    await Warehouse(world).everything()
    check(world)


async def test_a_newer_event_version_stops_its_lane_with_an_alert() -> None:
    world = await shop()
    one = order("1", {"TEA": 1})
    await world.send(one)
    await world.turn(["intake"])
    lane = world.lane_of(f"{TENANT}/{one.order_id}")
    held = world.broker._records["oms.intake.events", lane]
    good = held[-1]
    headers = tuple((n, b"99" if n == "ce_typeversion" else v) for n, v in good.headers)
    held[-1] = replace(good, headers=headers)
    await world.settle()
    assert "newer than" in world.processes["inventory"].halts[0]
    assert lane not in world.processes["inventory"].loop.lanes
    held[-1] = good
    world.processes["inventory"], world.members["inventory"] = await world.process(STAGES[1])
    await world.settle()
    await Warehouse(world).everything()
    check(world, all_closed=False)


async def test_a_skipped_sequence_is_noticed_and_stops_the_lane() -> None:
    world = await shop()
    one = order("1", {"TEA": 1})
    await world.send(one)
    await world.turn(["intake"])
    lane = world.lane_of(f"{TENANT}/{one.order_id}")
    held = world.broker._records["oms.intake.events", lane]
    headers = tuple((n, b"7" if n == "ce_sequence" else v) for n, v in held[0].headers)
    held[0] = replace(held[0], headers=headers)
    await world.turn(["inventory"])
    assert "a hole" in world.processes["inventory"].halts[0]


async def test_a_zombie_commits_nothing() -> None:
    """A member is declared dead and replaced, then wakes up with a batch in hand."""
    world = await shop()
    zombie, asleep = world.processes["inventory"], world.members["inventory"]
    await world.send(*(order(str(n), {"TEA": 1}) for n in range(20)))
    await world.turn(["intake"])
    await world.broker.leave("inventory", asleep, silently=True)
    world.processes["inventory"], world.members["inventory"] = await world.process(STAGES[1])
    await world.turn(["inventory"])
    rows = sum(len(held) for held in world.logs["inventory"].rows.values())
    await asleep.poll()
    assert sum(len(held) for held in world.logs["inventory"].rows.values()) == rows
    await zombie.relay.turn()
    await world.settle()
    await Warehouse(world).everything()
    check(world)


async def test_members_come_and_go_between_polls() -> None:
    world = await shop(Limits(batch_records_max=3))
    await world.send(*(order(str(n), {"TEA": 1}) for n in range(30)))
    extra = []
    for n in range(12):
        for stage in STAGES:
            if n % 3 == 0:
                extra.append((stage, *await world.process(stage)))
            elif extra and n % 3 == 2:
                gone, _, member = extra.pop(0)
                await world.broker.leave(gone.name, member)
        for _, process, member in extra:
            await member.poll(3)
            await process.loop.work()
            await process.relay.turn()
        await world.turn()
    for stage, _, member in extra:
        await world.broker.leave(stage.name, member)
    await world.settle()
    await Warehouse(world).everything()
    assert len(accepted(world)) == 30
    check(world)


async def test_another_tenant_has_another_shop() -> None:
    world = await shop()
    theirs = order("1", {"TEA": 1})
    other = SubmitOrder.model_validate(
        theirs.model_dump() | {"order_id": order_id("other", "web", "1"), "external_id": "1"}
    )
    await world.send(other, tenant="other")
    await world.settle()
    assert not world.events(OrderAccepted)
    assert len(world.events(OrderAccepted, tenant="other")) == 1
    assert not [e for e in world.events(tenant="other") if e.TYPE == "oms.inventory.stock_reserved"]
    check(world)
