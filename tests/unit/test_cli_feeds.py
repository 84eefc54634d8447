"""`orderlog stock feeds`: what a person learns of each feed, and what there is to do about it."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cli import stock_feeds
from tests.unit.cli_world import Ended, FakeEdges, run, signing_key

NOW = datetime.now(UTC)
CLI_PAGE = (Path(__file__).parents[2] / "docs" / "cli.md").read_text()


@pytest.fixture(autouse=True)
def key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with signing_key(tmp_path, monkeypatch) as key:
        yield key


def ago(**lasted: int) -> str:
    return (NOW - timedelta(**lasted)).isoformat()


def defined(feed: str, held: bool | None = None, **more: Any) -> dict[str, Any]:
    run = {"run_id": f"{feed}-1", "units": 4210, "stated_at": ago(hours=9), "held": held}
    known = {"feed": feed, "node": feed.upper(), "kind": "vendor", "stale_minutes": 1440}
    return {**known, "last_run": None if held is None else run, **more}


def heard(feed: str, heard_at: str | None, silent_since: str | None = None) -> dict[str, Any]:
    return {"feed": feed, "heard_at": heard_at, "silent_since": silent_since}


def listed(patch: pytest.MonkeyPatch, feeds: list[Any], told: list[Any], *options: str) -> Ended:
    fake = FakeEdges(
        {("inventory", "/v1/stock/feeds"): {"feeds": feeds}, ("console", "/v1/feeds"): {"feeds": told}}
    )
    return run(fake, stock_feeds, patch, ["stock", "feeds", "--json", *options])


def test_each_feed_is_told_with_its_age_its_trust_and_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    feeds = [defined("calm", False), defined("held", True), defined("mute", False), defined("new")]
    told = [
        heard("calm", ago(minutes=35)),
        heard("held", ago(hours=5)),
        heard("mute", ago(days=3), ago(days=2)),
    ]
    monkeypatch.setenv("COLUMNS", "200")
    ended = listed(monkeypatch, feeds, told)
    lines = [" ".join(line.split()) for line in ended.err.splitlines()]
    assert re.fullmatch(r"calm CALM vendor \S+ \S+ 35 min fresh calm-1 4,210", lines[1])
    assert re.fullmatch(r"held HELD vendor \S+ \S+ 5 h fresh held-1 4,210 held", lines[2])
    assert re.fullmatch(r"mute MUTE vendor \S+ \S+ 3 d silent mute-1 4,210", lines[3])
    assert lines[4] == "new NEW vendor – – never heard – –"
    assert "orderlog stock approve-feed held held-1, then load it again" in lines[5]
    assert lines[6].endswith("Load its next file: orderlog stock feed FILE --feed mute")
    assert lines[7].endswith("orderlog stock feed FILE --feed new")
    assert [(one["trust"], one["held_run"]) for one in ended.json["feeds"]] == [
        ("fresh", None),
        ("fresh", "held-1"),
        ("silent", None),
        ("never heard", None),
    ]
    assert ended.json["feeds"][0]["stale_minutes"] == 1440, "and how it is defined"


def test_a_retired_feed_is_counted_and_shown_where_all_are_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    feeds, told = [defined("calm", False), defined("old", False, retired=True)], [heard("old", ago(days=9))]
    ended = listed(monkeypatch, feeds, told)
    assert [one["feed"] for one in ended.json["feeds"]] == ["calm"]
    assert "1 retired feed: --all shows them too." in ended.said
    everything = listed(monkeypatch, feeds, told, "--all").json["feeds"]
    assert [(one["trust"], one["heard_at"]) for one in everything] == [
        ("never heard", None),
        ("retired", None),
    ]


def test_where_there_is_no_feed_it_is_said_how_one_comes_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = listed(monkeypatch, [], [])
    assert "orderlog stock define-feed FEED --node NODE" in ended.said
    assert ended.exit_code == 0


def test_the_page_says_what_the_command_says(monkeypatch: pytest.MonkeyPatch) -> None:
    [block] = re.findall(r"^    \$ orderlog stock feeds\n((?:    .*\n)+)", CLI_PAGE, re.MULTILINE)
    monkeypatch.setenv("COLUMNS", "200")
    feeds = [defined("acme", True), defined("LEE3", False)]
    told = [heard("acme", ago(minutes=35)), heard("LEE3", ago(days=3), "2026-11-26T06:30:04Z")]
    said = listed(monkeypatch, feeds, told).err
    assert block.split()[:10] == said.split()[:10], "the columns"
    sentences = [
        line.strip().replace("small.csv-b9b58a20ae0e8d1f", "acme-1") for line in block.splitlines()[3:]
    ]
    assert sentences == said.splitlines()[3:]
