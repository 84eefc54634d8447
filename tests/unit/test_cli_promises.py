"""Held baskets on the command line: what is sent, and what a person sees of it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cli import promises, stock
from libs.runtime.complaint import Complaint
from tests.unit.cli_world import FakeEdges, run, signing_key

HELD: dict[str, Any] = {
    "promise_id": "basket-1",
    "lines": [{"sku": "MUG", "quantity": 2}, {"sku": "A=B", "quantity": 1}],
    "ttl_seconds": 600,
    "expires_at": "2026-03-02T12:10:00.123456Z",
}


@pytest.fixture(autouse=True)
def key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with signing_key(tmp_path, monkeypatch) as key:
        yield key


def decided(**data: Any) -> dict[str, Any]:
    return {"decided": True, "command_id": "c", "events": [{"type": "oms.inventory.x", "data": data}]}


def test_a_basket_is_held_under_its_id(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeEdges({("inventory", "/v1/promises"): decided(**HELD, movements=[])})
    arguments = ["stock", "promise", "hold", "MUG=2", "A=B=1", "--ttl", "600", "--id", "basket-1", "--json"]
    ended = run(fake, promises, monkeypatch, arguments)
    assert fake.bodies("/v1/promises") == [
        {"lines": HELD["lines"], "ttl_seconds": 600, "channel": None, "promise_id": "basket-1"}
    ]
    assert "Held 3 units as promise basket-1, until 2026-03-02T12:10:00Z." in ended.said
    assert ended.json == {"ok": True, "tenant": "main", **HELD}


def test_who_says_where_to_reads_by_when_and_why(monkeypatch: pytest.MonkeyPatch) -> None:
    why = [{"code": "transit", "message": "standard takes 2 working days from LON."}]
    delivery: dict[str, Any] = {
        "node": "LON",
        "ship_by": "2026-03-02",
        "deliver_by": "2026-03-04",
        "why": why,
    }
    fake = FakeEdges({("inventory", "/v1/promises"): decided(**HELD, delivery=delivery, movements=[])})
    arguments = ["stock", "promise", "hold", "MUG=2", "A=B=1", "--country", "gb", "--json"]
    ended = run(fake, promises, monkeypatch, arguments)
    (body,) = fake.bodies("/v1/promises")
    assert (body["destination"], body["service"]) == ({"country": "GB"}, None)
    assert "delivered by 2026-03-04. standard takes 2 working days from LON." in ended.said
    assert ended.json["delivery"] == delivery
    unknown = {"why": [{"code": "no_calendar", "message": "Nobody has said when LON works."}]}
    fake = FakeEdges({("inventory", "/v1/promises"): decided(**HELD, delivery=unknown, movements=[])})
    said = run(fake, promises, monkeypatch, arguments).said
    assert "No date can be promised. Nobody has said when LON works." in said


@pytest.mark.parametrize("text", ["MUG", "=2", "MUG=", "MUG=-1", "MUG=1.5"])
def test_what_is_no_sku_and_quantity_is_told(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    ended = run(FakeEdges(), promises, monkeypatch, ["stock", "promise", "hold", text])
    assert isinstance(ended.error, Complaint)
    assert ended.error.sentence == f"`{text}` is no SKU=QTY."


def test_a_basket_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = decided(movements=[{"quantity": 2}, {"quantity": 1}])
    fake = FakeEdges({("inventory", "/v1/promises/basket-1/release"): answer})
    ended = run(fake, promises, monkeypatch, ["stock", "promise", "release", "basket-1", "--reason", "a & b"])
    assert fake.bodies("/v1/promises/basket-1/release") == [{"reason": "a & b"}]
    assert "3 units are free again." in ended.said


def test_terms_are_sent_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeEdges({("inventory", "/v1/promise-terms/MUG"): decided(terms_version=3)})
    arguments = ["stock", "promise", "terms", "MUG", "--safety", "2", "--share", "web=10", "--share", "pos=1"]
    ended = run(fake, promises, monkeypatch, [*arguments, "--lend", "web:pos", "--json"])
    assert fake.bodies("/v1/promise-terms/MUG") == [
        {
            "safety_stock": 2,
            "shares": [
                {"channel": "web", "units": 10, "lends_to": ["pos"]},
                {"channel": "pos", "units": 1, "lends_to": []},
            ],
        }
    ]
    assert "Of MUG, 2 units are promised to nobody; kept: 10 for web, 1 for pos." in ended.said
    assert ended.json["terms_version"] == 3


def test_what_channels_show_and_when_it_is_low_are_sent_with_the_terms(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fake = FakeEdges({("inventory", "/v1/promise-terms/MUG"): decided(terms_version=4)})
    ways = ["--buffer", "pos=1", "--sold-out-at", "pos=2", "--shown-max", "web=50", "--low-at", "20"]
    ways += ["--shelf-days", "web=7"]
    run(fake, promises, monkeypatch, ["stock", "promise", "terms", "MUG", *ways])
    [body] = fake.bodies("/v1/promise-terms/MUG")
    assert isinstance(body, dict)
    pos = {"channel": "pos", "buffer": 1, "sold_out_at": 2}
    web = {"channel": "web", "shown_max": 50, "shelf_days_min": 7}
    assert body["channels"] == [pos, web]
    assert body["low_at"] == 20
    assert "recovered_at" not in body


def test_a_share_that_is_not_there_is_not_lent(monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = ["stock", "promise", "terms", "MUG", "--lend", "web:pos"]
    ended = run(FakeEdges(), promises, monkeypatch, arguments)
    assert isinstance(ended.error, Complaint)
    assert ended.error.sentence == "`web:pos` lends from no share."


def test_a_basket_is_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    figures = {
        "available": 3,
        "on_hand": 5,
        "promised": 1,
        "safety_stock": 1,
        "kept_for_others": 0,
        "shown": 2,
    }
    one = {"sku": "MUG", "quantity": 4, "short": 1, "waiting": 0, **figures}
    told = {"available": False, "channel": "web", "skus": [one]}
    fake = FakeEdges({("inventory", "/v1/availability"): told})
    arguments = ["stock", "availability", "MUG=4", "--channel", "web", "--json"]
    ended = run(fake, stock, monkeypatch, arguments)
    assert fake.bodies("/v1/availability") == [{"lines": [{"sku": "MUG", "quantity": 4}], "channel": "web"}]
    assert "Not all of it can be promised to web now." in ended.said
    assert ended.err.splitlines()[-1].split() == ["MUG", "4", "3", "2", "5", "1", "1", "0", "0"]
    assert ended.json == {"ok": True, "tenant": "main", **told}
