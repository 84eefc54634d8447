"""What SKUs are, on the command line: what is sent, and what a person sees of it. The edges are replaced."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from cli import stock, stock_items, stock_lots, stock_serials, stock_supply
from cli.client import Refused
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
    arguments += ["--lots", "--shelf-days", "30"]
    ended = run(fake, stock_items, monkeypatch, [*arguments, "--json"])
    assert fake.bodies("/v1/stock/items/TEA") == [
        {
            "units": [
                {"unit": "inner", "holds": 6, "of": "each", "per": 1},
                {"unit": "case", "holds": 4, "of": "inner", "per": 1},
                {"unit": "piece", "holds": 1, "of": "each", "per": 12},
            ],
            "lot_controlled": True,
            "shelf_days_min": 30,
        }
    ]
    assert "TEA has lots, and is counted in each, inner, case, piece." in ended.said
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


DECIDED: dict[str, Any] = {"decided": True, "command_id": "c", "events": []}


def test_a_delivery_names_its_lot(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeEdges({("inventory", "/v1/stock/receipts"): DECIDED})
    words = ["stock", "receive", "MILK", "LON", "2", "--lot", "L1", "--expires", "2026-12-24"]
    assert run(fake, stock, monkeypatch, words).exit_code == 0
    [body] = fake.bodies("/v1/stock/receipts")
    assert (body["lot"], body["expires_on"]) == ("L1", "2026-12-24")
    fake = FakeEdges({("inventory", "/v1/stock/moves"): DECIDED})
    words = [
        "stock",
        "move",
        "MILK",
        "LON",
        "2",
        "--from",
        "quarantine",
        "--to",
        "scrapped",
        "--reason",
        "old",
    ]
    assert run(fake, stock_supply, monkeypatch, [*words, "--lot", "L1"]).exit_code == 0
    assert fake.bodies("/v1/stock/moves")[0]["lot"] == "L1"


def test_lots_are_shown_with_where_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    lot = {"lot": "L1", "expires_on": "2026-12-24", "sold_until": "2026-12-25T00:00:00Z", "state": "expired"}
    found = {"sku": "MILK", "shelf_days_min": 0, "lots": [lot | {"nodes": {"LON": {"quarantine": 1200}}}]}
    fake = FakeEdges({("inventory", "/v1/stock/MILK/lots"): found})
    ended = run(fake, stock_lots, monkeypatch, ["stock", "lots", "MILK", "--json"])
    assert "L1 2026-12-24 LON – – 1,200 expired" in ended.said
    assert ended.json["lots"] == found["lots"]


def test_whom_a_recall_concerns_is_told_page_by_page(monkeypatch: pytest.MonkeyPatch) -> None:
    one = {"order_id": "o1", "nodes": ["LON"], "allocated": 0, "issued": 2}
    pages = [{"orders": [one], "next": "o1"}, {"orders": [one | {"order_id": "o2"}], "next": None}]
    fake = FakeEdges({("inventory", "/v1/stock/MILK/lots/L1"): pages})
    ended = run(fake, stock_lots, monkeypatch, ["stock", "lot", "MILK", "L1", "--json"])
    assert "4 units of lot L1 of MILK were sent, to 2 orders in all." in ended.said
    assert [one["order_id"] for one in ended.json["orders"]] == ["o1", "o2"]
    assert [request.url.params["after"] for request in fake.requests] == ["", "o1"]


def test_a_recall_and_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    data = {"lot": "L1", "allocated": 3, "movements": [{"quantity": 4}, {"quantity": 1}]}
    broken = {"type": "oms.inventory.reservation_broken", "data": {"claims": []}}
    events = [broken, {"type": "oms.inventory.lot_quarantined", "data": data}]
    fake = FakeEdges({("inventory", "/v1/stock/lots/quarantines"): DECIDED | {"events": events}})
    words = ["stock", "quarantine-lot", "MILK", "L1", "--reason", "glass"]
    ended = run(fake, stock_lots, monkeypatch, words)
    assert fake.bodies("/v1/stock/lots/quarantines") == [{"sku": "MILK", "lot": "L1", "reason": "glass"}]
    assert "Lot L1 of MILK is sold no more: 5 units are in quarantine." in ended.said
    assert "3 units more of it are allocated" in ended.said
    fake = FakeEdges({("inventory", "/v1/stock/lots/releases"): DECIDED})
    ended = run(fake, stock_lots, monkeypatch, ["stock", "release-lot", "MILK", "L1"])
    assert "Lot L1 of MILK is sold already." in ended.said


def test_a_bin_is_named_and_left(monkeypatch: pytest.MonkeyPatch) -> None:
    told = [ITEM, ITEM | {"bins": {}, "lying": {}}]
    answers = {("inventory", "/v1/stock/items/MUG"): told}
    fake = FakeEdges(answers | {("inventory", "/v1/stock/items/MUG/bins/LON"): DECIDED})
    ended = run(fake, stock_items, monkeypatch, ["stock", "bin", "MUG", "LON", "A-12-3"])
    assert "MUG is in bin A-12-3 at LON." in ended.said
    ended = run(fake, stock_items, monkeypatch, ["stock", "bin", "MUG", "LON", "--clear"])
    assert "MUG is in no bin in particular at LON." in ended.said
    both = run(fake, stock_items, monkeypatch, ["stock", "bin", "MUG", "LON", "A-1", "--clear"])
    assert isinstance(both.error, Complaint)
    assert fake.bodies("/v1/stock/items/MUG/bins/LON") == [{"bin": "A-12-3"}, {"bin": None}]


def test_units_are_put_away(monkeypatch: pytest.MonkeyPatch) -> None:
    lying = {"LON": [{"bin": "A-12-3", "units": 8}, {"bin": "R-7-2", "units": 40}]}
    path = "/v1/stock/items/MUG/bins/LON/moves"
    answers = {("inventory", "/v1/stock/items/MUG"): ITEM | {"lying": lying}}
    fake = FakeEdges(answers | {("inventory", path): DECIDED})
    words = ["stock", "put-away", "MUG", "LON", "40", "--to", "R-7-2", "--json"]
    ended = run(fake, stock_items, monkeypatch, words)
    assert fake.bodies(path) == [{"quantity": 40, "source": None, "target": "R-7-2"}]
    assert "Put 40 units of MUG into R-7-2." in ended.said
    assert "At LON lie 8 in A-12-3, 40 in R-7-2 that no order has." in ended.said
    assert ended.json["lying"] == lying["LON"]
    ended = run(fake, stock_items, monkeypatch, ["stock", "put-away", "MUG", "LON", "2", "--from", "R-7-2"])
    assert "Put 2 units of MUG into the bin in which it is kept." in ended.said
    said = run(fake, stock_items, monkeypatch, ["stock", "bin", "MUG", "LON"]).said
    assert "At LON lie 8 in A-12-3, 40 in R-7-2" in said
    alone = {"bins": {}, "lying": {"LON": [{"bin": "R-7-2", "units": 40}]}}
    fake = FakeEdges({("inventory", "/v1/stock/items/MUG"): ITEM | alone})
    for words in (["stock", "bin", "MUG", "LON"], ["stock", "item", "MUG"]):
        assert "At LON lie 40 in R-7-2" in run(fake, stock_items, monkeypatch, words).said


ITEM: dict[str, Any] = {"sku": "MUG", "item_version": 3, "lot_controlled": True, "serialised": False}
ITEM |= {"units": [{"unit": "case", "holds": 24, "of": "each", "per": 1}], "shelf_days_min": 30}
ITEM |= {"bins": {"LON": "A-12-3"}, "lying": {"LON": [{"bin": "A-12-3", "units": 8}]}}


UNKNOWN = {"type": "urn:orderlog:problem:unknown_sku", "title": "No such SKU", "next_step": "Look."}


def test_an_item_that_nobody_knows_is_not_shown_and_may_be_defined(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeEdges({("inventory", "/v1/stock/items/NEW"): UNKNOWN})
    refused = run(fake, stock_items, monkeypatch, ["stock", "item", "NEW"])
    assert isinstance(refused.error, Refused)
    assert refused.said == ""
    unless_sent = {"GET": httpx.Response(404, json=UNKNOWN), "PUT": httpx.Response(200, json=DECIDED)}
    fake = FakeEdges({("inventory", "/v1/stock/items/NEW"): lambda request: unless_sent[request.method]})
    assert run(fake, stock_items, monkeypatch, ["stock", "item", "NEW", "--lots"]).exit_code == 0
    [body] = fake.bodies("/v1/stock/items/NEW")
    assert body == {"units": [], "lot_controlled": True, "shelf_days_min": 0}


def test_a_bin_that_is_not_named_is_shown_and_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeEdges({("inventory", "/v1/stock/items/MUG"): ITEM})
    ended = run(fake, stock_items, monkeypatch, ["stock", "bin", "MUG", "LON", "--json"])
    assert "MUG is in bin A-12-3 at LON." in ended.said
    assert ended.json["bin"] == "A-12-3"
    fake.answers["inventory", "/v1/stock"] = {"stock": [], "next": None}
    assert "in no bin" in run(fake, stock_items, monkeypatch, ["stock", "bin", "MUG", "LEE"]).said
    fake.answers["inventory", "/v1/stock"] = UNKNOWN
    assert isinstance(run(fake, stock_items, monkeypatch, ["stock", "bin", "MUG", "lee"]).error, Refused)
    assert {request.method for request in fake.requests} == {"GET"}


def test_what_is_not_named_of_an_item_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeEdges({("inventory", "/v1/stock/items/MUG"): ITEM | DECIDED})
    said = run(fake, stock_items, monkeypatch, ["stock", "item", "MUG"]).said
    assert "MUG has lots, and is counted in each, case. LON keeps it in bin A-12-3." in said
    assert fake.bodies("/v1/stock/items/MUG") == []
    run(fake, stock_items, monkeypatch, ["stock", "item", "MUG", "--unit", "inner=6"])
    run(fake, stock_items, monkeypatch, ["stock", "item", "MUG", "--clear", "--unit", "inner=6"])
    [changed, anew] = fake.bodies("/v1/stock/items/MUG")
    inner = {"unit": "inner", "holds": 6, "of": "each", "per": 1}
    assert changed["units"] == [*ITEM["units"], inner]
    assert (changed["lot_controlled"], changed["shelf_days_min"]) == (True, 30)
    assert anew == {"units": [inner], "lot_controlled": False, "shelf_days_min": 0}


def test_serial_numbers_are_named_with_what_arrives_and_moves(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeEdges({("inventory", "/v1/stock/items/CAM"): DECIDED})
    run(fake, stock_items, monkeypatch, ["stock", "item", "CAM", "--serials"])
    assert fake.bodies("/v1/stock/items/CAM")[0]["serialised"] is True
    fake = FakeEdges({("inventory", "/v1/stock/receipts"): DECIDED})
    run(fake, stock, monkeypatch, ["stock", "receive", "CAM", "LON", "2", "--serial", "A", "--serial", "B"])
    assert fake.bodies("/v1/stock/receipts")[0]["serials"] == ["A", "B"]
    fake = FakeEdges({("inventory", "/v1/stock/adjustments"): DECIDED})
    run(
        fake, stock, monkeypatch, ["stock", "adjust", "CAM", "LON", "-1", "--reason", "gone", "--serial", "A"]
    )
    assert fake.bodies("/v1/stock/adjustments")[0]["serials"] == ["A"]
    came = {"type": "oms.inventory.supply_received", "data": {"outcome": "complete"}}
    fake = FakeEdges({("inventory", "/v1/stock/supplies/receipts"): DECIDED | {"events": [came]}})
    words = ["stock", "arrive", "CAM", "LON", "1", "--supply", "P", "--receipt", "R", "--damaged", "1"]
    words += ["--serial", "A", "--damaged-serial", "X"]
    run(fake, stock_supply, monkeypatch, words)
    [body] = fake.bodies("/v1/stock/supplies/receipts")
    assert (body["serials"], body["damaged_serials"]) == (["A"], ["X"])


def test_where_a_unit_is_and_was(monkeypatch: pytest.MonkeyPatch) -> None:
    came = {
        "at": "2026-03-02T09:00:00Z",
        "node": "LON",
        "source": "supplier",
        "target": "on_hand",
        "type": "oms.inventory.stock_received",
        "order_id": None,
        "document": "PO-1",
        "actor": "",
    }
    left = {**came, "source": "allocated", "target": "issued", "type": "oms.inventory.stock_issued"}
    left |= {"order_id": "o1", "document": "o1-S1", "at": "2026-03-03T09:00:00Z"}
    found = {"place": "issued", "node": "LON", "order_id": "o1", "since": left["at"], "history": [came, left]}
    fake = FakeEdges({("inventory", "/v1/stock/CAM/serials/A"): {"sku": "CAM", "serial": "A", **found}})
    ended = run(fake, stock_serials, monkeypatch, ["stock", "serial", "CAM", "A", "--json"])
    assert "2026-03-02 09:00 LON supplier on_hand stock_received PO-1" in ended.said
    assert "A of CAM is sent from LON, with order o1, since 2026-03-03 09:00:00." in ended.said
    assert ended.json["history"] == [came, left]


def test_serial_numbers_are_listed_page_by_page_and_corrected(monkeypatch: pytest.MonkeyPatch) -> None:
    unit = {"serial": "A", "place": "shelf", "node": "LON"}
    pages = [
        {"serials": [unit], "astray": {"LON": 2}, "next": "A"},
        {"serials": [unit | {"serial": "B", "place": "in_transit"}], "astray": {"LON": 2}, "next": None},
    ]
    fake = FakeEdges({("inventory", "/v1/stock/CAM/serials"): pages})
    ended = run(fake, stock_serials, monkeypatch, ["stock", "serials", "CAM", "--node", "LON", "--json"])
    assert "A LON shelf" in ended.said
    assert "B LON in transit" in ended.said
    assert "2 units left LON without a number" in ended.said
    assert [request.url.params["after"] for request in fake.requests] == ["", "A"]
    assert [one["serial"] for one in ended.json["serials"]] == ["A", "B"]
    fake = FakeEdges({("inventory", "/v1/stock/serials/corrections"): DECIDED})
    words = ["stock", "serial-correct", "CAM", "LON", "--wrong", "A7", "--right", "A1"]
    ended = run(fake, stock_serials, monkeypatch, words)
    assert "A7 of CAM at LON: now A1." in ended.said
    wanted = {"sku": "CAM", "node": "LON", "wrong": ["A7"], "right": ["A1"], "reason": ""}
    assert fake.bodies("/v1/stock/serials/corrections") == [wanted]
