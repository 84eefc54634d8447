"""Every figure is a link to its list, and the list has as many rows as the figure says."""

import html
import re
from collections.abc import AsyncIterator
from datetime import date
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from services.console.store import Projector
from tests.console_database import by_stage, console_dsn, pool
from tests.console_lives import LIVES
from tests.console_promises import cut, dated
from tests.console_site import People, Person, add_api, bearer, no_records, people
from tests.log.test_console_api import published
from tests.log.test_console_store import feed

__all__ = ["console_dsn", "people", "pool"]

PERIOD: dict[str, Any] = {"from": "2026-03-01", "to": "2026-03-20"}
_ORDERS = re.compile(r'<td><a href="/orders/([a-z0-9-]+)">')


@pytest_asyncio.fixture
async def person(people: People, pool: asyncpg.Pool) -> AsyncIterator[Person]:
    """A viewer of orders of all kinds, two of them promised for a day, of which one is over."""
    lives = [life(f"o-{n}") for n, life in enumerate(LIVES.values())]
    promised = [cut(dated("late-0", date(2026, 3, 4)), 3), cut(dated("fine-0", date(2999, 3, 2)), 3)]
    topics = by_stage(*lives, *promised)
    await feed(Projector(pool), topics)
    add_api(people, no_records)
    yield await people.sign_in("viewer")


async def listed(person: Person, link: str) -> int:
    return len(_ORDERS.findall(await person.get(html.unescape(link))))


async def test_what_is_overdue_is_a_list_of_so_many(person: Person, people: People) -> None:
    figures = re.findall(r'href="([^"]+)" data-overdue="(\w+) (\w+)">(\d+)<', await person.get("/"))
    assert figures
    client = await people.browser()
    for link, owner, kind, count in figures:
        drawn = await person.get(html.unescape(link))
        assert drawn.count("<tr data-item=") == drawn.count('class="bad">overdue') == int(count), kind
        asked = {"owner": owner, "kind": kind, "overdue": "true"}
        told = (await client.get("/v1/exceptions", params=asked, headers=bearer(people))).json()
        assert [one["overdue"] for one in told["exceptions"]] == [True] * int(count)
    shown = await person.get("/exceptions", overdue="true")
    assert 'value="true" selected' in shown
    assert "overdue=true" in shown, "the part that follows asks for the same"


async def test_open_orders_with_a_promise_are_a_list(person: Person) -> None:
    drawn = await person.get("/")
    [(link, count)] = set(re.findall(r'of <a href="([^"]+)" data-promised>(\d+) open with', drawn))
    assert await listed(person, link) == int(count) == 2
    assert "that were promised for a day" in await person.get(link)


@pytest.mark.parametrize("by", ["all", "day", "channel", "node"])
async def test_orders_that_are_measured_are_listed(person: Person, by: str) -> None:
    drawn = await person.get("/measures", by=by, **PERIOD)
    figures = re.findall(r'data-figure="(accepted|shipped|delivered)"><a href="([^"]+)">(\d+)</a>', drawn)
    assert {name for name, *_ in figures} == {"accepted", "shipped", "delivered"}
    for name, link, count in figures:
        assert await listed(person, link) == int(count), (name, link)


async def test_every_hour_of_the_day_is_in_the_table(people: People, pool: asyncpg.Pool) -> None:
    await feed(Projector(pool), published())
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("SET LOCAL orderlog.projector = 'on'")
        await connection.execute(
            "UPDATE live.orders SET confirmed_at = now() - interval '1 hour'"
            " * split_part(order_id, '-', 2)::int WHERE order_id LIKE 'm-%'"
        )
    drawn = await (await people.sign_in("viewer")).get("/")
    table = drawn[drawn.index('aria-label="Orders by hour"') :]
    table = table[: table.index("</table>")]
    assert table.count("<tr><td>") == 20
