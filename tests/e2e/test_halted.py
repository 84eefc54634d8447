"""A lane with too many parked keys halts, everybody can see it, and it goes on once enough are settled."""

import asyncio
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from libs.runtime.kafka import KafkaPublisher, Lanes
from libs.runtime.settings import settings
from libs.runtime.tokens import mint
from tests.e2e.stacks import Stack, free_ports
from tests.e2e.test_stop import end_inventory, inventory, ready, wait_for

pytestmark = pytest.mark.e2e
MOST = 2


async def publish_unreadable(lane: int, count: int) -> None:
    publisher = KafkaPublisher(settings(), "test")
    for number in range(count):
        message = (f"nobody/{number}".encode(), b"?", [("ce_id", b"none")], 1)
        await publisher.send("oms.inventory.commands", lane, message)
    await publisher.stop()


def test_a_halted_lane_is_seen_and_goes_on_without_a_restart(stack: Stack, tmp_path: Path) -> None:
    tenant, port = f"halt-{uuid4().hex[:8]}", free_ports(1)
    lane_of, lane = Lanes(settings().partitions), 1
    sku = next(f"S{n}" for n in range(1000) if lane_of(f"{tenant}/sku/S{n}") == lane)
    bounded = {"ORDERLOG_PARKED_KEYS_MAX": str(MOST), "ORDERLOG_HALTED_RETRY_SECONDS": "600"}
    token = mint(settings().jwt_key_file, tenant, "test", "admin", 600)
    end_inventory(stack)
    try:
        with (
            inventory(tmp_path / "log", port, **bounded),
            httpx.Client(
                base_url=f"http://127.0.0.1:{port}", headers={"Authorization": f"Bearer {token}"}
            ) as edge,
        ):

            def halted() -> dict[str, Any]:
                return dict(edge.get("/readyz").json()["halted"])

            def parked() -> list[dict[str, Any]]:
                return list(edge.get("/v1/parked").json()["parked"])

            settled: set[str] = set()

            def settle() -> set[str]:
                for row in parked():
                    settled.add(row["key"])
                    edge.post("/v1/parked/discard", json={"key": row["key"]})
                return settled

            def receive() -> httpx.Response:
                receipt = {"sku": sku, "node": "LON", "quantity": 1}
                return edge.post("/v1/stock/receipts", json=receipt, headers={"prefer": "wait=20"})

            wait_for(lambda: ready(port), "the child is ready")
            assert halted() == {}
            asyncio.run(publish_unreadable(lane, MOST + 2))
            wait_for(lambda: len(parked()) >= MOST + 2, "they are parked")
            asyncio.run(publish_unreadable(lane, 1))  # the limit is looked at before a batch is decided
            wait_for(lambda: str(lane) in halted(), "the lane is halted")
            assert f"{MOST} may be" in halted()[str(lane)]
            assert "orderlog_lanes_halted" in (told := edge.get("/metrics").text)
            assert 'orderlog_lanes_halted{stage="inventory"} 1.0' in told
            waiting = edge.post("/v1/stock/receipts", json={"sku": sku, "node": "LON", "quantity": 1})
            assert waiting.status_code == 202, "it is stored, and waits"

            settle()
            wait_for(lambda: halted() == {}, "the lane goes on")
            decided = receive()
            assert decided.status_code == 200, decided.text
            assert edge.get(waiting.headers["location"]).status_code == 200, (
                "what waited was decided before what came later"
            )
            assert 'orderlog_lanes_halted{stage="inventory"} 0.0' in edge.get("/metrics").text
            # The last was parked with the batch that halted the lane, or once it went on.
            wait_for(lambda: len(settle()) == MOST + 3, "each was parked")
    finally:
        assert stack.json("up")["programs"]["inventory"]["action"] in ("restarted", "running")
