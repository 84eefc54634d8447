"""Held baskets on the command line: what is sent, and what a person sees of it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from cli import promise_terms, promises, stock
from libs.runtime.complaint import Complaint
from tests.unit.cli_world import Ended, FakeEdges, run, signing_key

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


def test_who_holds_against_what_is_to_come_reads_what_lacks_and_by_when(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waits = {"short": [{"sku": "MUG", "quantity": 2}], "usable_at": "2026-03-05T12:00:00Z"}
    fake = FakeEdges({("inventory", "/v1/promises"): decided(**HELD, **waits, movements=[])})
    ended = run(fake, promises, monkeypatch, ["stock", "promise", "hold", "MUG=2", "A=B=1", "--json"])
    assert "It waits for 2 MUG; in its place in the queue it has it by 2026-03-05" in ended.said
    assert ended.json["short"] == waits["short"]
    told = {**HELD, "status": "held", "waiting_for": [{"sku": "MUG", "quantity": 1}], "usable_at": None}
    fake = FakeEdges({("inventory", "/v1/promises/basket-1"): told})
    said = run(fake, promises, monkeypatch, ["stock", "promise", "show", "basket-1"]).said
    assert "It waits for 1 MUG; in its place in the queue nobody knows when it has it." in said


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


NO_TERMS: dict[str, Any] = {"sku": "MUG", "terms_version": 0, "safety_stock": 0, "shares": [], "channels": []}
SOME_TERMS: dict[str, Any] = NO_TERMS | {
    "terms_version": 3,
    "safety_stock": 2,
    "shares": [{"channel": "web", "units": 10, "lends_to": ["pos"]}],
    "channels": [{"channel": "pos", "buffer": 1, "shown_max": 9}],
    "low_at": 20,
    "recovered_at": 22,
    "reorder": {"point": 24, "rank_max": 20},
    "backorders": {"units_max": 6, "inbound": False, "channels": [], "opens_at": None, "closes_at": None},
}


def terms(monkeypatch: pytest.MonkeyPatch, known: dict[str, Any], *options: str) -> tuple[Any, Ended]:
    """What is sent when terms are changed, or nothing; and how that ends."""
    answers = {"GET": known, "PUT": decided(terms_version=4)}
    path = "/v1/promise-terms/MUG"
    fake = FakeEdges({("inventory", path): lambda asked: httpx.Response(200, json=answers[asked.method])})
    arguments = ["stock", "promise", "terms", "MUG", *options, "--json"]
    ended = run(fake, promise_terms, monkeypatch, arguments)
    sent = [json.loads(one.content) for one in fake.requests if one.method == "PUT"]
    return (sent[0] if sent else None), ended


def test_terms_of_a_sku_that_nobody_knows_are_none_to_show_and_may_be_said_before_it_comes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path, problem = (
        "/v1/promise-terms/NEW",
        {"type": "urn:orderlog:problem:unknown_sku", "next_step": "Look."},
    )

    def answer(asked: httpx.Request) -> httpx.Response:
        return httpx.Response(404, json=problem) if asked.method == "GET" else httpx.Response(200, json=done)

    done, fake = decided(terms_version=1), FakeEdges({("inventory", path): answer})
    shown = run(fake, promise_terms, monkeypatch, ["stock", "promise", "terms", "NEW"])
    assert isinstance(shown.error, Complaint)
    assert (shown.error.exit_code, shown.error.next_step) == (1, "Look.")
    said = run(fake, promise_terms, monkeypatch, ["stock", "promise", "terms", "NEW", "--safety", "2"])
    assert "Of NEW, 2 units are promised to nobody." in said.said


def test_terms_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    body, ended = terms(
        monkeypatch, NO_TERMS, "--safety", "2", "--share", "web=10", "--share", "pos=1", "--lend", "web:pos"
    )
    assert body == {
        "safety_stock": 2,
        "shares": [
            {"channel": "web", "units": 10, "lends_to": ["pos"]},
            {"channel": "pos", "units": 1, "lends_to": []},
        ],
    }
    said = "Of MUG, 2 units are promised to nobody; kept: 10 for web (lent to pos), 1 for pos."
    assert said in ended.said
    assert ended.json["terms_version"] == 4


def test_what_channels_show_and_when_it_is_low_are_sent_with_the_terms(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ways = ["--buffer", "pos=1", "--sold-out-at", "pos=2", "--shown-max", "web=50", "--low-at", "20"]
    body, _ = terms(monkeypatch, NO_TERMS, *ways, "--shelf-days", "web=7")
    pos = {"channel": "pos", "buffer": 1, "sold_out_at": 2}
    web = {"channel": "web", "shown_max": 50, "shelf_days_min": 7}
    assert body["channels"] == [pos, web]
    assert body["low_at"] == 20
    assert "recovered_at" not in body


def test_terms_that_are_not_named_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    body, _ = terms(monkeypatch, SOME_TERMS, "--low-at", "15")
    assert body == {
        "safety_stock": 2,
        "shares": SOME_TERMS["shares"],
        "channels": SOME_TERMS["channels"],
        "low_at": 15,
        "reorder": {"point": 24, "rank_max": 20},
        "backorders": {"units_max": 6},
    }
    body, _ = terms(monkeypatch, SOME_TERMS, "--share", "web=4", "--shown-max", "pos=0", "--buffer", "web=2")
    assert body["shares"] == [{"channel": "web", "units": 4, "lends_to": ["pos"]}]
    assert body["channels"] == [{"channel": "pos", "buffer": 1}, {"channel": "web", "buffer": 2}]
    assert (body["low_at"], body["recovered_at"]) == (20, 22)
    assert terms(monkeypatch, SOME_TERMS, "--share", "web=0")[0]["shares"] == []
    body, _ = terms(monkeypatch, SOME_TERMS, "--clear", "--safety", "1")
    assert body == {"safety_stock": 1, "shares": []}


def test_terms_are_shown_and_nothing_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    body, ended = terms(monkeypatch, SOME_TERMS)
    assert body is None
    assert ended.json == {"ok": True, "tenant": "main", **SOME_TERMS}
    for said in (
        "10 for web (lent to pos)",
        "pos keeps 1 back, shows 9 at most",
        "low at 20",
        "6 units may be",
    ):
        assert said in ended.said
    assert "MUG has no terms." in terms(monkeypatch, NO_TERMS)[1].said


def test_a_share_that_is_not_there_is_not_lent(monkeypatch: pytest.MonkeyPatch) -> None:
    _, ended = terms(monkeypatch, NO_TERMS, "--lend", "web:pos")
    assert isinstance(ended.error, Complaint)
    assert ended.error.sentence == "`web:pos` lends from no share."


def test_a_held_basket_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    told = {"promise_id": "basket-1", "status": "expired", "lines": HELD["lines"], "channel": None}
    told |= {"expires_at": "2026-03-02T12:10:00Z", "delivery": None}
    fake = FakeEdges({("inventory", "/v1/promises/basket-1"): told})
    ended = run(fake, promises, monkeypatch, ["stock", "promise", "show", "basket-1", "--json"])
    assert "Promise basket-1 of 2 MUG, 1 A=B: expired; it was held until 2026-03-02 12:10:00." in ended.said
    assert ended.json == {"ok": True, "tenant": "main", **told}


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


def test_who_asks_where_to_reads_from_when_and_by_when(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("available", "on_hand", "promised", "safety_stock", "kept_for_others", "shown", "waiting")
    one = {"sku": "MUG", "quantity": 4, "short": 1, **dict.fromkeys(names, 3)}
    one["atp"] = [
        {"from": "2026-03-02T12:00:00Z", "quantity": 3},
        {"from": "2026-03-09T00:00:00Z", "quantity": 9},
    ]
    delivery = {"node": "LON", "ship_by": "2026-03-09", "deliver_by": "2026-03-11", "why": []}
    told = {"available": False, "channel": None, "skus": [one], "delivery": delivery}
    fake = FakeEdges({("inventory", "/v1/availability"): told})
    arguments = ["stock", "availability", "MUG=4", "--country", "gb", "--service", "express"]
    said = run(fake, stock, monkeypatch, arguments).said
    [body] = fake.bodies("/v1/availability")
    assert (body["destination"], body["service"]) == ({"country": "GB"}, "express")
    assert "MUG can be promised: 3 from 2026-03-02 12:00:00, 9 from 2026-03-09 00:00:00." in said
    assert "Leaves LON by 2026-03-09, delivered by 2026-03-11." in said
