"""The query API over a real PostgreSQL: what a tenant sees, page by page, and what a wrong question gets."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
import pytest_asyncio
from fastapi import FastAPI

from libs.events.contract import Event
from libs.events.envelope import Envelope
from libs.events.intake import OrderAccepted
from libs.runtime import problems
from libs.runtime.edge import require
from libs.runtime.keyring import MemoryKeyring
from libs.runtime.load import Load
from libs.runtime.routers import add_routes
from libs.runtime.settings import Settings
from libs.runtime.tokens import mint, new_signing_key
from libs.runtime.wire import Record
from services.console.api import Reads, routes
from services.console.contacts import Contacts
from services.console.cursor import write_cursor
from services.console.feed import Feed
from services.console.own_writes import OwnWrites
from services.console.queries import Queries
from services.console.store import Projector
from tests.console_database import by_stage, console_dsn
from tests.console_lives import LIVES, delivered, receipts, terms, troubled
from tests.console_parts import T0, at, envelopes
from tests.log.test_console_rebuild import record
from tests.log.test_console_store import feed

__all__ = ["console_dsn"]

_WAITING = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'live.reservations'::regclass"


class Gate:
    """The console's own gate, on a key made for the test."""

    def __init__(self, folder: Path) -> None:
        self.settings = Settings(jwt_key_file=folder / "jwt.json")
        self.settings.jwt_key_file.write_bytes(new_signing_key())

    def require(self, *roles: str) -> Any:
        return require(self.settings, *roles)

    def token(self, tenant: str = "acme", role: str = "viewer") -> str:
        return mint(self.settings.jwt_key_file, tenant, "ann", role, 600)


async def from_topics(topic: str, partition: int, offset: int) -> Sequence[Record]:
    """Records of what was published, five at a time."""
    events = published()[topic.split(".")[1]]
    return [record(event, topic, n) for n, event in enumerate(events)][offset : offset + 5]


class Api:
    """A client of the API, as one tenant's viewer unless told otherwise."""

    def __init__(self, client: httpx.AsyncClient, gate: Gate) -> None:
        self.client, self.gate = client, gate

    async def get(self, path: str, answered: int = 200, tenant: str = "acme", **query: Any) -> Any:
        bearer = {"Authorization": f"Bearer {self.gate.token(tenant)}"}
        answer = await self.client.get(path, params=query, headers=bearer)
        assert answer.status_code == answered, answer.text
        document = answer.json()
        if answered >= 400:
            assert answer.headers["content-type"] == "application/problem+json"
            assert document["detail"]
            assert document["next_step"]
        return document

    async def pages(self, path: str, kind: str, **query: Any) -> list[list[Any]]:
        """Every page of a list."""
        found, after = [], None
        while True:
            page = await self.get(path, **query, **({"after": after} if after else {}))
            found.append(page[kind])
            after = page["next"]
            if after is None:
                return found


def published() -> dict[str, list[Envelope[Event]]]:
    """Each life once, receipts, and twenty more orders placed a minute apart."""
    topics = by_stage(*(life(f"o-{n}") for n, life in enumerate(LIVES.values())))
    topics["inventory"] += envelopes("inventory", receipts("o-0"), first=len(topics["inventory"]) + 1)
    more = [OrderAccepted(**{**terms(f"m-{n}"), "placed_at": at(-n), "channel": "pos"}) for n in range(20)]
    topics["intake"] += envelopes("intake", more, first=len(topics["intake"]) + 1)
    return topics


async def fill(pool: asyncpg.Pool) -> None:
    """Read models of what was published, and of nothing else."""
    await pool.execute("DROP SCHEMA live CASCADE")
    await pool.execute("SELECT create_read_models('live')")
    await feed(Projector(pool), published())


@pytest_asyncio.fixture(scope="module")
async def pool(console_dsn: str) -> AsyncIterator[asyncpg.Pool]:
    """Connections to read models that are filled once; who changes them fills them anew."""
    async with asyncpg.create_pool(console_dsn, min_size=1, max_size=6) as opened:
        await fill(opened)
        yield opened


@pytest_asyncio.fixture
async def api(pool: asyncpg.Pool, tmp_path: Path) -> AsyncIterator[Api]:
    """The API over all that was published, with five records that are not read yet."""

    async def ends() -> Mapping[str, int]:
        held = {f"oms.{stage}.events": len(events) for stage, events in published().items()}
        return held | {"oms.routing.events": held["oms.routing.events"] + 5}

    app = FastAPI()
    problems.install(app)
    gate, queries = Gate(tmp_path), Queries(pool)
    own_writes = OwnWrites(queries, Load("console", gate.settings), 5.0)
    reads = Reads(queries, Contacts(queries, MemoryKeyring()), own_writes, Feed(queries, from_topics), ends)
    add_routes(app, routes(gate, reads))
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://console") as client:
        yield Api(client, gate)


