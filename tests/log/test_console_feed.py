"""The query API's habits: fields, ETags, one's own writes, and the feed of events with its resumption."""

import asyncio
from pathlib import Path
from typing import Any

import asyncpg
import orjson
import pytest

from libs.runtime.problems import Problem
from services.console.feed import Feed, read_told, write_told
from services.console.queries import Queries
from services.console.store import Projector
from tests.console_database import console_dsn
from tests.console_lives import delivered
from tests.console_parts import envelopes
from tests.log.test_console_api import Api, api, fill, from_topics, pool, published

__all__ = ["api", "console_dsn", "pool"]


async def test_a_row_has_the_fields_that_were_asked_for(api: Api) -> None:
    page = await api.get("/v1/orders", fields="order_id, status", limit=2)
    assert [set(row) for row in page["orders"]] == [{"order_id", "status"}] * 2
    assert page["next"]
    order = await api.get("/v1/orders/o-0", fields="lines,holds")
    assert set(order) == {"lines", "holds"}
    assert "order_id" in (await api.get("/v1/orders", 422, fields="nonsense"))["next_step"]
    await api.get("/v1/orders/o-0", 422, fields=" ,")


async def test_what_one_has_already_is_not_sent_again(api: Api) -> None:
    async def ask(etag: str = "") -> Any:
        headers = {"Authorization": f"Bearer {api.gate.token()}"} | ({"If-None-Match": etag} if etag else {})
        return await api.client.get("/v1/orders/o-0", headers=headers)

    first = await ask()
    again = await ask(first.headers["etag"])
    assert (again.status_code, again.content) == (304, b"")
    assert (await ask(f'"x", W/{first.headers["etag"]}')).status_code == 304
    assert (await ask('"x"')).status_code == 200


async def test_one_reads_ones_own_write(api: Api, pool: asyncpg.Pool) -> None:
    async def ask(version: str) -> Any:
        headers = {"Authorization": f"Bearer {api.gate.token()}"}
        return await api.client.get("/v1/orders/o-0", params={"min-version": version}, headers=headers)

    reached = len(published()["intake"])
    assert (await ask(f"intake/0/{reached}")).status_code == 200
    refused = await ask(f"intake/0/{reached + 1}")
    assert (refused.status_code, refused.json()["status"]) == (409, 409)
    assert refused.json()["type"].endswith("not_yet_projected")
    for wrong in ("nonsense", "intake/0/-1", "nobody/0/1", "intake/0/1'"):
        assert (await ask(wrong)).status_code == 422


async def test_an_order_just_submitted_is_waited_for(api: Api, pool: asyncpg.Pool) -> None:
    headers = {"Authorization": f"Bearer {api.gate.token()}", "Prefer": "wait=5"}
    asked = asyncio.create_task(api.client.get("/v1/orders/late", headers=headers))
    first = len(published()["intake"]) + 1
    events = envelopes("intake", delivered("late")["intake"], first=first)
    projector = Projector(pool)
    places = await projector.positions([("oms.intake.events", 0)])
    offset = places["oms.intake.events", 0]
    await projector.apply(events, {("oms.intake.events", 0): (offset, offset + len(events))})
    answer = await asked
    assert answer.status_code == 200
    await fill(pool)


async def test_the_feed_tells_every_event_of_the_tenant_once_page_by_page(api: Api) -> None:
    told: list[tuple[str, int]] = []
    after = None
    for _ in range(1000):
        page = await api.get("/v1/events", limit=7, **({"after": after} if after else {}))
        told += [(event["stage"], event["sequence"]) for event in page["events"]]
        after = page["next"]
        if not page["more"]:
            break
    assert sorted(told) == sorted(
        (stage, event.sequence) for stage, events in published().items() for event in events
    )
    assert (await api.get("/v1/events", limit=7, after=after))["next"] == after
    assert (await api.get("/v1/events", tenant="other"))["events"] == []
    for wrong in ("x", "W10", "bm9uc2Vuc2U"):
        await api.get("/v1/events", 400, after=wrong)


async def first(stream: Any) -> list[tuple[str, dict[str, Any]]]:
    """The first batch of a stream that has events: id and data of each."""
    async with asyncio.timeout(10):
        async for batch in stream:
            if not batch.startswith(b":"):
                ids = [line[4:].decode() for line in batch.split(b"\n") if line.startswith(b"id: ")]
                bodies = [line[6:] for line in batch.split(b"\n") if line.startswith(b"data: ")]
                return [(ids[-1], orjson.loads(body)) for body in bodies]
    raise AssertionError("the stream ended")


async def test_a_stream_goes_on_where_it_was_left(api: Api, pool: asyncpg.Pool, tmp_path: Path) -> None:
    feed = Feed(Queries(pool), from_topics)
    batch = await first(feed.order_stream("acme", "o-0", {}))
    assert {event["stage"] for _, event in batch} >= {"intake", "inventory", "routing", "fulfillment"}
    told = read_told(batch[-1][0])
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.6):
            await first(feed.order_stream("acme", "o-0", told))
    last = max(event["sequence"] for _, event in batch if event["stage"] == "fulfillment")
    earlier = {**told, ("fulfillment", 0): last - 1}
    assert len(await first(feed.order_stream("acme", "o-0", earlier))) == 1
    assert read_told(write_told(told)) == told
    tenant = await first(feed.stream("acme", {}))
    assert len({(event["stage"], event["sequence"]) for _, event in tenant}) == len(tenant) > 50


async def test_streams_are_bounded(pool: asyncpg.Pool) -> None:
    feed = Feed(Queries(pool), from_topics)
    feed._streams = 10_000
    with pytest.raises(Problem, match="serves"):
        feed.make_room()


async def test_a_stream_tells_every_event_of_an_order_that_has_more_than_a_page(
    pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.console.feed.ORDER_EVENTS_MAX", 7)
    queries = Queries(pool)
    timeline = await queries.timeline("acme", "o-1", None, 1000)
    asked, reading = list[int](), Queries.events_of_lanes

    async def noted(of: Queries, *given: Any) -> Any:
        asked.append(len(given[2]))
        return await reading(of, *given)

    monkeypatch.setattr(Queries, "events_of_lanes", noted)
    told: list[tuple[str, int]] = []
    stream = Feed(queries, from_topics).order_stream("acme", "o-1", {})
    async with asyncio.timeout(20):
        async for batch in stream:
            events = [orjson.loads(line[6:]) for line in batch.split(b"\n") if line.startswith(b"data: ")]
            told += [(event["stage"], event["sequence"]) for event in events]
            if len(told) >= len(timeline):
                break
    assert sorted(told) == sorted((entry["stage"], entry["sequence"]) for entry in timeline)
    assert len(told) > 7
    resumed = await first(Feed(queries, from_topics).order_stream("acme", "o-1", {}))
    assert len(resumed) == 7
    places, before = await queries.heard(), len(asked)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.6):
            await first(Feed(queries, from_topics).order_stream("acme", "o-1", places))
    assert len(asked) == before, "what has not moved is not read again"
