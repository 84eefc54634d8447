"""The edge sends people away before it takes what it cannot store, and says when to come again."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
from fastapi import APIRouter, FastAPI, Request
from opentelemetry.trace import NoOpTracer
from prometheus_client import REGISTRY
from starlette.types import Message as AsgiMessage
from starlette.types import Receive, Scope, Send

from libs.runtime import problems
from libs.runtime.body_limit import BodyLimit
from libs.runtime.load import RequestLimit
from libs.runtime.log import Unavailable
from libs.runtime.relay import Message, PublishFailed
from libs.runtime.service import StageService
from libs.runtime.settings import Settings
from services.console.app import Console
from services.intake import api
from services.intake.app import STAGE
from tests.unit.edge_client import EdgeClient, KeptRecords

CANCEL = "/v1/orders/{}/cancel"


class Gate:
    """Stands in for Kafka's acknowledgement: closed, published records are on their way."""

    def __init__(self, kept: KeptRecords) -> None:
        self._publish, self.error = kept.publish, ""
        self.open = asyncio.Event()
        self.under_way = 0
        kept.publish = self.publish  # type: ignore[method-assign]

    async def publish(self, topic: str, partition: int, messages: Sequence[Message]) -> None:
        self.under_way += 1
        try:
            await self.open.wait()
        finally:
            self.under_way -= 1
        if self.error:
            raise PublishFailed(self.error)
        await self._publish(topic, partition, messages)


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not holds():  # noqa: ASYNC110  (nobody tells)
            await asyncio.sleep(0)


def check_away(answer: httpx.Response, status: int, code: str) -> None:
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["retry-after"] == "7"
    document = answer.json()
    assert document["type"] == f"urn:orderlog:problem:{code}"
    assert "Retry-After" in document["next_step"]


def refused(code: str) -> float:
    return REGISTRY.get_sample_value("orderlog_edge_refused_total", {"stage": "intake", "code": code}) or 0.0


def client(folder: Path, **chosen: Any) -> EdgeClient:
    return EdgeClient("intake", api.routes, folder, retry_after_seconds=7, **chosen)


def cancel(edge: EdgeClient, number: int, **headers: str) -> Awaitable[httpx.Response]:
    return edge.call("POST", CANCEL.format(f"o-{number}"), headers=headers)


async def test_commands_that_kafka_has_not_stored_are_bounded(tmp_path: Path) -> None:
    edge = client(tmp_path, commands_in_flight_max=3)
    gate, before = Gate(edge.kept), refused("too_busy")
    taken = [asyncio.ensure_future(cancel(edge, number)) for number in range(3)]
    await until(lambda: gate.under_way == 3)
    check_away(await cancel(edge, 3), 429, "too_busy")
    assert refused("too_busy") == before + 1
    gate.open.set()
    assert [(await one).status_code for one in taken] == [202] * 3
    assert len(edge.kept.records) == 3, "what was sent away was not published"
    assert (await cancel(edge, 3)).status_code == 202


async def test_their_bytes_are_bounded_too(tmp_path: Path) -> None:
    edge = client(tmp_path, commands_in_flight_bytes_max=1_500)
    gate = Gate(edge.kept)
    first = asyncio.ensure_future(cancel(edge, 1))
    await until(lambda: gate.under_way == 1)
    check_away(await cancel(edge, 2), 429, "too_busy")
    gate.open.set()
    assert (await first).status_code == 202


async def test_nothing_is_sealed_for_an_order_that_cannot_be_taken(tmp_path: Path) -> None:
    edge = client(tmp_path, commands_in_flight_max=1)
    gate = Gate(edge.kept)
    first = asyncio.ensure_future(cancel(edge, 1))
    await until(lambda: gate.under_way == 1)
    check_away(await edge.call("POST", "/v1/orders/batch", {"orders": [{}]}), 429, "too_busy")
    gate.open.set()
    await first


