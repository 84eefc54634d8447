"""Inventory's edge for serial numbers: what is read of a unit, and what is answered where there is none."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from fastapi import APIRouter

from libs.runtime.edge import Edge
from services.inventory import serial_book, supply_api
from tests.unit.edge_client import EdgeClient

UNIT = {"serial": "A", "place": "shelf", "node": "N1"}
LEFT = {"target": "issued", "node": "N1", "order_id": "o1", "at": "2026-03-02T12:00:00Z"}


@pytest.fixture
def edge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> EdgeClient:
    """Cameras of which A was sent with o1; nothing else has serial numbers."""

    def routes(edge: Edge) -> APIRouter:
        @asynccontextmanager
        async def reading() -> AsyncIterator[None]:
            yield None

        monkeypatch.setattr(edge, "reading", reading)
        return supply_api.supply_routes(edge)

    async def history(connection: Any, tenant: str, sku: str, serial: str) -> list[dict[str, Any]]:
        return [LEFT] if (sku, serial) == ("CAM", "A 1") else []

    async def units(connection: Any, tenant: str, sku: str, *asked: object) -> list[dict[str, Any]]:
        return [UNIT]

    async def astray(connection: Any, tenant: str, sku: str) -> dict[str, int] | None:
        return {"N1": 1} if sku == "CAM" else None

    for read in (history, units, astray):
        monkeypatch.setattr(serial_book, read.__name__, read)
    return EdgeClient("inventory", routes, tmp_path)


async def test_a_unit_is_read_by_its_number(edge: EdgeClient) -> None:
    answer = await edge.call("GET", "/v1/stock/CAM/serials/A%201", role="viewer")
    found = answer.json()
    assert (found["place"], found["node"], found["order_id"]) == ("issued", "N1", "o1")
    assert found["history"] == [LEFT]
    unknown = await edge.call("GET", "/v1/stock/CAM/serials/Z", role="viewer")
    assert (unknown.status_code, unknown.json()["type"]) == (404, "urn:orderlog:problem:unknown_serial")


async def test_the_numbers_of_a_sku_are_read_page_by_page(edge: EdgeClient) -> None:
    answer = await edge.call("GET", "/v1/stock/CAM/serials?limit=1", role="viewer")
    assert answer.json() == {"sku": "CAM", "astray": {"N1": 1}, "serials": [UNIT], "next": "A"}
    none = await edge.call("GET", "/v1/stock/MUG/serials", role="viewer")
    assert (none.status_code, none.json()["type"]) == (404, "urn:orderlog:problem:no_serials")
