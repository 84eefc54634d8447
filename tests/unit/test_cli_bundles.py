"""Bundles and kits on the command line: what is sent, and what a person sees of it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cli import stock, stock_bundles
from tests.unit.cli_world import FakeEdges, run, signing_key


@pytest.fixture(autouse=True)
def key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with signing_key(tmp_path, monkeypatch) as key:
        yield key


def decided(**data: Any) -> dict[str, Any]:
    events = [{"type": "oms.inventory.x", "data": data}] if data else []
    return {"decided": True, "command_id": "c", "events": events}


def test_a_bundle_is_defined_with_its_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeEdges({("inventory", "/v1/bundles/BOX"): decided(bundle_version=2)})
    arguments = ["stock", "bundle", "define", "BOX", "MUG=2", "TEA=1", "--price-weight", "MUG=3", "--json"]
    ended = run(fake, stock_bundles, monkeypatch, arguments)
    parts = [
        {"sku": "MUG", "quantity": 2, "price_weight": 3},
        {"sku": "TEA", "quantity": 1, "price_weight": 1},
    ]
    assert fake.bodies("/v1/bundles/BOX") == [{"parts": parts, "kept": "parts"}]
    assert "BOX is 2 MUG and 1 TEA, promised as its parts." in ended.said
    assert ended.json["bundle_version"] == 2


def test_a_bundle_is_defined_from_a_day_on(monkeypatch: pytest.MonkeyPatch) -> None:
    planned = {"effective_at": "2027-01-01T00:00:00Z", "kept": "parts"}
    fake = FakeEdges({("inventory", "/v1/bundles/BOX"): decided(**planned)})
    arguments = ["stock", "bundle", "define", "BOX", "MUG=2", "--effective-at", "2027-01-01"]
    ended = run(fake, stock_bundles, monkeypatch, arguments)
    assert fake.bodies("/v1/bundles/BOX")[0]["effective_at"] == "2027-01-01T00:00:00+00:00"
    assert "BOX is 2 MUG, promised as its parts, from 2027-01-01T00:00:00+00:00 on." in ended.said


def test_what_was_so_already_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeEdges({("inventory", "/v1/bundles/BOX"): decided()})
    ended = run(
        fake, stock_bundles, monkeypatch, ["stock", "bundle", "define", "BOX", "MUG=2", "--assembled"]
    )
    assert fake.bodies("/v1/bundles/BOX")[0]["kept"] == "assembled"
    assert "BOX was made of that already." in ended.said
    ended = run(fake, stock_bundles, monkeypatch, ["stock", "bundle", "remove", "BOX"])
    assert "BOX was one already." in ended.said


def test_of_what_it_is_made_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    told = {
        "sku": "BOX",
        "bundle_version": 2,
        "kept": "parts",
        "parts": [{"sku": "MUG", "quantity": 2, "price_weight": 3}],
        "part_of": [],
        "planned": [
            {
                "effective_at": "2027-01-01T00:00:00+00:00",
                "kept": "assembled",
                "parts": [{"sku": "TEA", "quantity": 3, "price_weight": 1}],
            }
        ],
    }
    fake = FakeEdges({("inventory", "/v1/bundles/BOX"): told})
    ended = run(fake, stock_bundles, monkeypatch, ["stock", "bundle", "show", "BOX", "--json"])
    assert "BOX: promised as its parts, version 2." in ended.said
    assert "From 2027-01-01T00:00:00+00:00 on 3 TEA, kept assembled." in ended.said
    assert ended.json == {"ok": True, "tenant": "main", **told}


def test_kits_are_put_together_and_taken_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    def moves(sign: int) -> list[dict[str, Any]]:
        targets = ("kitted", "on_hand")[::sign]
        return [
            {"sku": "TEA", "quantity": 6, "target": targets[0]},
            {"sku": "KIT", "quantity": 2, "target": targets[1]},
        ]

    fake = FakeEdges(
        {
            ("inventory", "/v1/kits/KIT/assemble"): decided(bundle_version=1, movements=moves(1)),
            ("inventory", "/v1/kits/KIT/take-apart"): decided(bundle_version=1, movements=moves(-1)),
        }
    )
    arguments = ["stock", "bundle", "assemble", "KIT", "LON", "2", "--reference", "WO-1", "--json"]
    ended = run(fake, stock_bundles, monkeypatch, arguments)
    assert fake.bodies("/v1/kits/KIT/assemble") == [{"node": "LON", "quantity": 2, "reference": "WO-1"}]
    assert "Put 2 units of KIT together at LON: -6 TEA, +2 KIT." in ended.said
    assert ended.json["on_hand"] == {"TEA": -6, "KIT": 2}
    ended = run(fake, stock_bundles, monkeypatch, ["stock", "bundle", "take-apart", "KIT", "LON", "2"])
    assert "Took 2 units of KIT apart at LON: +6 TEA, -2 KIT." in ended.said


def test_a_basket_with_a_bundle_is_shown_with_its_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    names = (
        "quantity",
        "available",
        "shown",
        "on_hand",
        "promised",
        "safety_stock",
        "kept_for_others",
        "waiting",
    )
    part = dict(zip(names, (4, 6, 6, 7, 1, 0, 0, 0), strict=True)) | {"sku": "MUG"}
    box = dict(zip(names, (2, 3, 3, 0, 0, 0, 0, 0), strict=True)) | {"sku": "BOX", "parts": [part]}
    fake = FakeEdges({("inventory", "/v1/availability"): {"available": True, "channel": None, "skus": [box]}})
    ended = run(fake, stock, monkeypatch, ["stock", "availability", "BOX=2"])
    told = [" ".join(line.split()) for line in ended.err.splitlines()]
    assert "BOX 2 3 3 0 0 0 0 0" in told
    assert "part: MUG 4 6 6 7 1 0 0 0" in told
