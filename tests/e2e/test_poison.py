"""Poison on the real topics: each kind is refused by name or parked with its reason, and others go on."""

import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID, uuid4

import asyncpg
import pytest

from libs.events.catalogue import encode
from libs.events.envelope import Envelope
from libs.events.ids import order_id, partition_key
from libs.events.intake import SubmitOrder
from libs.events.order import Destination, OrderLine
from libs.runtime import wire
from libs.runtime.kafka import KafkaPublisher, Lanes
from libs.runtime.settings import settings
from libs.runtime.stage import commands_topic
from tests.e2e.stacks import Stack

pytestmark = pytest.mark.e2e

TENANT = f"poison-{int(time.time())}"
TOPIC = commands_topic("intake")
PAYLOADS = {
    "bad JSON": (b'{"order_id": ', "malformed"),
    "NUL bytes": (b"\x00" * 8, "malformed"),
    "10 MB": (b'{"x":"' + b"y" * 10_000_000 + b'"}', "too_large"),
    "an old habit": (b'{"quantity": 9223372036854775808}', "malformed"),
}


def order(number: str) -> Envelope[SubmitOrder]:
    body = SubmitOrder(
        order_id=order_id(TENANT, "web", number),
        channel="web",
        external_id=number,
        placed_at=datetime.now(UTC),
        currency="GBP",
        lines=(OrderLine(line=1, sku="TEA", quantity=1, unit_price_minor=100),),
        destination=Destination(country="GB"),
    )
    id_ = uuid4()
    return Envelope(id_, TENANT, body.stream, body, datetime.now(UTC), "e2e", "", id_, id_, "e2e")


async def publish(
    publisher: KafkaPublisher,
    envelope: Envelope[SubmitOrder],
    value: bytes | None = None,
    headers: Sequence[tuple[str, bytes]] | None = None,
) -> UUID:
    key = partition_key(TENANT, envelope.stream)
    found = list(wire.headers(envelope)) if headers is None else list(headers)
    payload = encode(envelope.body) if value is None else value
    message = (key.encode(), payload, found, int(time.time() * 1000))
    await publisher.send(TOPIC, Lanes(settings().partitions)(key), message)
    return envelope.id


async def answers(connection: "asyncpg.Connection[asyncpg.Record]", expected: int) -> dict[str, str]:
    """Command id → what answered it, once there are as many as expected."""
    deadline = time.monotonic() + 60
    while True:
        rows = await connection.fetch(
            "SELECT context->>'causationid' AS cause, type, payload->>'code' AS code "
            "FROM log WHERE tenant = $1",
            TENANT,
        )
        if len(rows) >= expected or time.monotonic() > deadline:
            return {row["cause"]: row["code"] or row["type"] for row in rows}


async def test_poison_is_answered_or_parked_and_good_orders_go_on(stack: Stack) -> None:
    publisher = KafkaPublisher(settings(), "e2e")
    connection = await asyncpg.connect(settings().dsn("intake"))
    before = await connection.fetchval("SELECT coalesce(max(id), 0) FROM parked")
    expected: dict[str, str] = {}
    for number, (value, code) in enumerate(PAYLOADS.values()):
        expected[str(await publish(publisher, order(f"P{number}"), value))] = code
    newer = order("newer")
    headers = [(n, b"99" if n == "ce_typeversion" else v) for n, v in wire.headers(newer)]
    expected[str(await publish(publisher, newer, headers=headers))] = "newer_version"
    unknown = order("unknown")
    headers = [(n, b"oms.intake.fly" if n == "ce_type" else v) for n, v in wire.headers(unknown)]
    expected[str(await publish(publisher, unknown, headers=headers))] = "unknown_type"
    nobody = order("nobody")
    await publish(publisher, nobody, headers=[(n, v) for n, v in wire.headers(nobody) if n != "ce_tenant"])
    elsewhere = order("elsewhere")
    misplaced = replace(elsewhere, stream="another")
    await publish(publisher, elsewhere, headers=wire.headers(misplaced))
    for number in range(20):
        expected[str(await publish(publisher, order(f"G{number}")))] = "oms.intake.order_accepted"
    await publisher.stop()
    assert await answers(connection, len(expected)) == expected
    parked = await connection.fetch(
        "SELECT code, reason FROM parked WHERE topic = $1 AND id > $2", TOPIC, before
    )
    await connection.close()
    assert [row["code"] for row in parked] == ["bad_headers", "bad_headers"]
    assert "ce_tenant" in parked[0]["reason"] + parked[1]["reason"]