async def test_orders_come_newest_first_page_by_page_each_once(api: Api) -> None:
    pages = await api.pages("/v1/orders", "orders", limit=4)
    assert [len(page) for page in pages] == [4, 4, 4, 4, 4, 4, 1]
    orders = [order for page in pages for order in page]
    times = [order["ordered_at"] for order in orders]
    assert times == sorted(times, reverse=True)
    assert len({order["order_id"] for order in orders}) == 25
    assert "tenant" not in orders[0]


async def test_orders_are_filtered(api: Api) -> None:
    async def ids(**query: Any) -> set[str]:
        return {order["order_id"] for order in (await api.get("/v1/orders", **query))["orders"]}

    assert await ids(status="partly_delivered") == {"o-1"}
    assert await ids(external_id="X-o-2") == {"o-2"}
    assert await ids(channel="web", sku="A") == {"o-0", "o-1", "o-2", "o-3"}
    assert await ids(sku="nobody-has-it") == set()
    window = {"from": at(-3).isoformat(), "to": at(-1).isoformat()}
    assert await ids(channel="pos", **window) == {"m-3", "m-2"}
    assert await ids(channel="pos", to="2026-03-02") == set(), "a date is its midnight, UTC"
    assert len(await ids(**{"from": "2026-03-02"})) == 25


async def test_an_order_shows_everything_that_is_known(api: Api) -> None:
    order = await api.get("/v1/orders/o-0")
    assert (order["status"], order["total_minor"], order["payment"]) == ("delivered", 4895, "paid")
    assert order["milestones"]["shipped"] is not None
    assert [line["units"] for line in order["lines"]] == [{"delivered": 10}, {"delivered": 2}]
    assert order["lines"][0]["returned"] == 5
    assert order["lines"][0]["description"] == "Lantern"
    [shipment] = order["shipments"]
    assert shipment["packages"][0]["tracking_number"] == "RM1"
    assert shipment["delivered"] == [{"line": 1, "quantity": 10}, {"line": 2, "quantity": 2}]
    assert order["routing"][0]["candidates"][1]["reason"] == "has 3 of 12"
    assert order["returns"][0]["received"][1]["disposition"] == "scrap"
    assert order["refunds"][0]["amount_minor"] == 1250
    assert {m["milestone"]: m["state"] for m in order["messages"]} == {
        "confirmed": "sent",
        "shipped": "failed",
    }
    assert order["reservations"][0] | {"sku": "A", "issued": 10} == order["reservations"][0]
    assert order["data_subject"] == "c:17850"
    assert len(order["timeline"]) == sum(map(len, delivered("o-0").values())) + 2, (
        "two claims of a SKU's events"
    )
    assert order["timeline_next"] is None


async def test_a_held_order_shows_its_holds(api: Api) -> None:
    order = await api.get("/v1/orders/o-1")
    [hold] = order["holds"]
    assert (hold["name"], hold["note"]) == ("fraud_review", "Customer called")
    assert hold["released_at"] is not None
    assert order["cancellation"]["reason"] == "changed my mind"
    assert order["cancellation"]["declined_reason"] == "Everything has been dispatched."


async def test_a_timeline_is_told_in_order_and_says_who_and_why(api: Api) -> None:
    pages = await api.pages("/v1/orders/o-1/timeline", "timeline", limit=5)
    entries = [entry for page in pages for entry in page]
    assert entries == (await api.get("/v1/orders/o-1"))["timeline"]
    assert [entry["at"] for entry in entries] == sorted(entry["at"] for entry in entries)
    assert len(entries) == sum(map(len, troubled("o-1").values()))
    assert {entry["actor"] for entry in entries} == {"ann"}
    assert entries[0]["cause"]["id"]
    sentences = [entry["sentence"] for entry in entries]
    assert "Short pick at LON: 3 units not found." in sentences


async def test_stock_is_listed_and_summed(api: Api) -> None:
    pages = await api.pages("/v1/stock", "stock", limit=3)
    rows = [row for page in pages for row in page]
    assert rows == (await api.get("/v1/stock", limit=200))["stock"]
    assert {row["node"] for row in (await api.get("/v1/stock", node="MAN"))["stock"]} == {"MAN"}
    one = await api.get("/v1/stock/B")
    buckets = {node["node"]: node["buckets"] for node in one["nodes"]}
    assert one["on_hand"] == sum(found.get("on_hand", 0) for found in buckets.values())
    assert one["free"] == one["on_hand"] - one["reserved"]
    assert "available" not in one, "that is less what nobody may have: inventory says it"
    assert buckets["LON"]["supplier"] == -2


async def test_reservations_are_found_by_order_and_by_sku(api: Api) -> None:
    of_order = (await api.get("/v1/reservations", order_id="o-2"))["reservations"]
    assert [(claim["sku"], claim["wanted"], claim["released"]) for claim in of_order] == [
        ("A", 10, 10),
        ("B", 2, 2),
    ]
    pages = await api.pages("/v1/reservations", "reservations", sku="A", limit=6)
    assert len([claim for page in pages for claim in page]) == 24


