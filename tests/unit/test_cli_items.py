"""What SKUs are, on the command line: what is sent, and what a person sees of it. The edges are replaced."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from cli import stock, stock_items, stock_supply
from libs.runtime.complaint import Complaint
from tests.unit.cli_world import FakeEdges, run, signing_key


@pytest.fixture(autouse=True)
def key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with signing_key(tmp_path, monkeypatch) as key:
        yield key


def test_units_are_read_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    event = {"type": "oms.inventory.item_defined", "data": {"item_version": 3}}
    answer = {"decided": True, "command_id": "c", "events": [event]}
    fake = FakeEdges({("inventory", "/v1/stock/items/TEA"): answer})
    arguments = ["stock", "item", "TEA", "--unit", "inner=6", "--unit", "case=4:inner", "--unit", "12piece=1"]
    ended = run(fake, stock_items, monkeypatch, [*arguments, "--json"])
    assert fake.bodies("/v1/stock/items/TEA") == [
        {
            "units": [
                {"unit": "inner", "holds": 6, "of": "each", "per": 1},
                {"unit": "case", "holds": 4, "of": "inner", "per": 1},
                {"unit": "piece", "holds": 1, "of": "each", "per": 12},
            ]
        }
    ]
    assert "TEA is counted in each, inner, case, piece." in ended.said
    assert ended.json["item_version"] == 3


def test_what_is_no_unit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = run(FakeEdges({}), stock_items, monkeypatch, ["stock", "item", "TEA", "--unit", "case=2.5"])
    assert isinstance(ended.error, Complaint)
    assert ended.error.exit_code == 2
    assert "`case=2.5` is no UNIT=QTY[:OF]." in str(ended.error)


def test_a_quantity_is_sent_in_its_unit(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = {"decided": True, "command_id": "c", "events": []}
    fake = FakeEdges({("inventory", "/v1/stock/receipts"): answer})
    ended = run(fake, stock, monkeypatch, ["stock", "receive", "TEA", "LON", "2", "--unit", "case"])
    assert fake.bodies("/v1/stock/receipts")[0]["unit"] == "case"
    assert "Received 2 case of TEA at LON." in ended.said
    bought = {"type": "oms.inventory.supply_expected", "data": {"open": 240}}
    fake = FakeEdges({("inventory", "/v1/stock/supplies"): {**answer, "events": [bought]}})
    words = ["stock", "expect", "TEA", "LON", "10", "--supply", "P", "--by", "2026-03-09", "--unit", "case"]
    ended = run(fake, stock_supply, monkeypatch, words)
    assert fake.bodies("/v1/stock/supplies")[0]["unit"] == "case"
    assert "240 units of TEA expected at LON under P." in ended.said