async def test_requests_that_wait_are_bounded(tmp_path: Path) -> None:
    edge = client(tmp_path, waiting_max=2)
    waiting = [asyncio.ensure_future(cancel(edge, number, prefer="wait=30")) for number in range(2)]
    await until(lambda: len(edge.answers._expected) == 2)
    check_away(await cancel(edge, 2, prefer="wait=30"), 429, "too_many_waiting")
    assert len(edge.kept.records) == 2, "what was sent away was not published"
    assert (await cancel(edge, 3)).status_code == 202, "who does not wait is taken"
    edge.answers.release()
    assert [(await one).status_code for one in waiting] == [202] * 2


async def test_a_broker_that_is_not_there_is_told_and_tried_by_one_at_a_time(tmp_path: Path) -> None:
    edge = client(tmp_path)
    gate = Gate(edge.kept)
    gate.open.set()
    gate.error = "no broker"
    check_away(await cancel(edge, 1), 503, "broker_unavailable")
    gate.open.clear()
    trying = asyncio.ensure_future(cancel(edge, 2))
    await until(lambda: gate.under_way == 1)
    check_away(await cancel(edge, 3), 503, "broker_unavailable")
    assert gate.under_way == 1
    gate.error = ""
    gate.open.set()
    assert (await trying).status_code == 202
    gate.open.clear()
    both = [asyncio.ensure_future(cancel(edge, number)) for number in (4, 5)]
    await until(lambda: gate.under_way == 2)
    gate.open.set()
    assert [(await one).status_code for one in both] == [202, 202]


async def test_a_keyring_that_is_not_there_is_told_before_anything_is_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    edge = client(tmp_path)

    async def gone(*_: Any) -> Any:
        raise ConnectionRefusedError("5432")

    monkeypatch.setattr(edge.keyring, "seal_many", gone)
    check_away(await edge.call("POST", "/v1/orders/batch", {"orders": [{}]}), 503, "store_unavailable")
    assert edge.kept.records == []


async def test_who_asks_a_database_that_is_not_there_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    edge = client(tmp_path)

    async def gone(*_: Any) -> Any:
        raise Unavailable("ConnectionRefusedError: secret.host:5432")

    monkeypatch.setattr(edge.answers._log, "answer", gone)
    answer = await cancel(edge, 1, prefer="wait=5")
    assert answer.status_code == 202, "the command is stored, only its outcome cannot be told"
    assert len(edge.kept.records) == 1


def limited(
    bytes_max: int, requests_max: int, *, seconds_max: float = 30.0, **more: int
) -> tuple[FastAPI, asyncio.Event, list[str]]:
    """An application behind both limits: /echo reads its body, /slow notes that it began and waits."""
    app, event, begun = FastAPI(), asyncio.Event(), list[str]()
    problems.install(app, 7)
    app.add_middleware(BodyLimit, bytes_max=bytes_max, seconds_max=seconds_max)
    chosen = Settings(
        body_bytes_max=bytes_max, requests_max=requests_max, retry_after_seconds=7, **cast(Any, more)
    )
    app.add_middleware(RequestLimit, service="test", settings=chosen)

    @app.post("/echo")
    async def echo(body: dict[str, Any]) -> dict[str, Any]:
        return body

    @app.post("/raw")
    async def raw(request: Request) -> int:
        return len(await request.body())

    @app.post("/slow")
    async def slow() -> str:
        begun.append("slow")
        await event.wait()
        return "done"

    @app.get("/livez")
    async def livez() -> str:
        return "alive"

    @app.get("/down")
    async def down() -> str:
        raise Unavailable("ConnectionRefusedError: secret.host:5432")

    return app, event, begun


def test_stages_and_console_are_behind_both_limits() -> None:
    for app in (
        Console(Settings(), NoOpTracer()).app,
        StageService(STAGE, lambda _: APIRouter(), None, None, Settings(), NoOpTracer()).app,
    ):
        assert {RequestLimit, BodyLimit} <= {found.cls for found in app.user_middleware}


def caller(app: FastAPI) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://edge")


