"""An audit of a lane by several sources: what was changed is named, and anchors say who is right."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from libs.events.chain import CHAINED, beginning, link
from libs.runtime.audit import DATABASE, TOPIC, Audit, Found, Known, Lane, Unreadable, audit
from libs.runtime.audit_stage import anchor_known, each_once
from libs.runtime.lane_chains import anchor_message
from libs.runtime.log import Anchor
from services.intake.app import STAGE
from tests.unit.test_chain import AT, published

EVENTS = [published(seq) for seq in range(1, 9)]


def known(seq: int, where: str = "the table `anchor`") -> Known:
    head = beginning("intake", 2)
    for event in EVENTS[:seq]:
        head = link(head, event.key, event.headers, event.value)
    return Known(seq, head, where)


async def feed(rows: Sequence[Found]) -> AsyncIterator[Found]:
    for row in rows:
        yield row


def walk(
    database: Sequence[Found] | None = None,
    topic: Sequence[Found] | None = None,
    anchors: Sequence[int] = (),
    least: int = 0,
    file: Sequence[Found] = (),
) -> Audit:
    """Audit lane 2 of intake by these sources."""
    given_ = {DATABASE: database, TOPIC: topic}
    rows = {name: feed(found) for name, found in given_.items() if found is not None}
    lane = Lane(rows, each_once([known(seq) for seq in anchors]), dict.fromkeys(rows, (least, "the relay")))
    return asyncio.run(audit("intake", {2: lane}, file))


def told(found: Audit) -> list[tuple[int, str, str, str]]:
    return [(at.sequence, at.event_id, at.source, at.kind) for at in found.partings]


def id_of(seq: int) -> str:
    return EVENTS[seq - 1].event_id


def test_sources_that_agree_hold_up_to_their_last_anchor() -> None:
    found = walk(EVENTS, EVENTS, anchors=(3, 6), least=8)
    assert found.holds
    lane = found.lanes[2]
    assert (lane.events, lane.anchored_up_to) == ({DATABASE: 8, TOPIC: 8}, 6)
    assert set(lane.heads.values()) == {known(8).head.hex()}


def test_what_is_decided_and_not_published_yet_is_no_fault() -> None:
    assert walk(EVENTS, EVENTS[:6], anchors=(3,)).holds


@given(st.data())
def test_an_event_changed_in_one_source_is_named_with_what_changed(data: st.DataObject) -> None:
    at = data.draw(st.integers(0, 7))
    where = data.draw(st.sampled_from(["value", "key", *EVENTS[0].headers]))
    assume(where in ("value", "key") or where in CHAINED)
    event = EVENTS[at]
    parts = {"key": event.key, **event.headers, "value": event.value}
    changed = bytearray(parts[where])
    changed[data.draw(st.integers(0, len(changed) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    parts[where] = bytes(changed)
    headers = {name: parts[name] for name in event.headers}
    event = replace(event, key=parts["key"], headers=headers, value=parts["value"])
    altered = [*EVENTS[:at], event, *EVENTS[at + 1 :]]
    found = walk(altered, EVENTS, anchors=(8,))
    first = found.partings[0]
    assert (first.sequence, first.kind) == (at + 1, "differs")
    assert first.message.endswith(where)
    by_anchor = [(one.sequence, one.source) for one in found.partings if one.kind == "anchor"]
    assert by_anchor == [(8, DATABASE)], "the anchor says that the topic is right"


@given(st.integers(0, 6), st.sampled_from([DATABASE, TOPIC]))
def test_an_event_that_one_source_lacks_is_a_hole_there(at: int, source: str) -> None:
    lacking = [*EVENTS[:at], *EVENTS[at + 1 :]]
    found = walk(lacking, EVENTS) if source == DATABASE else walk(EVENTS, lacking)
    assert told(found)[0] == (at + 1, id_of(at + 2), source, "hole")


@given(st.integers(0, 7), st.integers(1, 8))
def test_a_database_that_was_cut_is_shown_by_its_topic_and_by_its_anchors(left: int, anchor: int) -> None:
    found = walk(EVENTS[:left], EVENTS)
    assert told(found)[0] == (left + 1, id_of(left + 1), DATABASE, "cut")
    alone = walk(EVENTS[:left], anchors=(anchor,))
    assert alone.holds == (anchor <= left)
    assert alone.holds or told(alone) == [(left + 1, "", DATABASE, "cut")]


def test_a_topic_that_was_cut_is_shown_by_the_relay_and_by_its_anchors() -> None:
    assert told(walk(EVENTS, EVENTS[:5], least=8)) == [(6, "", TOPIC, "cut")]
    assert told(walk(EVENTS, EVENTS[:5], anchors=(8,))) == [(6, "", TOPIC, "cut")]


def test_both_changed_alike_are_shown_by_the_anchor_alone() -> None:
    forged = [*EVENTS[:4], published(5, payload=b"{}"), *EVENTS[5:]]
    found = walk(forged, forged, anchors=(3, 6, 8))
    assert told(found) == [(6, id_of(6), DATABASE, "anchor"), (6, id_of(6), TOPIC, "anchor")]
    assert "changed within 4 to 6" in found.partings[0].message
    assert found.lanes[2].anchored_up_to == 3


def test_a_row_that_cannot_be_read_ends_its_source() -> None:
    found = walk([*EVENTS[:2], Unreadable(2, "no cause")], EVENTS)
    assert told(found) == [(3, "", DATABASE, "unreadable")]
    assert "no cause" in found.partings[0].message


def test_a_file_is_held_against_a_log_that_went_on() -> None:
    assert walk(EVENTS, file=EVENTS[:5], anchors=(4, 8)).holds
    altered = [*EVENTS[:2], published(3, payload=b"{}"), *EVENTS[3:5]]
    assert told(walk(EVENTS, file=altered))[0][:2] == (3, id_of(3))
    assert told(walk(EVENTS[:3], file=EVENTS[:5]))[0] == (4, id_of(4), DATABASE, "cut")


def test_an_anchor_is_read_as_it_was_published() -> None:
    anchor = Anchor(2, 7, known(7).head, AT)
    key, value, _, timestamp_ms = anchor_message("intake", anchor)
    assert (key, timestamp_ms) == (b"intake/2", int(AT.timestamp() * 1000))
    assert anchor_known(STAGE, 2, value) == Known(7, known(7).head, "oms.anchors")
    for lane, other in (
        (3, value),
        (2, value.replace(b"intake", b"others")),
        (2, b"?"),
        (2, None),
        (2, b"[]"),
    ):
        assert anchor_known(STAGE, lane, other) is None


@pytest.mark.parametrize("count", [1, 9_999, 10_001, 35_000])
def test_of_very_many_anchors_some_are_kept_and_the_last(count: int) -> None:
    kept = each_once(Known(seq, b"%d" % seq, "x") for seq in range(1, count + 1))
    assert 0 < len(kept) <= 10_000
    assert kept[-1].seq == count


def test_an_anchor_in_two_places_is_one() -> None:
    assert each_once([known(3, "b"), known(3, "a"), known(3, "b")]) == [replace(known(3), where="b and a")]
