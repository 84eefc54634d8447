"""Records that no well-behaved sender makes, repeats behind parked keys, clocks that run ahead."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest

from libs.events.ids import partition_key
from libs.events.intake import CancelOrder, OrderAccepted, OrderCancellationRequested
from libs.events.inventory import ReceiveStock, StockReserved
from libs.runtime.limits import Limits
from libs.runtime.log import Parked, Unavailable, Writes
from libs.runtime.memory_log import MemoryBatch, MemoryLog
from libs.runtime.wire import Record
from tests.flow.oracle import check
from tests.flow.people import Warehouse, open_shop, order
from tests.flow.world import TENANT, World

ID = UUID("11111111-2222-5333-8444-666666666666")


async def shop(limits: Limits | None = None) -> World:
    world = await World(limits=limits).start()
    await open_shop(world, {"LON": {"TEA": 100}})
    return world


def spoil(world: World, topic: str, key: str, headers: Mapping[str, bytes | None]) -> Record:
    """Replace headers of the last record under a key, as Kafka may hold them: a value may be null."""
    held = world.broker._records[topic, world.lane_of(key)]
    place = max(n for n, record in enumerate(held) if record.key == key.encode())
    found = {**dict(held[place].headers), **headers}
    good = held[place]
    held[place] = replace(good, headers=tuple(found.items()))  # type: ignore[arg-type]
    return good


HEADERS: dict[str, Mapping[str, bytes | None]] = {
    "a null actor": {"ce_actor": None},
    "a null version": {"ce_typeversion": None},
    "a null traceparent": {"traceparent": None},
    "a null id": {"ce_id": None},
    "a time before time": {"ce_time": b"0001-01-01T00:00:00+23:59"},
    "a time after time": {"ce_time": b"9999-12-31T23:59:59-23:59"},
    "an endless version": {"ce_typeversion": b"9" * 5000},
    "a NUL in a cause": {"ce_causationid": b"\x00"},
}


@pytest.mark.parametrize("kind", HEADERS)
async def test_whatever_the_headers_hold_the_partition_goes_on(kind: str) -> None:
    world = await shop()
    one, two = order("1", {"TEA": 1}), order("2", {"TEA": 1})
    await world.send(one)
    spoil(world, "oms.intake.commands", f"{TENANT}/{one.order_id}", HEADERS[kind])
    await world.send(two)
    await world.settle()
    accepted = {e.order_id for e in world.events(OrderAccepted) if isinstance(e, OrderAccepted)}
    assert two.order_id in accepted
    waiting = await world.logs["intake"].parked(open_only=True, limit=10)
    assert len(waiting) + len(accepted) == 2
    check(world, all_closed=False)


async def test_a_command_repeated_behind_a_parked_key_is_over_once_it_was_replayed() -> None:
    """A client repeats its request while the key waits for a person: both are behind it, one decides."""
    world = await shop()
    one = order("1", {"TEA": 1})
    await world.send(one)
    await world.settle()
    key, log = partition_key(TENANT, one.order_id), world.logs["intake"]
    lane = world.lane_of(key)
    unread = Parked(lane, key, "oms.fulfillment.events", lane, 0, "malformed", "not JSON")
    log._apply(Writes(parked=[unread]))  # by a former owner
    intake = world.processes["intake"]
    await intake.assigned(list(intake.loop.positions()))
    for _ in range(2):
        await world.send(CancelOrder(order_id=one.order_id), id_=ID)
    await world.settle()
    assert [row.state for row in await log.parked(open_only=True, limit=9)] == ["parked", "queued", "queued"]
    await log.resolve_parked(key, replay=False, actor="ann", note="")
    await world.settle()
    assert not await log.parked(open_only=True, limit=9)
    assert len(world.events(OrderCancellationRequested)) == 1
    check(world)


@pytest.mark.parametrize("year", [2027, 9000])
async def test_a_delivery_from_a_clock_that_runs_ahead_fills_backorders_at_once(year: int) -> None:
    world = await World().start()
    await open_shop(world, {})
    await world.send(order("1", {"TEA": 1}))
    await world.settle()
    delivery = world.envelope(ReceiveStock(sku="TEA", node="LON", quantity=1))
    await world.publish(replace(delivery, at=datetime(year, 1, 1, tzinfo=UTC)))
    await world.settle()
    assert len(world.events(StockReserved)) == 1
    await Warehouse(world).everything()
    check(world)


async def test_each_lane_has_its_own_limit_of_parked_keys() -> None:
    """Four lanes with two keys each are below a limit of three; a lane with four keys stops alone."""
    world = await shop(Limits(parked_keys_max=3))
    by_lane: dict[int, list[str]] = {}
    number = 0
    while any(len(by_lane.get(lane, [])) < 4 for lane in range(4)):
        number += 1
        one = order(str(number), {"TEA": 1})
        by_lane.setdefault(world.lane_of(f"{TENANT}/{one.order_id}"), []).append(str(number))

    async def bad(lane: int, count: int) -> None:
        for external_id in [by_lane[lane].pop() for _ in range(count)]:
            command = order(external_id, {"TEA": 1})
            await world.send(command)
            key = f"{TENANT}/{command.order_id}"
            spoil(world, "oms.intake.commands", key, {"ce_time": b"yesterday"})
        await world.settle()

    for lane in range(4):
        await bad(lane, 2)
    await world.send(order("good", {"TEA": 1}))
    await world.settle()
    intake = world.processes["intake"]
    assert not intake.halts
    await bad(2, 2)
    await world.send(*(order(f"later {n}", {"TEA": 1}) for n in range(20)))
    await world.settle()
    assert list(intake.loop.halted) == [2]


class CutOff(MemoryLog):
    """Commits one batch of the next with rows, and loses the answer."""

    armed = False

    @asynccontextmanager
    async def batch(self) -> AsyncIterator[MemoryBatch]:
        async with super().batch() as opened:
            yield opened
        if self.armed and any(writes.rows for writes in opened.written):
            self.armed = False
            raise Unavailable("the connection was lost at the commit")


async def test_what_was_committed_before_the_connection_was_lost_is_published() -> None:
    world = World()
    log = world.logs["intake"] = CutOff()
    await world.start()
    await open_shop(world, {"LON": {"TEA": 1}})
    log.armed = True
    await world.send(order("1", {"TEA": 1}))
    with pytest.raises(Unavailable):
        await world.turn(["intake"])
    await world.settle()
    assert len(world.events(OrderAccepted)) == 1
    await Warehouse(world).everything()
    check(world)