async def chunks(count: int) -> AsyncIterator[bytes]:
    yield b'{"a":"'
    for _ in range(count):
        yield b"x" * 100
    yield b'"}'


@pytest.mark.parametrize("path", ["/echo", "/raw"])
async def test_a_body_without_a_length_is_cut_off_with_413(path: str) -> None:
    app, _, _ = limited(1_000, 10)
    headers = {"content-type": "application/json"}
    async with caller(app) as http:
        fits = await http.post(path, content=chunks(9), headers=headers)
        assert fits.status_code == 200
        answer = await http.post(path, content=chunks(10), headers=headers)
    assert answer.status_code == 413
    assert answer.json()["type"] == "urn:orderlog:problem:too_large"


async def some_and_no_more(gone: asyncio.Event) -> AsyncIterator[bytes]:
    yield b'{"a":"'
    await gone.wait()


@pytest.mark.parametrize("path", ["/echo", "/raw"])
async def test_a_body_that_does_not_come_is_not_waited_for_and_leaves_its_place(path: str) -> None:
    app, _, _ = limited(1_000, 1, seconds_max=0.05)
    gone = asyncio.Event()
    async with caller(app) as http:
        answer = await http.post(
            path, content=some_and_no_more(gone), headers={"content-type": "application/json"}
        )
        assert answer.status_code == 408
        assert answer.json()["type"] == "urn:orderlog:problem:too_slow"
        assert (await http.post("/echo", json={})).status_code == 200
    gone.set()


async def test_who_listens_for_the_client_to_go_may_do_so_longer() -> None:
    comes, heard = asyncio.Queue[AsgiMessage](), list[AsgiMessage]()

    async def listening(_: Scope, receive: Receive, __: Send) -> None:
        heard.extend([await receive(), await receive()])

    async def unused(_: AsgiMessage) -> None:
        raise AssertionError("nothing is answered")

    listens = asyncio.ensure_future(
        BodyLimit(listening, 10, 0.01)({"type": "http", "headers": []}, comes.get, unused)
    )
    comes.put_nowait({"type": "http.request", "body": b"x", "more_body": False})
    await asyncio.wait([listens], timeout=0.05)
    comes.put_nowait({"type": "http.disconnect"})
    await listens
    assert [message["type"] for message in heard] == ["http.request", "http.disconnect"]


async def test_requests_at_once_are_bounded_and_probes_pass() -> None:
    app, event, begun = limited(1_000, 2)
    async with caller(app) as http:
        slow = [asyncio.ensure_future(http.post("/slow", content=b"x" * 400)) for _ in range(2)]
        await until(lambda: len(begun) == 2)
        check_away(await http.post("/echo", json={}), 429, "too_many_requests")
        assert (await http.get("/livez")).status_code == 200
        event.set()
        assert [(await one).status_code for one in slow] == [200, 200]
        assert (await http.post("/echo", json={})).status_code == 200


@pytest.mark.parametrize("body", [b"x" * 300, chunks(1)], ids=["announced", "chunked"])
async def test_their_bodies_are_bounded_together(body: bytes | AsyncIterator[bytes]) -> None:
    app, event, begun = limited(1_000, 100, requests_bytes_max=1_000)
    async with caller(app) as http:
        slow = [asyncio.ensure_future(http.post("/slow", content=b"x" * 400)) for _ in range(2)]
        await until(lambda: len(begun) == 2)
        check_away(await http.post("/raw", content=body), 429, "too_many_requests")
        assert (await http.post("/raw", content=b"x" * 200)).status_code == 200
        event.set()
        assert [(await one).status_code for one in slow] == [200, 200]
        assert (await http.post("/raw", content=chunks(1))).status_code == 200


async def test_a_database_that_is_not_there_is_no_fault_of_ours() -> None:
    app, _, _ = limited(1_000, 10)
    async with caller(app) as http:
        answer = await http.get("/down")
    check_away(answer, 503, "store_unavailable")
    assert "secret.host" not in answer.text
