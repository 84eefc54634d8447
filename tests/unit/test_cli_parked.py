"""Parked records over all stages: how one is named, and that a value is shown only when asked for.

Edges and topic are replaced (cli_world): this is the text layer.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from cli import parked
from libs.runtime.complaint import Complaint
from libs.runtime.settings import STAGES
from libs.runtime.wire import Record
from tests.unit.cli_world import Ended, FakeEdges, run, signing_key

SECRET = b'{"name": "Ada Example"}'


@pytest.fixture(autouse=True)
def key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    async def read(rows: list[dict[str, Any]]) -> list[Record | None]:
        headers = [("ce_id", b"nonsense"), ("x-long", b"\x1b[2J" + b"y" * 500)]
        return [
            Record("t", 0, row["offset"], b"k", SECRET, headers) if row["id"] != 9 else None for row in rows
        ]

    monkeypatch.setattr(parked, "_read", read)
    with signing_key(tmp_path, monkeypatch) as key:
        yield key


def row(id_: int, key: str, tenant: str = "acme", state: str = "parked", **more: object) -> dict[str, Any]:
    found = {
        "id": id_,
        "key": key,
        "tenant": tenant,
        "state": state,
        "lane": 0,
        "topic": "oms.intake.commands",
    }
    found |= {"partition": 0, "offset": id_, "code": "bad_headers", "reason": "ce_id is missing", "type": ""}
    return found | {"at": f"2026-03-02T09:00:{id_:02}Z"} | more


def stages(**rows: list[dict[str, Any]]) -> FakeEdges:
    return FakeEdges({(stage, "/v1/parked"): {"parked": rows.get(stage, [])} for stage in STAGES})


def parked_(fake: FakeEdges, patch: pytest.MonkeyPatch, *arguments: str) -> Ended:
    return run(fake, parked, patch, ["parked", *arguments])


def test_every_stage_is_listed_the_oldest_first(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = stages(intake=[row(5, "acme/a")], returns=[row(3, "beta/b", "beta"), row(7, "?odd", "")])
    listed = parked_(fake, monkeypatch, "list", "--json").json["parked"]
    assert [parked.name_of(one) for one in listed] == ["returns:3", "intake:5", "returns:7"]
    mine = parked_(fake, monkeypatch, "list", "--tenant", "acme", "--json").json["parked"]
    assert [parked.name_of(one) for one in mine] == ["intake:5", "returns:7"], (
        "nobody's records are shown too"
    )


def test_a_silent_stage_is_told_and_hides_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = stages(intake=[row(5, "acme/a")])
    fake.answers["routing", "/v1/parked"] = httpx.ConnectError("down")
    ended = parked_(fake, monkeypatch, "list", "--json")
    assert len(ended.json["parked"]) == 1
    assert "routing does not answer" in ended.said
    for stage in STAGES:
        fake.answers[stage, "/v1/parked"] = httpx.ConnectError("down")
    assert isinstance(parked_(fake, monkeypatch, "list").error, Complaint)


def test_a_value_is_shown_only_when_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = stages(intake=[row(5, "acme/a")])
    for arguments in (("show", "intake:5"), ("show", "intake:5", "--json")):
        ended = parked_(fake, monkeypatch, *arguments)
        assert "Ada" not in ended.err + ended.out
        assert hashlib.sha256(SECRET).hexdigest()[:16] in ended.err
        assert "23 bytes" in ended.err
        assert "\x1b" not in ended.err
    ended = parked_(fake, monkeypatch, "show", "intake:5", "--value", "--json")
    assert ended.json["parked"][0]["record"]["value"] == SECRET.decode()
    assert "may hold personal data" in ended.err


def test_a_header_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = parked_(stages(intake=[row(5, "acme/a")]), monkeypatch, "show", "acme/a", "--json")
    assert len(ended.json["parked"][0]["record"]["headers"]["x-long"]) == 200


def test_a_record_that_its_topic_lost_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = parked_(stages(intake=[row(9, "acme/a")]), monkeypatch, "show", "intake:9", "--json")
    assert ended.json["parked"][0]["record"] is None
    assert "does not hold it any more" in ended.err


def test_a_number_names_its_whole_key(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [row(5, "acme/a"), row(6, "acme/b"), row(7, "acme/a", state="queued")]
    shown = parked_(stages(intake=rows), monkeypatch, "show", "intake:5", "--json").json["parked"]
    assert [one["id"] for one in shown] == [5, 7]


def test_a_key_at_two_stages_is_asked_back(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = stages(intake=[row(5, "acme/a")], routing=[row(1, "acme/a")])
    fake.answers["routing", "/v1/parked/replay"] = {"key": "acme/a", "records": 1}
    refused = parked_(fake, monkeypatch, "replay", "acme/a").error
    assert isinstance(refused, Complaint)
    assert "intake, routing" in refused.sentence
    assert not fake.bodies("/v1/parked/replay")
    ended = parked_(fake, monkeypatch, "replay", "acme/a", "--stage", "routing", "--note", "mended", "--json")
    assert (ended.json["stage"], ended.json["done"]) == ("routing", "replay")
    assert fake.bodies("/v1/parked/replay") == [{"key": "acme/a", "note": "mended"}]


def test_anothers_record_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = stages(intake=[row(5, "beta/a", "beta")])
    fake.answers["intake", "/v1/parked/discard"] = {"key": "beta/a", "records": 1}
    refused = parked_(fake, monkeypatch, "discard", "intake:5", "--tenant", "acme").error
    assert isinstance(refused, Complaint)
    assert not fake.bodies("/v1/parked/discard")


def test_what_is_settled_cannot_be_settled_again(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = {"type": "urn:orderlog:problem:not_parked", "title": "Nothing is parked there"}
    fake = stages(intake=[row(5, "acme/a", state="discarded")])
    fake.answers["intake", "/v1/parked/discard"] = problem
    refused = parked_(fake, monkeypatch, "discard", "intake:5").error
    assert isinstance(refused, Complaint)
    assert "it is discarded" in refused.sentence


def test_names_of_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    for arguments, says in (
        (("show", "intake:99"), "Nothing is parked under intake:99"),
        (("show", "acme/zzz"), "Nothing is parked under acme/zzz"),
        (("list", "--stage", "billing"), "There is no stage `billing`"),
    ):
        told = parked_(stages(), monkeypatch, *arguments).error
        assert isinstance(told, Complaint)
        assert says in told.sentence
