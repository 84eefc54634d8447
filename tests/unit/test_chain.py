"""The hash chain of a lane: a golden vector, the page's own words and code, and that every change shows."""

import asyncio
import hashlib
import io
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.events.chain import beginning, link
from libs.runtime.audit import Audit, Published, audit, of_row
from libs.runtime.complaint import Complaint
from libs.runtime.log import LogRow
from libs.runtime.log_file import LogFile, LogFileWriter, writing

PAGE = (Path(__file__).parents[2] / "docs" / "audit.md").read_text()
GOLDEN = re.findall(r"^\| (?:none|\d) \|.*`([0-9a-f]{64})` \|$", PAGE, re.MULTILINE)
CAUSE = "5a1f7a52-0c63-5b4e-8a3d-7c1f0c2f7e11"
AT = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
PAYLOAD = '{"order_id":"o-1","outcome":"löst"}'.encode()


def row(seq: int, lane: int = 2, payload: bytes = PAYLOAD) -> LogRow:
    context = {
        "actor": "ann",
        "reason": "",
        "causationid": CAUSE,
        "correlationid": CAUSE,
        "traceparent": "00-x",
    }
    id_ = UUID(int=UUID("11111111-2222-5333-8444-777777777777").int + seq)
    at = AT.replace(microsecond=seq - 1)
    return LogRow(
        lane, "decided", seq, id_, "acme", "o-1", seq, "oms.intake.order_closed", 1, payload, context, AT, at
    )


def published(seq: int, lane: int = 2, payload: bytes = PAYLOAD) -> Published:
    return of_row(row(seq, lane, payload), b"orderlog/intake")


def by_the_words(stage: str, events: list[Published]) -> list[str]:
    """The heads as docs/audit.md says them, written without looking at the product's code."""
    order = re.search(
        r"The fields, in this order: the record's key; the headers (.*?); the record's value", PAGE, re.S
    )
    assert order
    names = re.findall(r"`(ce_[a-z]+)`", order[1])
    assert len(names) == 13
    head = hashlib.sha256(f"orderlog/chain/1 {stage}/{events[0].lane}".encode()).digest()
    heads = [head.hex()]
    for event in events:
        hashed = hashlib.sha256(head)
        fields = [event.key]
        fields += [event.headers.get(name, b"") for name in names]
        fields += [event.value]
        for field in fields:
            hashed.update(bytes([0, len(field) >> 16, len(field) >> 8 & 255, len(field) & 255]))
        for field in fields:
            hashed.update(field)
        head = hashed.digest()
        heads.append(head.hex())
    return heads


def test_the_golden_vector_holds_on_the_page_by_its_words_and_in_the_product() -> None:
    events = [published(1), published(2)]
    heads = [beginning("intake", 2)]
    for event in events:
        heads.append(link(heads[-1], event.key, event.headers, event.value))
    assert [head.hex() for head in heads] == GOLDEN == by_the_words("intake", events)


def exported(events: list[Published]) -> bytes:
    out = io.BytesIO()
    writer = LogFileWriter(out, "intake")
    for event in events:
        writer.add(event)
    writer.close()
    return out.getvalue()


def log_of(*lengths: int) -> list[Published]:
    """Lanes of these lengths, mixed."""
    events = [published(seq, lane) for lane, length in enumerate(lengths) for seq in range(1, length + 1)]
    return sorted(events, key=lambda event: (event.seq, -event.lane))


def test_the_code_on_the_page_reads_an_export_and_finds_what_was_changed() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    found: dict[str, Any] = {}
    exec(code, found)  # noqa: S102 - our own page
    check: Callable[[list[bytes]], dict[str, tuple[int, bytes]]] = found["check"]
    lines = exported(log_of(3, 2)).splitlines()
    assert {lane: seq for lane, (seq, _) in check(lines).items()} == {"0": 3, "1": 2}
    with pytest.raises(AssertionError, match="lane 0 sequence 2 was changed"):
        check([line.replace(b"ann", b"bob") if is_at(line, "0", "2") else line for line in lines])
    with pytest.raises(AssertionError, match="lane 1 sequence 1 is missing"):
        check(lines[1:])
    with pytest.raises(AssertionError, match="cut"):
        check(lines[:-1])


