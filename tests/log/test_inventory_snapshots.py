"""Snapshots that claim to be all of a node, and such as were put right by hand, on PostgreSQL."""

from datetime import datetime
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from libs.runtime.edge import MANY_MAX
from services.inventory import snapshot_api
from services.inventory.app import all_routes
from tests.log.test_inventory_book import Inventory, inventory, pool
from tests.unit.edge_client import EdgeClient
from tests.unit.inventory_supply import approve, minutes, propose
from tests.unit.inventory_trade import adjust, receive

__all__ = ["inventory", "pool"]

LATER = minutes(60)


async def compared(
    pool: asyncpg.Pool,
    folder: Path,
    rows: dict[str, int],
    at: datetime = LATER,
    node: str = "N1",
    **claim: Any,
) -> httpx.Response:
    """The answer to a snapshot of a node; with a claim, of all of it."""
    told = [{"sku": sku, "node": node, "quantity": units} for sku, units in rows.items()]
    body: dict[str, Any] = {"as_of": at.isoformat(), "rows": told}
    if claim:
        body["complete"] = {"node": node, **claim}
    client = EdgeClient("inventory", all_routes, folder, pool)
    return await client.call("POST", "/v1/stock/comparisons", body, role="viewer")


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, str(answer.json().get("type", "")).rpartition(":")[2]


def left_out(answer: httpx.Response) -> list[tuple[str, int, str]]:
    assert answer.status_code == 200, answer.text
    return [(one["sku"], one["variance"], one["outcome"]) for one in answer.json()["left_out"]]


async def test_what_a_snapshot_of_all_leaves_out_is_none(
    pool: asyncpg.Pool, inventory: Inventory, tmp_path: Path
) -> None:
    await inventory.hear(receive("A", 10), receive("B", 5), receive("C", 3), receive("B", 7, "N2"))
    await inventory.hear(receive("LATE", 9), minute=90)
    answer = await compared(pool, tmp_path, {"A": 9}, units=9)
    assert left_out(answer) == [("B", -5, "pinned"), ("C", -3, "pinned"), ("LATE", 0, "matched")][:2]
    assert [one["variance"] for one in answer.json()["results"]] == [-1]
    assert answer.json()["left_out"][0]["left_out"] is True
    assert "left_out" not in (await compared(pool, tmp_path, {"A": 9})).json()


async def test_what_waits_of_a_shelf_that_is_empty_on_both_sides_is_told_to_be_closed(
    pool: asyncpg.Pool, inventory: Inventory, tmp_path: Path
) -> None:
    await inventory.hear(receive("A", 10), receive("B", 5))
    await inventory.hear(propose("B", "X1", -5, at=10), minute=20)
    await inventory.hear(adjust("B", -5), minute=30)
    answer = await compared(pool, tmp_path, {"A": 10}, units=10)
    assert left_out(answer) == [("B", 0, "matched")]
    assert answer.json()["left_out"][0]["waiting"] == "X1"


async def test_parts_leave_nothing_out_and_ask_about_nothing_twice(
    pool: asyncpg.Pool, inventory: Inventory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"S{number:02}" for number in range(12)]
    await inventory.hear(*(receive(name, 2) for name in names))
    monkeypatch.setattr(snapshot_api, "MANY_MAX", 5)
    rows, units, asked = {"S03": 2, "S08": 2, "S11": 2}, 6, list[str]()
    for part, after, until in (({"S03": 2}, None, "S03"), ({"S08": 2, "S11": 2}, "S03", None)):
        while True:
            answer = await compared(pool, tmp_path, part, units=units, after=after, until=until)
            asked += [sku for sku, variance, _ in left_out(answer) if variance == -2]
            after = answer.json()["next"]
            if after is None:
                break
            part = {sku: units for sku, units in part.items() if sku > after}
    assert asked == [name for name in names if name not in rows]
    assert MANY_MAX == 500


async def test_a_snapshot_that_shrank_or_cannot_be_all_is_refused(
    pool: asyncpg.Pool, inventory: Inventory, tmp_path: Path
) -> None:
    await inventory.hear(receive("A", 90), receive("B", 10), receive("A", 900, "N2"))
    assert code(await compared(pool, tmp_path, {"A": 10}, units=10)) == (422, "snapshot_shrunk")
    assert code(await compared(pool, tmp_path, {}, units=0)) == (422, "snapshot_shrunk")
    assert (await compared(pool, tmp_path, {"A": 11}, units=11)).status_code == 200
    assert (await compared(pool, tmp_path, {}, node="N3", units=0)).json() == {
        "results": [],
        "left_out": [],
        "next": None,
    }
    assert code(await compared(pool, tmp_path, {"A": -1}, units=50)) == (422, "unreadable_rows")
    assert code(await compared(pool, tmp_path, {"A": 50}, units=50, after="B")) == (422, "outside_the_part")
    assert code(await compared(pool, tmp_path, {"B": 50}, units=50, until="A")) == (422, "outside_the_part")
    client = EdgeClient("inventory", all_routes, tmp_path, pool)
    row = {"sku": "A", "node": "N1", "quantity": 90}
    body = {"as_of": LATER.isoformat(), "complete": {"node": "N1", "units": 90}}
    for rows, problem in (([row, row], "sku_twice"), ([row, row | {"node": "N2"}], "other_node")):
        answer = await client.call("POST", "/v1/stock/comparisons", body | {"rows": rows}, role="viewer")
        assert code(answer) == (422, problem)
    nothing = await client.call("POST", "/v1/stock/comparisons", {"as_of": LATER.isoformat(), "rows": []})
    assert nothing.status_code == 422


async def test_a_difference_that_was_put_right_by_hand_is_not_asked_about_again(
    pool: asyncpg.Pool, inventory: Inventory, tmp_path: Path
) -> None:
    await inventory.hear(receive("A", 10), receive("B", 10), receive("C", 10))
    await inventory.hear(adjust("A", -2), adjust("B", -1), minute=200)
    answer = await compared(pool, tmp_path, {"A": 8, "B": 6, "C": 8})
    first, second, third = answer.json()["results"]
    assert (first["outcome"], first["variance"], len(first["events"])) == ("corrected", -2, 1)
    assert first["explanation"].endswith("the books were put right since.")
    assert (second["outcome"], second["variance"]) == ("corrected", -4)
    assert second["explanation"].endswith("it may be booked in part since. Compare a newer snapshot.")
    assert (third["outcome"], third["variance"]) == ("unexplained", -2)
    newer = await compared(pool, tmp_path, {"A": 8, "B": 6, "C": 8}, minutes(210))
    assert [one["outcome"] for one in newer.json()["results"]] == ["matched", "unexplained", "unexplained"]


async def test_one_that_was_approved_is_not_asked_about_again(
    pool: asyncpg.Pool, inventory: Inventory, tmp_path: Path
) -> None:
    await inventory.hear(receive("A", 10))
    await inventory.hear(propose("A", "X1", -2, at=60), minute=61)
    await inventory.hear(approve("A", "X1"), minute=200)
    again = await compared(pool, tmp_path, {"A": 8})
    assert [one["outcome"] for one in again.json()["results"]] == ["matched"]