async def test_the_summary_counts_orders_and_tells_the_lag(api: Api) -> None:
    summary = await api.get("/v1/summary")
    assert summary["by_status"] == {"accepted": 20} | dict.fromkeys(LIVES, 1)
    assert summary["orders"] == 25
    assert summary["as_of"]["lag"] == summary["as_of"]["lag_by_topic"]["oms.routing.events"] == 5
    assert summary["as_of"]["event_at"] > T0.isoformat()


async def test_another_tenant_sees_nothing(api: Api) -> None:
    assert (await api.get("/v1/orders", tenant="rival"))["orders"] == []
    assert (await api.get("/v1/orders/o-0", 404, tenant="rival"))["type"].endswith(":unknown_order")
    await api.get("/v1/orders/o-0/timeline", 404, tenant="rival")
    await api.get("/v1/stock/A", 404, tenant="rival")
    assert (await api.get("/v1/summary", tenant="rival"))["orders"] == 0


@pytest.mark.parametrize(
    ("path", "query", "status", "code"),
    [
        ("/v1/orders", {"after": "no-cursor"}, 400, "bad_cursor"),
        ("/v1/orders", {"after": "%%%"}, 400, "bad_cursor"),
        ("/v1/orders", {"after": write_cursor("stock", ["A", "LON", "on_hand"])}, 400, "bad_cursor"),
        ("/v1/orders", {"after": write_cursor("orders", ["2026-03-02", "o-1"])}, 400, "bad_cursor"),
        ("/v1/orders", {"after": write_cursor("orders", [T0, "\x00"])}, 400, "bad_cursor"),
        ("/v1/orders", {"after": write_cursor("orders", [T0, 7])}, 400, "bad_cursor"),
        ("/v1/stock", {"after": write_cursor("orders", [T0, "o-1"])}, 400, "bad_cursor"),
        (
            "/v1/orders/o-1/timeline",
            {"after": write_cursor("timeline", [T0, "a", 0, 2**63])},
            400,
            "bad_cursor",
        ),
        ("/v1/orders", {"status": "gone"}, 422, "unknown_status"),
        ("/v1/orders", {"from": "yesterday"}, 422, "invalid_request"),
        ("/v1/orders", {"from": "0001-01-01T00:00:00+14:00"}, 422, "invalid_time"),
        ("/v1/orders", {"limit": 201}, 422, "invalid_request"),
        ("/v1/orders", {"limit": 0}, 422, "invalid_request"),
        ("/v1/orders", {"external_id": "a\x00b"}, 422, "invalid_request"),
        ("/v1/orders/not%20an%20id", {}, 422, "invalid_request"),
        ("/v1/orders/nobody", {}, 404, "unknown_order"),
        ("/v1/orders/nobody/timeline", {}, 404, "unknown_order"),
        ("/v1/stock/nothing", {}, 404, "unknown_sku"),
        ("/v1/stock", {"node": "a node"}, 422, "invalid_request"),
        ("/v1/reservations", {"order_id": "'; DROP"}, 422, "invalid_request"),
        ("/v1/nowhere", {}, 404, "http_404"),
    ],
)
async def test_a_wrong_question_is_told_what_is_wrong(
    api: Api, path: str, query: dict[str, Any], status: int, code: str
) -> None:
    document = await api.get(path, status, **query)
    assert document["type"] == f"urn:orderlog:problem:{code}"


async def test_nobody_reads_without_a_token_or_with_a_wrong_role(api: Api) -> None:
    answer = await api.client.get("/v1/orders")
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    bearer = {"Authorization": f"Bearer {api.gate.token(role='scanner')}"}
    assert (await api.client.get("/v1/orders", headers=bearer)).status_code == 403


async def test_an_order_and_its_timeline_are_of_one_moment(api: Api, pool: asyncpg.Pool) -> None:
    """A batch commits after the order's row was read and before its timeline is."""
    before = await api.get("/v1/orders/o-0")
    try:
        async with pool.acquire() as connection:
            async with connection.transaction():
                await connection.execute("SET LOCAL orderlog.projector = 'on'")
                await connection.execute("LOCK TABLE live.reservations IN ACCESS EXCLUSIVE MODE")
                reading = asyncio.create_task(api.get("/v1/orders/o-0"))
                async with asyncio.timeout(10):
                    while not await connection.fetchval(_WAITING):
                        pass
                await connection.execute("UPDATE live.orders SET status = 'lost' WHERE order_id = 'o-0'")
                await connection.execute("DELETE FROM live.timeline WHERE order_id = 'o-0'")
            assert await reading == before
        assert (await api.get("/v1/orders/o-0"))["timeline"] == []
    finally:
        await fill(pool)
