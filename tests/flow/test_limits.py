"""Limits that a stage keeps: subjects that no answer could name, parked keys, and lanes taken up again."""

from dataclasses import replace

from libs.events.intake import OrderAccepted, SubmitOrder
from libs.events.inventory import ReceiveStock
from libs.events.refusal import CommandRefused
from libs.runtime.limits import Limits
from libs.runtime.wire import Record
from tests.flow.oracle import check
from tests.flow.people import open_shop, order
from tests.flow.world import TENANT, World


def put(world: World, topic: str, key: str, stream: str) -> None:
    """Append a command of an unknown type for a stream, as a partner's faulty program might."""
    lane = world.lane_of(key)
    held = world.broker._records.setdefault((topic, lane), [])
    headers = [
        ("ce_specversion", b"1.0"),
        ("ce_id", b"11111111-2222-4333-8444-555555555555"),
        ("ce_source", b"partner"),
        ("ce_type", b"oms.inventory.no_such_command"),
        ("ce_typeversion", b"1"),
        ("ce_subject", stream.encode()),
        ("ce_time", b"2026-03-02T09:00:00+00:00"),
        ("ce_tenant", key.partition("/")[0].encode()),
    ]
    held.append(Record(topic, lane, len(held), key.encode(), b"{}", tuple(headers)))


async def test_a_subject_that_no_answer_could_name_is_parked_with_its_reason() -> None:
    world = await World().start()
    await open_shop(world, {"LON": {"TEA": 1}})
    long, fits = f"sku/{'x' * 253}", f"sku/{'x' * 252}"
    for stream in (long, fits):
        put(world, "oms.inventory.commands", f"{TENANT}/{stream}", stream)
    await world.settle()
    [row] = await world.logs["inventory"].parked(open_only=True, limit=9)
    assert (row.code, row.reason) == ("bad_headers", "ce_subject has 257 characters; 256 are allowed")
    assert not row.key.startswith(TENANT), "it stands in nobody's way"
    [refused] = world.events(CommandRefused)
    assert refused.stream == fits
    assert isinstance(refused, CommandRefused)
    assert refused.code == "unknown_type"
    await world.send(ReceiveStock(sku="TEA", node="LON", quantity=1))
    await world.settle()
    check(world)


async def test_a_command_for_the_tenant_that_is_none_is_parked_and_does_nothing() -> None:
    world = await World().start()
    await open_shop(world, {"LON": {"TEA": 1}})
    put(world, "oms.inventory.commands", "orderlog/sku/TEA", "sku/TEA")
    await world.settle()
    [row] = await world.logs["inventory"].parked(open_only=True, limit=9)
    assert (row.code, row.tenant) == ("bad_headers", "")
    assert row.reason.startswith("ce_tenant is orderlog, which is kept for what belongs to no tenant")
    assert world.events(CommandRefused) == []


async def test_a_halted_lane_goes_on_without_a_restart_once_enough_is_settled() -> None:
    world = await World(limits=Limits(parked_keys_max=2)).start()
    await open_shop(world, {"LON": {"TEA": 100}})
    lane, number, orders = 1, 0, list[SubmitOrder]()
    while len(orders) < 6:
        number += 1
        one = order(str(number), {"TEA": 1})
        if world.lane_of(f"{TENANT}/{one.order_id}") == lane:
            orders.append(one)
    *bad, good, later = orders
    topic = "oms.intake.commands"
    for one in bad:
        await world.send(one)
        held = world.broker._records[topic, lane]
        headers = tuple((name, b"?" if name == "ce_time" else value) for name, value in held[-1].headers)
        held[-1] = replace(held[-1], headers=headers)
    await world.settle()
    await world.send(good)
    await world.settle()
    await world.send(later)
    await world.settle()
    intake, member = world.processes["intake"], world.members["intake"]
    assert list(intake.loop.halted) == [lane]
    assert "4 keys are parked, 2 may be" in intake.halts[0]
    accepted = {event.stream for event in world.events(OrderAccepted)}
    assert later.order_id not in accepted

    async def take_up() -> None:
        """As `libs.runtime.service` does, now and then and when somebody settled something."""
        offsets = intake.loop.resume(lane)
        while await intake.loop.work():
            pass
        for place, offset in offsets.items():
            member.position[place] = offset
        await world.settle()

    await take_up()
    assert list(intake.loop.halted) == [lane], "as long as the cause is there it halts again"
    log = world.logs["intake"]
    for row in (await log.parked(open_only=True, limit=9))[:2]:
        await log.resolve_parked(row.key, replay=False, actor="ann", note="")
    await take_up()
    assert not intake.loop.halted
    assert {good.order_id, later.order_id} <= {event.stream for event in world.events(OrderAccepted)}
    check(world, all_closed=False)
