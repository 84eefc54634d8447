"""SIGTERM finishes what is in hand: decided, published, told to Kafka, and the process ends with 0."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import httpx
import psycopg
import pytest
from aiokafka.admin import AIOKafkaAdminClient

from deploy.local.home import Home
from deploy.local.programs import find
from libs.runtime.settings import settings
from libs.runtime.tokens import mint
from tests.e2e.stacks import ROOT, Stack, free_ports

pytestmark = pytest.mark.e2e
COMMANDS = 30


def wait_for(holds: Callable[[], object], what: str) -> None:
    give_up_at = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < give_up_at, f"it never came true: {what}"
        time.sleep(0.02)


@contextmanager
def inventory(log: Path, port: int, **more: str) -> Iterator[subprocess.Popen[bytes]]:
    """The stage as a child of ours, so that how it ends can be seen and its settings can be other ones."""
    chosen = {"ORDERLOG_HTTP_PORT": str(port), "PYTHONUNBUFFERED": "1", **more}
    with log.open("wb") as output:
        child = subprocess.Popen(
            (sys.executable, "-m", "services.inventory.app"),
            cwd=ROOT,
            env={**os.environ, **chosen},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            yield child
        finally:
            child.terminate()  # who is killed stays a member of its group until its session is over
            try:
                child.wait(timeout=15)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()


def end_inventory(stack: Stack) -> None:
    """Stop the stack's own."""
    home = Home(stack.home)
    running = find(home, "inventory")
    assert running is not None
    os.kill(running.pid, signal.SIGTERM)
    wait_for(lambda: find(home, "inventory") is None, "the stack's inventory ends")


def ready(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/readyz").status_code == 200
    except httpx.TransportError:
        return False


def blocked(connection: psycopg.Connection[tuple[object, ...]]) -> bool:
    """Whether a batch of inventory waits for the locks that this connection holds."""
    asked = connection.execute(
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        " AND pg_backend_pid() = ANY(pg_blocking_pids(pid))"
    ).fetchone()
    return asked is not None and asked[0] != 0


async def hints(group: str) -> dict[tuple[str, int], int]:
    """What the group has committed to Kafka."""
    admin = AIOKafkaAdminClient(bootstrap_servers=settings().kafka)
    await admin.start()
    try:
        told = await admin.list_consumer_group_offsets(group)
        return {(place.topic, place.partition): meta.offset for place, meta in told.items()}
    finally:
        await admin.close()


def test_sigterm_finishes_the_batch_in_hand(stack: Stack, tmp_path: Path) -> None:
    tenant, port, log = f"stop-{uuid4().hex[:8]}", free_ports(1), tmp_path / "inventory.log"
    end_inventory(stack)
    headers = {"Authorization": f"Bearer {mint(settings().jwt_key_file, tenant, 'test', 'operator', 600)}"}
    receipt = {"sku": "MUG", "node": "LON", "quantity": 1}
    try:
        patient = {"ORDERLOG_LOCK_TIMEOUT_SECONDS": "25"}
        with (
            inventory(log, port, **patient) as child,
            psycopg.connect(settings().dsn("inventory")) as blocker,
        ):
            wait_for(lambda: ready(port), "the child is ready")
            blocker.execute("SELECT * FROM lane FOR UPDATE")
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers) as edge:
                for _ in range(COMMANDS):
                    assert edge.post("/v1/stock/receipts", json=receipt).status_code == 202
            wait_for(lambda: blocked(blocker), "a batch is in hand")
            child.send_signal(signal.SIGTERM)
            wait_for(lambda: b"stopping" in log.read_bytes(), "the child heard of it")
            assert child.poll() is None, "it waits for its batch"
            blocker.rollback()
            began = time.monotonic()
            assert child.wait(timeout=15) == 0, log.read_text()
            assert time.monotonic() - began < 10
        assert "stopped with nothing in hand" in log.read_text()
        with psycopg.connect(settings().dsn("inventory")) as connection:
            decided = connection.execute(
                "SELECT count(*) FROM log WHERE tenant = %s AND origin = 'decided'", (tenant,)
            ).fetchone()
            assert decided is not None
            assert decided[0] > 0, "the batch in hand was committed"
            behind = connection.execute(
                "SELECT lane, next_decided - 1, published FROM lane LEFT JOIN relay USING (lane)"
                " WHERE next_decided - 1 <> coalesce(published, 0)"
            ).fetchall()
            assert behind == [], "all that was decided was published"
            stored = connection.execute("SELECT topic, partition, next_offset FROM consumed").fetchall()
        told = asyncio.run(hints("orderlog.inventory"))
        assert {(topic, number): told.get((topic, number)) for topic, number, _ in stored} == {
            (topic, number): offset for topic, number, offset in stored
        }
    finally:
        assert stack.json("up")["programs"]["inventory"]["action"] in ("restarted", "running")