def is_at(line: bytes, lane: str, sequence: str) -> bool:
    headers = orjson.loads(line).get("headers", {})
    return (headers.get("ce_lane"), headers.get("ce_sequence")) == (lane, sequence)


def read(path: Path) -> Audit:
    file = LogFile(path)
    found = asyncio.run(audit(file.stage, {}, file))
    file.judge(found)
    return found


@pytest.mark.parametrize("name", ["log.ndjson", "log.ndjson.gz"])
def test_an_export_holds_by_itself(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    with writing(path) as out:
        out.write(exported(log_of(4, 1, 3)))
    found = read(path)
    assert found.holds, found.partings
    assert found.stage == "intake"
    assert {lane: one.events["file"] for lane, one in found.lanes.items()} == {0: 4, 1: 1, 2: 3}
    assert [at.name for at in tmp_path.iterdir()] == [name], "nothing is left beside it"


def test_what_is_no_export_is_told(tmp_path: Path) -> None:
    for content, says in ((b"", "it holds nothing"), (b"a,b\n1,2\n", "line 1 cannot be read")):
        path = tmp_path / "orders.csv"
        path.write_bytes(content)
        with pytest.raises(Complaint, match=says):
            LogFile(path)
    with pytest.raises(Complaint, match="cannot be read"):
        LogFile(tmp_path / "absent")


LOG = log_of(5, 4)
LINES = exported(LOG).splitlines(keepends=True)
PLACES = [
    (orjson.loads(line)["headers"]["ce_lane"], orjson.loads(line)["headers"]["ce_sequence"])
    for line in LINES[:-1]
]


def named(found: Audit) -> set[tuple[str, str]]:
    return {(str(at.lane), str(at.sequence)) for at in found.partings}


@settings(deadline=None, max_examples=300)
@given(data=st.data())
def test_a_flipped_byte_anywhere_in_a_file_is_found_and_its_event_named(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    line = data.draw(st.integers(0, len(LINES) - 1), "line")
    place = data.draw(st.integers(0, len(LINES[line]) - 2), "byte")
    bit = data.draw(st.integers(0, 7), "bit")
    broken = bytearray(LINES[line])
    broken[place] ^= 1 << bit
    path = tmp_path_factory.getbasetemp() / "flipped.ndjson"
    path.write_bytes(b"".join([*LINES[:line], bytes(broken), *LINES[line + 1 :]]))
    found = read(path)
    assert not found.holds
    if line < len(PLACES) and broken[place] != 0x0A and not says_another_place(bytes(broken)):
        assert PLACES[line] in named(found)


def says_another_place(line: bytes) -> bool:
    try:
        headers = orjson.loads(line)["headers"]
        return (headers["ce_lane"], headers["ce_sequence"]) not in PLACES or line.count(b'"head"') != 1
    except (ValueError, KeyError, TypeError):
        return False


@settings(deadline=None, max_examples=150)
@given(data=st.data())
def test_an_event_that_is_dropped_swapped_added_or_comes_twice_is_named(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    lines, how = list(LINES), data.draw(st.sampled_from(["drop", "swap", "add", "twice"]))
    at = data.draw(st.integers(0, len(PLACES) - 1))
    expected = PLACES[at]
    if how == "drop":
        del lines[at]
    elif how == "swap":
        mates = [n for n in range(at + 1, len(PLACES)) if PLACES[n][0] == PLACES[at][0]]
        if not mates:
            return
        other = data.draw(st.sampled_from(mates))
        lines[at], lines[other] = lines[other], lines[at]
    elif how == "twice":
        lines.insert(at, lines[at])
        expected = (PLACES[at][0], str(int(PLACES[at][1]) + 1))
    else:
        forged = orjson.loads(LINES[0])
        forged["headers"] |= {"ce_lane": expected[0], "ce_sequence": expected[1], "ce_actor": "mallory"}
        lines.insert(at, orjson.dumps(forged) + b"\n")
    path = tmp_path_factory.getbasetemp() / "changed.ndjson"
    path.write_bytes(b"".join(lines))
    assert expected in named(read(path))
