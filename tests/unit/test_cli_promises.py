"""Held baskets on the command line: what is sent, and what a person sees of it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cli import promises
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
