"""Inventory's edge for facts from outside: what of a request becomes which command, and who may send it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from fastapi import APIRouter

from libs.events.catalogue import COMMANDS
from libs.events.contract import Command
from libs.events.feed_maps import MapFeedSku
from libs.events.feeds import AmendFeed, ApproveFeedRun, DefineFeed, OpenFeedRun, ReportStock, RetireFeed
from libs.events.items import DefineItem, MoveBetweenBins, PlaceItem, UnitOfMeasure
from libs.events.outside import OUTSIDE_COMMANDS
from libs.events.stocktaking import RecordCount
from libs.events.supply import DefineSupplyRules
from libs.runtime.edge import Edge
from services.inventory import book, lot_book, lots_past
from services.inventory.reconcile import Moved, Place, Shelf
from services.inventory.supply_api import supply_routes
from tests.contract.examples import EXAMPLES
from tests.unit.edge_client import EdgeClient
from tests.unit.inventory_supply import minutes

PATHS = {
    "expect_supply": "/v1/stock/supplies",
    "receive_supply": "/v1/stock/supplies/receipts",
    "cancel_supply": "/v1/stock/supplies/cancellations",
    "dispatch_transfer": "/v1/stock/transfers",
    "receive_transfer": "/v1/stock/transfers/receipts",
    "close_transfer": "/v1/stock/transfers/closings",
    "move_stock": "/v1/stock/moves",
    "propose_adjustment": "/v1/stock/proposals",
    "settle_difference": "/v1/stock/settlements",
    "suspect_stock": "/v1/stock/suspicions",
    "quarantine_lot": "/v1/stock/lots/quarantines",
    "release_lot": "/v1/stock/lots/releases",
    "correct_serials": "/v1/stock/serials/corrections",
}
COUNT = {"sku": "A", "node": "N1", "count_id": "C1", "counted": 8, "counted_at": "2026-03-02T12:00:00Z"}


def routes(edge: Edge) -> APIRouter:
    """The routes, with a ledger that has ten of everything, and one shipment of three after noon."""

    @asynccontextmanager
    async def reading() -> AsyncIterator[None]:
        yield None

    edge.reading = reading  # type: ignore[method-assign]
    return supply_routes(edge)


@pytest.fixture
def edge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> EdgeClient:
    async def shelves(_: object, tenant: str, places: list[Place], at: datetime) -> list[Shelf]:
        return [Shelf(10, 7) for _ in places]

    async def moved(*_: object) -> list[Moved]:
        return [Moved("e1", "oms.inventory.stock_issued", "S1", minutes(5), -3)]

    async def on_the_way(*_: object) -> dict[Place, dict[str, int]]:
        return {}

    async def waiting(*_: object) -> dict[Place, str]:
        return {("A", "N1"): "C1"}

    async def shelf_of_lots(_: object, tenant: str, sku: str, node: str, at: datetime) -> dict[str, int]:
        return {"L-1": 6, "L-2": 4} if sku == "MILK" else {}

    for read in (shelves, moved, on_the_way, waiting):
        monkeypatch.setattr(book, read.__name__, read)
    monkeypatch.setattr(lots_past, "shelf_of_lots", shelf_of_lots)
    return EdgeClient("inventory", routes, tmp_path)


def example(type_: str) -> Command:
    found = EXAMPLES[f"oms.inventory.{type_}"]["full"]
    assert isinstance(found, Command)
    return found


@pytest.mark.parametrize("type_", PATHS)
async def test_each_fact_is_its_command_alone_or_among_many(edge: EdgeClient, type_: str) -> None:
    command = example(type_)
    body = command.model_dump(mode="json")
    role = "operator" if type_ == "settle_difference" else "integrator"
    assert (await edge.call("POST", PATHS[type_], body, role=role)).status_code == 202
    answer = await edge.call("POST", PATHS[type_], {"items": [body, body | {"sku": ""}]}, role=role)
    assert answer.status_code == 207
    assert answer.json()["results"][1]["problem"]["errors"][0]["where"] == "sku"
    assert edge.kept.commands() == [command, command]
    assert (await edge.call("POST", PATHS[type_], body | {"qty": 1}, role=role)).status_code == 422
    assert (await edge.call("POST", PATHS[type_], body, role="viewer")).status_code == 403


async def test_who_finds_a_difference_does_not_approve_it(edge: EdgeClient) -> None:
    body = example("settle_difference").model_dump(mode="json")
    for sent in (body, {"items": [body]}):
        assert (await edge.call("POST", "/v1/stock/settlements", sent, role="integrator")).status_code == 403
    assert edge.kept.records == []


def test_every_command_has_a_way_in() -> None:
    ways = {*PATHS, "define_supply_rules", "record_count", "define_feed", "open_feed_run"}
    ways |= {"approve_feed_run", "report_stock", "define_item", "place_item", "amend_feed", "retire_feed"}
    ways |= {"map_feed_sku", "tell_stock", "define_channel_days", "move_between_bins"}
    assert {command.TYPE.rpartition(".")[2] for command in OUTSIDE_COMMANDS} == ways
    assert set(OUTSIDE_COMMANDS) <= set(COMMANDS["inventory"])


async def test_rules_are_for_operators(edge: EdgeClient) -> None:
    body = {"new_skus": False, "nodes": ["N1"]}
    assert (await edge.call("PUT", "/v1/stock/rules", body)).status_code == 403
    assert (await edge.call("PUT", "/v1/stock/rules", body, role="operator")).status_code == 202
    [command] = edge.kept.commands()
    assert isinstance(command, DefineSupplyRules)
    assert command.rules.nodes == ("N1",)


async def test_a_count_is_sent_with_what_the_ledger_had_then(edge: EdgeClient) -> None:
    assert (await edge.call("POST", "/v1/stock/counts", COUNT)).status_code == 202
    answer = await edge.call("POST", "/v1/stock/counts", {"items": [COUNT | {"count_id": "C2"}]})
    assert answer.status_code == 207
    for command in edge.kept.commands():
        assert isinstance(command, RecordCount)
        assert (command.book, command.position, command.counted) == (10, 7, 8)
    assert (await edge.call("POST", "/v1/stock/counts", COUNT | {"counted": -1})).status_code == 422
    assert (await edge.call("POST", "/v1/stock/counts", COUNT | {"counted_at": "noon"})).status_code == 422


async def test_a_count_by_lot_is_sent_with_what_the_ledger_had_of_each(edge: EdgeClient) -> None:
    """A lot that is left out was not found; one that is on no book was found all the same."""
    lots = [{"lot": "L-1", "counted": 5}, {"lot": "L-3", "counted": 3}]
    body = COUNT | {"sku": "MILK", "lots": lots}
    assert (await edge.call("POST", "/v1/stock/counts", body)).status_code == 202
    [command] = edge.kept.commands()
    assert isinstance(command, RecordCount)
    assert [(one.lot, one.counted, one.book) for one in command.lots or ()] == [
        ("L-1", 5, 6),
        ("L-3", 3, 0),
        ("L-2", 0, 4),
    ]
    assert (command.counted, command.book) == (8, 10)
    many = COUNT | {"sku": "MILK", "lots": [{"lot": f"L{n}", "counted": 1} for n in range(999)]}
    answer = await edge.call("POST", "/v1/stock/counts", many)
    assert (answer.status_code, answer.json()["errors"][0]["where"]) == (422, "lots")
    found = (await edge.call("GET", "/v1/stock/MILK/book", params={"node": "N1"})).json()
    assert found["lots"] == {"L-1": 6, "L-2": 4}


async def test_a_feed_is_amended_and_retired(edge: EdgeClient) -> None:
    path = "/v1/stock/feeds/acme"
    assert (await edge.call("PATCH", path, {"buffer_units": 8})).status_code == 202
    assert (await edge.call("POST", f"{path}/retirement", {"reason": "It ended."})).status_code == 202
    assert edge.kept.commands() == [
        AmendFeed(feed="acme", buffer_units=8),
        RetireFeed(feed="acme", reason="It ended."),
    ]
    wrong = await edge.call("PATCH", path, {"kind": "shop"})
    assert (wrong.status_code, wrong.json()["errors"][0]["where"]) == (422, "kind")
    assert (await edge.call("PATCH", path, {"buffer": 8})).status_code == 422
    assert (await edge.call("PATCH", path, {"buffer_units": 8}, role="viewer")).status_code == 403


async def test_a_feed_its_run_and_its_rows(edge: EdgeClient) -> None:
    wanted = {"node": "ACME", "kind": "vendor", "buffer_units": 5}
    assert (await edge.call("PUT", "/v1/stock/feeds/acme", wanted)).status_code == 202
    wrong = await edge.call("PUT", "/v1/stock/feeds/acme", wanted | {"kind": "shop"})
    assert (wrong.status_code, wrong.json()["errors"][0]["where"]) == (422, "definition.kind")
    run = {"run_id": "R1", "rows": 1, "units": 9, "stated_at": "2026-03-02T12:00:00Z"}
    await edge.call("POST", "/v1/stock/feeds/acme/runs", run)
    approval = "/v1/stock/feeds/acme/runs/R1/approval"
    assert (await edge.call("POST", approval)).status_code == 403
    assert (await edge.call("POST", approval, role="operator")).status_code == 202
    row = {"sku": "A", "packs": 9, "stated_at": "2026-03-02T12:00:00Z", "run_id": "R1"}
    answer = await edge.call("POST", "/v1/stock/feeds/acme/rows", {"items": [row, row | {"packs": 10**9}, 7]})
    results = answer.json()["results"]
    assert [result["status"] for result in results] == [202, 422, 422]
    assert [type(one) for one in edge.kept.commands()] == [
        DefineFeed,
        OpenFeedRun,
        ApproveFeedRun,
        ReportStock,
    ]


async def test_rows_and_entries_in_a_feeds_own_words(edge: EdgeClient) -> None:
    row = {"theirs": "X/1", "packs": 9, "stated_at": "2026-03-02T12:00:00Z"}
    items = [row, row | {"sku": "A"}, row | {"theirs": ""}]
    answer = await edge.call("POST", "/v1/stock/feeds/acme/rows", {"items": items})
    assert [result["status"] for result in answer.json()["results"]] == [202, 422, 422]
    entries = [
        {"theirs": "X/1", "sku": "A", "pack_size": 12},
        {"theirs": "X/2", "sku": None},
        {"theirs": "X/3"},
    ]
    answer = await edge.call("POST", "/v1/stock/feeds/acme/map", {"items": entries})
    results = answer.json()["results"]
    assert [result["status"] for result in results] == [202, 202, 422]
    assert results[2]["problem"]["errors"][0]["where"] == "sku", "that it is none is to be said"
    assert edge.kept.commands()[1:] == [
        MapFeedSku(feed="acme", theirs="X/1", sku="A", pack_size=12),
        MapFeedSku(feed="acme", theirs="X/2"),
    ]
    wrong = await edge.call("POST", "/v1/stock/feeds/acme/map", {"items": entries}, role="viewer")
    assert wrong.status_code == 403


async def test_a_snapshot_is_answered_row_by_row_and_changes_nothing(edge: EdgeClient) -> None:
    rows: list[dict[str, Any]] = [{"sku": "A", "node": "N1", "quantity": units} for units in (10, 7, 2)]
    body = {"as_of": "2026-03-02T12:00:00Z", "rows": rows}
    answer = await edge.call("POST", "/v1/stock/comparisons", body, role="viewer")
    outcomes = [(one["outcome"], one["variance"], one["events"]) for one in answer.json()["results"]]
    assert [one["position"] for one in answer.json()["results"]] == [7, 7, 7]
    assert [one["waiting"] for one in answer.json()["results"]] == ["C1", "C1", "C1"]
    bad = [{"sku": "", "node": "N1", "quantity": 1}, rows[2], 7]
    answer = await edge.call("POST", "/v1/stock/comparisons", body | {"rows": bad}, role="viewer")
    first, second, third = answer.json()["results"]
    assert (answer.status_code, second["outcome"]) == (200, "unexplained")
    assert first["problem"]["errors"][0]["where"] == "sku"
    assert third["problem"]["status"] == 422
    assert outcomes == [("matched", 0, []), ("in_flight", -3, ["e1"]), ("unexplained", -8, [])]
    assert edge.kept.records == []
    late = await edge.call("POST", "/v1/stock/comparisons", body | {"as_of": "2999-01-01T00:00:00Z"})
    assert (late.status_code, late.json()["type"].rpartition(":")[2]) == (422, "effective_in_future")
    found = await edge.call("GET", "/v1/stock/A/book?node=N1&at=2026-03-02T12:00:00Z", role="viewer")
    assert (found.json()["book"], found.json()["position"]) == (10, 7)


async def test_what_a_sku_is_is_put_at_its_name(edge: EdgeClient) -> None:
    body: dict[str, Any] = {"units": [{"unit": "case", "holds": 24}]}
    assert (await edge.call("PUT", "/v1/stock/items/TEA", body)).status_code == 202
    [command] = edge.kept.commands()
    assert command == DefineItem(sku="TEA", units=(UnitOfMeasure(unit="case", holds=24),))
    assert (await edge.call("PUT", "/v1/stock/items/TEA", body | {"unit": []})).status_code == 422
    wrong = {"units": [{"unit": "case", "holds": 2.5}]}
    assert (await edge.call("PUT", "/v1/stock/items/TEA", wrong)).status_code == 422
    assert (await edge.call("PUT", "/v1/stock/items/TEA", body, role="viewer")).status_code == 403


async def test_a_bin_is_put_below_the_sku_and_its_node(edge: EdgeClient) -> None:
    path = "/v1/stock/items/TEA/bins/LON"
    assert (await edge.call("PUT", path, {"bin": "A-12-3"})).status_code == 202
    assert (await edge.call("PUT", path, {"bin": None})).status_code == 202
    assert edge.kept.commands() == [
        PlaceItem(sku="TEA", node="LON", bin="A-12-3"),
        PlaceItem(sku="TEA", node="LON"),
    ]
    assert (await edge.call("PUT", path, {})).status_code == 422


async def test_units_are_moved_between_a_nodes_bins(edge: EdgeClient) -> None:
    path = "/v1/stock/items/TEA/bins/LON/moves"
    assert (await edge.call("POST", path, {"quantity": 3, "target": "R-7"})).status_code == 202
    assert edge.kept.commands() == [MoveBetweenBins(sku="TEA", node="LON", quantity=3, target="R-7")]
    for wrong in ({"target": "R-7"}, {"quantity": 0, "target": "R-7"}, {"quantity": 1, "to": "R-7"}):
        assert (await edge.call("POST", path, wrong)).status_code == 422
    assert (await edge.call("POST", path, {"quantity": 3}, role="viewer")).status_code == 403


async def test_lots_are_read_and_who_has_some_page_by_page(
    edge: EdgeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    has = {"order_id": "o1", "nodes": ["LON"], "allocated": 1, "issued": 0}

    async def lots(_: object, tenant: str, sku: str) -> dict[str, Any] | None:
        return {"shelf_days_min": 0, "lots": [{"lot": "L1"}]} if sku == "MILK" else None

    async def orders(
        _: object, tenant: str, sku: str, lot: str, after: str, limit: int
    ) -> list[dict[str, Any]]:
        return [] if after else [has]

    monkeypatch.setattr(lot_book, "lots", lots)
    monkeypatch.setattr(lot_book, "orders", orders)
    answer = await edge.call("GET", "/v1/stock/MILK/lots", role="viewer")
    assert answer.json() == {"sku": "MILK", "shelf_days_min": 0, "lots": [{"lot": "L1"}]}
    answer = await edge.call("GET", "/v1/stock/MUG/lots", role="viewer")
    assert (answer.status_code, answer.json()["type"]) == (404, "urn:orderlog:problem:no_lots")
    path = "/v1/stock/MILK/lots/L1"
    page = (await edge.call("GET", path, role="viewer", params={"limit": 1})).json()
    assert (page["orders"], page["next"]) == ([has], "o1")
    page = (await edge.call("GET", path, role="viewer", params={"limit": 1, "after": "o1"})).json()
    assert (page["orders"], page["next"]) == ([], None)
