"""Where a lane stood, from its topics alone: what caused an event was read, repeats tell nothing."""

from collections.abc import Sequence

import pytest

from libs.events.intake import OrderAccepted
from libs.runtime.beginning import last_sequence
from libs.runtime.complaint import Complaint
from libs.runtime.lane_digest import LaneDigest
from libs.runtime.lane_trace import LaneTrace
from libs.runtime.readers import ParkedAt, Reader
from libs.runtime.topic_lane import LaneContent
from libs.runtime.wire import Record
from tests.flow.people import open_shop, order
from tests.flow.world import STAGES, World

INTAKE, INVENTORY, ROUTING, FULFILLMENT, _, _ = STAGES
COMMANDS = INTAKE.topics[0]


@pytest.fixture(scope="module")
async def world() -> World:
    """Four orders of one lane, allocated."""
    world = await World(1).start()
    await open_shop(world, {"LON": {"TEA": 50}})
    for number in range(4):
        await world.send(order(str(number), {"TEA": 1}))
        await world.settle()
    return world


def records(world: World, topic: str) -> list[Record]:
    return world.broker.read((topic, 0), 0, 10_000)


def again(record: Record, offset: int, **headers: bytes) -> Record:
    """The record once more, further on."""
    kept = [(name, headers.get(name, value)) for name, value in record.headers]
    return Record(record.topic, 0, offset, record.key, record.value, kept)


def trace(world: World, heard: dict[str, Sequence[Record]], own: Sequence[Record] | None = None) -> LaneTrace:
    found = LaneTrace(INTAKE, 0, lambda _: 0)
    for record in records(world, INTAKE.topic) if own is None else own:
        found.own(record)
    for topic in INTAKE.topics:
        for record in heard.get(topic, records(world, topic)):
            found.heard(record)
    return found


def test_it_stood_after_the_last_record_that_caused_an_event(world: World) -> None:
    submitted = records(world, COMMANDS)
    assert trace(world, {}).stand({}).offsets[COMMANDS] == len(submitted) == 4
    assert trace(world, {}, records(world, INTAKE.topic)[:2]).stand({}).offsets[COMMANDS] == 2
    assert trace(world, {}, records(world, INTAKE.topic)[:2]).stand({COMMANDS: 3}).offsets[COMMANDS] == 3


def test_a_repeated_command_does_not_say_that_what_is_before_it_was_read(world: World) -> None:
    submitted = records(world, COMMANDS)
    own = records(world, INTAKE.topic)[:2]
    found = trace(world, {COMMANDS: [*submitted, again(submitted[0], 4)]}, own)
    assert found.stand({}).offsets[COMMANDS] == 2


def test_a_repeated_event_does_not_either(world: World) -> None:
    released = records(world, FULFILLMENT.topic)
    assert FULFILLMENT.topic in INVENTORY.topics
    found = LaneTrace(INVENTORY, 0, lambda _: 0)
    accepted = records(world, INTAKE.topic)
    for record in records(world, INVENTORY.topic)[:2]:
        found.own(record)
    for record in [*accepted, again(accepted[0], len(accepted))]:
        found.heard(record)
    assert released
    assert found.stand({}).offsets[INTAKE.topic] == 1


def test_what_cannot_be_read_waits_again_with_what_is_behind_it(world: World) -> None:
    submitted = records(world, COMMANDS)
    accepted = next(
        record
        for record in records(world, INTAKE.topic)
        if dict(record.headers)["ce_type"] == OrderAccepted.TYPE.encode()
    )
    broken = Record(INTAKE.topic, 0, 0, accepted.key, b"{", accepted.headers)
    behind = again(records(world, INTAKE.topic)[1], 1)
    behind = Record(behind.topic, 0, 1, accepted.key, behind.value, _about(accepted, behind))
    found = LaneTrace(INVENTORY, 0, lambda _: 0)
    for record in (broken, behind):
        found.heard(record)
    stand = found.stand({INTAKE.topic: 2})
    assert stand.parked == {(INTAKE.topic, 0): "parked", (INTAKE.topic, 1): "queued"}
    assert found.parked[INTAKE.topic, 0].code == "malformed"
    assert found.stand({INTAKE.topic: 1}).parked == {(INTAKE.topic, 0): "parked"}
    assert submitted


def _about(first: Record, second: Record) -> list[tuple[str, bytes]]:
    """The second record's headers, of the first one's stream."""
    of_first = dict(first.headers)
    return [(name, of_first[name] if name == "ce_subject" else value) for name, value in second.headers]


def test_a_hole_and_another_event_under_a_sequence_are_told(world: World) -> None:
    own = records(world, INTAKE.topic)
    with pytest.raises(Complaint, match="orderlog/intake lane 0 lacks sequence 2"):
        trace(world, {}, [own[0], *own[2:]])
    found = trace(
        world, {}, [*own, again(own[0], len(own)), again(own[1], 99, ce_id=dict(own[0].headers)["ce_id"])]
    )
    assert found.conflicts == 1


def test_log_and_topic_have_one_digest(world: World) -> None:
    rows = world.logs["intake"].rows[0, "decided"]
    log = LaneDigest(first=3)
    for row in rows:
        log.row(row)
    found = trace(world, {})
    assert found.digest.hexdigest() == log.hexdigest()
    assert trace(world, {}, records(world, INTAKE.topic)[:3]).digest.hexdigest() == log.first_hexdigest()
    changed = records(world, INTAKE.topic)
    changed[1] = again(changed[1], 1, ce_time=b"2026-03-02T09:00:01+00:00")
    assert trace(world, {}, changed).digest.hexdigest() != log.hexdigest()


async def test_the_last_sequence_is_found_behind_repeats(world: World) -> None:
    own = records(world, INTAKE.topic)
    repeats = [again(record, len(own) + place) for place, record in enumerate(own[:3] * 70)]
    asked: list[int] = []

    async def read(topic: str, lane: int, offset: int) -> Sequence[Record]:
        asked.append(offset)
        return [*own, *repeats][offset : offset + 40]

    assert await last_sequence(INTAKE, read, 0, len(own) + len(repeats)) == len(own)
    asked.clear()
    assert await last_sequence(INTAKE, read, 0, len(own)) == len(own)
    assert asked == [0]


def test_a_reader_goes_on_at_the_first_event_that_it_has_not_heard() -> None:
    place = ("oms.intake.events", 0)
    parked = [ParkedAt(1, 11, "acme/1", "x"), ParkedAt(2, 12, "?", "")]
    made_anew = LaneContent(starts={8: 7}, places={("acme/1", "x"): [2, 6, 9, 20], ("?", ""): []})
    made_anew.digest.events = 30

    def reader(consumed: int) -> Reader:
        return Reader("routing", {place: consumed}, {("orderlog/intake", 0): 7}, {place: parked})

    stale = reader(12)
    stale.place("intake", place, made_anew, end=30)
    assert (stale.moves, stale.found_again, stale.lost) == ({place: 7}, {1: 9}, [2])
    right = reader(7)
    right.place("intake", place, made_anew, end=30)
    assert (right.moves, right.found_again, right.lost) == ({}, {}, [])
    before_junk = reader(5)
    before_junk.place("intake", place, made_anew, end=30)
    assert before_junk.moves == {}
    all_heard = reader(12)
    made_anew.starts, made_anew.digest.events = {}, 7
    all_heard.place("intake", place, made_anew, end=7)
    assert all_heard.moves == {place: 7}
    made_anew.digest.events = 6
    with pytest.raises(Complaint, match=r"routing has heard sequence 7 of intake lane 0, but .* ends at 6"):
        reader(12).place("intake", place, made_anew, end=6)
