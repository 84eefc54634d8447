"""Rows of a batch are answered with what became of them, with or without the events that it led to."""

import asyncio
from pathlib import Path
from typing import Any
from uuid import UUID

from libs.events.feeds import ReportStock
from libs.runtime.log import Handled, LogRow, Writes
from libs.runtime.reading import command_digest
from services.inventory.app import all_routes
from tests.spec import NOON
from tests.unit.edge_client import TENANT, EdgeClient
from tests.unit.test_edge_limits import until

ROWS = {"items": [{"sku": sku, "packs": 1, "stated_at": NOON.isoformat()} for sku in ("TEA", "MUG")]}


def decide(edge: EdgeClient) -> None:
    """Take the rows, as the stage would: an event each."""
    writes = Writes()
    for seq, (_, (_, value, headers, _)) in enumerate(edge.kept.records, 1):
        id_ = UUID(dict(headers)["ce_id"].decode())
        digest = command_digest(ReportStock.TYPE, value)
        writes.rows.append(
            LogRow(0, "decided", seq, id_, TENANT, "s", 1, "t", 1, b'{"told":1}', {}, NOON, NOON)
        )
        writes.handled.append(Handled(TENANT, id_, digest, 0, seq, 1))
    edge.answers.committed(writes)


async def answered(edge: EdgeClient, prefer: str) -> list[dict[str, Any]]:
    edge.kept.records.clear()
    asking = asyncio.ensure_future(
        edge.call("POST", "/v1/stock/feeds/acme/rows", ROWS, headers={"Prefer": prefer})
    )
    await until(lambda: len(edge.kept.records) == len(ROWS["items"]))
    decide(edge)
    answer = await asking
    assert answer.status_code == 207, answer.text
    results: list[dict[str, Any]] = answer.json()["results"]
    return results


async def test_who_wants_no_events_is_told_that_each_row_is_decided(tmp_path: Path) -> None:
    edge = EdgeClient("inventory", all_routes, tmp_path)
    whole, minimal = await answered(edge, "wait=5"), await answered(edge, "wait=5, return=minimal")
    assert [[event["data"] for event in row["events"]] for row in whole] == [[{"told": 1}]] * 2
    assert [row["decided"] for row in minimal] == [True, True]
    assert all("events" not in row for row in minimal)
