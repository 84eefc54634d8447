"""What the query API promises of each answer: its fields, its ETag, whom it lets in, and nothing older."""

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from services.console.store import Projector
from services.console.web.roles import ROLES
from tests.console_database import console_dsn, pool
from tests.console_site import People, add_api, bearer, people
from tests.log.test_console_api import from_topics, published
from tests.log.test_console_store import feed

__all__ = ["console_dsn", "people", "pool"]

PERIOD = "from=2026-03-01&to=2026-03-20"
ROWS = {
    "/v1/orders": "order_id,status",
    "/v1/orders/o-0/timeline": "at,sentence",
    "/v1/events": "event_id,type",
    "/v1/stock": "sku,at_work",
    "/v1/reservations": "order_id,wanted",
    "/v1/exceptions": "order_id,overdue",
    f"/v1/measures?by=day&{PERIOD}": "slice,fill_rate",
    f"/v1/delays?by=node&{PERIOD}": "slice,whole",
}
"""Lists, and fields that their rows have. The member that holds them is named as the path ends."""
DOCUMENTS = {
    "/v1/orders/o-0": "status,lines",
    "/v1/stock/A": "sku,free",
    "/v1/exceptions/rules": "version,rules",
    "/v1/summary": "orders,by_status",
    f"/v1/metrics?{PERIOD}": "today,measures",
}
VERSIONED = [
    *("/v1/orders", "/v1/orders/o-0", "/v1/orders/o-0/timeline", "/v1/stock", "/v1/stock/A"),
    *("/v1/reservations", "/v1/exceptions", "/v1/exceptions/rules"),
]


@pytest_asyncio.fixture
async def served(people: People, pool: asyncpg.Pool) -> AsyncIterator[People]:
    await feed(Projector(pool), published())
    add_api(people, from_topics)
    yield people


async def ask(people: People, path: str, role: str = "viewer", etag: str = "", **query: Any) -> Any:
    headers = bearer(people, role) | ({"If-None-Match": etag} if etag else {})
    url = path + ("&" if "?" in path else "?") + "&".join(f"{name}={value}" for name, value in query.items())
    return await (await people.browser()).get(url, headers=headers)


@pytest.mark.parametrize("path", [*ROWS, *DOCUMENTS])
async def test_an_answer_has_the_fields_that_were_asked_for_and_is_not_sent_twice(
    served: People, path: str
) -> None:
    fields = (ROWS | DOCUMENTS)[path]
    answer = await ask(served, path, fields=fields)
    assert answer.status_code == 200, answer.text
    document = answer.json()
    kind = path.partition("?")[0].rpartition("/")[2]
    told = document[kind] if path in ROWS else [document]
    assert told
    assert all(set(row) <= set(fields.split(",")) for row in told)
    assert set().union(*told) >= set(fields.split(",")) - {"at_work"}, "only what is allocated has that"
    assert (await ask(served, path, fields="nonsense")).json()["type"].endswith(":unknown_field")
    answered = []
    for _ in range(2):  # a minute may end between two
        etag = (await ask(served, path)).headers["ETag"]
        answered.append((await ask(served, path, etag=etag)).status_code)
    assert 304 in answered
    assert (await ask(served, path, etag='"another"')).status_code == 200


@pytest.mark.parametrize("path", [*ROWS, *DOCUMENTS])
async def test_a_token_may_read_what_its_role_may_read_in_the_console(served: People, path: str) -> None:
    for role in (*ROLES, "integrator"):
        assert (await ask(served, path, role)).status_code == 200, role
    assert (await ask(served, path, "scanner")).status_code == 403


@pytest.mark.parametrize("path", VERSIONED)
async def test_nothing_older_than_ones_own_write_is_answered(served: People, path: str) -> None:
    reached = len(published()["inventory"])
    assert (await ask(served, path, **{"min-version": f"inventory/0/{reached}"})).status_code == 200
    early = await ask(served, path, **{"min-version": f"inventory/0/{reached + 1}"})
    assert early.json()["type"].endswith(":not_yet_projected")


async def test_the_queue_asked_for_again_a_moment_later_has_not_changed(served: People) -> None:
    first, second = [await ask(served, "/v1/exceptions") for _ in range(2)]
    assert first.json()["as_of"] < second.json()["as_of"]
    assert first.headers["ETag"] == second.headers["ETag"]
    assert first.headers["ETag"].startswith("W/"), "it is the same, but not to the byte"
