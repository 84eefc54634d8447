"""Each route, asked for with all that it takes, by who may, by another tenant, by who sees other nodes only.

What is sent is good: whoever may is answered that the stage is silent, or with what was asked for. So what
another gets is a refusal of theirs, not of what they sent.
"""

from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
import pytest_asyncio

from services.console.feed import Feed
from services.console.queries import Queries
from services.console.store import Projector
from tests.console_database import console_dsn, pool
from tests.console_site import HTML, People, Person, add_api, bearer, people
from tests.log.test_console_access import FORBIDDEN_MARKS, LOOKS, OPEN_PREFIXES, OPEN_TO_ALL, marks, walk
from tests.log.test_console_api import from_topics, published
from tests.log.test_console_store import feed

__all__ = ["console_dsn", "people", "pool"]

SINCE = "2026-03-02T09:00:00+00:00"
_DIFFERENCE = f"""INSERT INTO live.stock_items (tenant, sku, item, kind, units, opened_at, node, why)
    VALUES ('acme', 'A', 'count_held/p-1', 'count_held', 3, '{SINCE}', 'LON', 'A count differs.'),
        ('acme', 'A', 'lot_recalled/l-1', 'lot_recalled', 3, '{SINCE}', 'LON', 'A lot is recalled.')"""  # noqa: S608 - ours
OF_ORDER: dict[str, dict[str, Any]] = {
    "/orders/o-0/cancel-lines": {"units": "1:1", "note": "too many"},
    "/orders/o-0/amend": {"service": "express", "note": "in a hurry"},
    "/orders/o-0/amend/confirm": {"service": "express", "note": "in a hurry"},
    "/orders/o-0/holds": {"hold": "fraud_review", "note": "looks odd"},
    "/orders/o-0/notes": {"text": "Called."},
    "/orders/o-0/cancel": {"note": "asked to"},
    "/orders/o-0/holds/payment/release": {"note": "paid"},
    "/orders/o-0/contact": {"why": "called back"},
    "/orders/o-0/link": {},
    "/orders/o-0/return": {"attempt": str(uuid4()), "units": "1:1", "note": "too big"},
    "/orders/o-0/returns/o-0-R1/receive": {
        "node": "LON",
        "attempt": str(uuid4()),
        "came": "1:restock:1",
        "note": "whole",
    },
    "/orders/o-0/review/1": {"node": "LON", "note": "worth it"},
    "/exceptions/review/approve": {"order_id": "o-0", "round": "1", "why": "worth it"},
    "/exceptions/hold/release": {"order_id": "o-0", "hold": "payment", "why": "paid"},
} | {
    f"/exceptions/{verb}": {"order_id": "o-0", "item": "failed_message/o-0-M2", "why": "Called."}
    for verb in ("take", "give_back", "snooze", "resolve")
}
"""What is posted about an order of acme's, at LON alone."""
OF_STOCK: dict[str, dict[str, Any]] = {
    "/exceptions/stock/approve": {"sku": "A", "item": "count_held/p-1", "why": "counted"},
    "/exceptions/stock/reject": {"sku": "A", "item": "count_held/p-1", "why": "counted"},
    "/exceptions/stock/release": {"sku": "A", "item": "lot_recalled/l-1", "why": "tested"},
} | {
    f"/exceptions/stock/care/{verb}": {"sku": "A", "item": "count_held/p-1", "since": SINCE, "why": "later"}
    for verb in ("take", "give_back", "snooze", "resolve")
}
"""About stock of acme's, at LON."""
_RULE = {"kind": "lost", "based_on": "0", "asked": str(uuid4()), "why": "a while"}
OF_TENANT: dict[str, dict[str, Any]] = {
    "/exceptions/rules/change": {**_RULE, "owner": "platform", "after_minutes": "1", "sla_minutes": "2"},
    "/exceptions/rules/drop": _RULE,
}
"""About what each tenant has of its own: everybody is heard, for theirs."""
ELSEWHERE = {
    "/orders/bulk/release": "each order has an answer of its own",
    "/orders/bulk/cancel": "each order has an answer of its own",
    "/platform/{stage}/{verb}": "its key names the tenant",
    "/exceptions/parked/care/{verb}": "tests/log/test_console_parked.py",
    "/exceptions/feed/care/{verb}": "tests/log/test_console_supply_items.py",
    "/platform/rebuild": "of no tenant; tests/log/test_console_rebuild_page.py",
    "/orders/views": "one's own; tests/log/test_console_order_pages.py",
    "/orders/views/delete": "one's own; tests/log/test_console_order_pages.py",
}
PAGES_OF_ORDER = (
    *("/orders/o-0", "/parts/orders/o-0", "/orders/o-0/events", "/orders/o-0/events/intake/0/1"),
    *("/orders/o-0/change", "/orders/o-0/cancel-lines?units-1=1", "/orders/o-0/cancel"),
    *("/orders/o-0/holds/payment/release", "/orders/o-0/review/1", "/orders/o-0/returns/o-0-R1"),
    *("/orders/o-0/return", "/orders/o-0/return/preview?units-1=1"),
    "/orders/o-0/returns/o-0-R1/receive?restock-1=1&node=LON",
)
PAGES_OF_SKU = ("/stock/A", "/stock/A?part=true", "/parts/stock/A/claims")
LISTS = (
    *("/", "/parts/today", "/orders", "/orders?q=lantern", "/orders?node=LON", "/orders.csv"),
    *("/orders?customer=17850", "/orders?sku=A", "/orders?external_id=X-o-0", "/stock", "/stock?sku=A"),
    *("/exceptions", "/exceptions?part=true", "/exceptions/rules"),
    *("/exceptions/rules/change?kind=lost&owner=support&after_minutes=1&sla_minutes=2",),
    *("/delays?from=2026-03-01&to=2026-03-20", "/measures?by=node&from=2026-03-01&to=2026-03-20"),
    *("/platform", "/parts/platform", "/platform/rebuild", "/serials?number=S-1"),
    "/access",
)
API_OF_ORDER = (
    *("/v1/orders/o-0", "/v1/orders/o-0/timeline", "/v1/stock/A"),
    "/v1/orders/o-0/amendment?country=CH&service=express",
)
API_LISTS = (
    *("/v1/orders", "/v1/orders?q=lantern", "/v1/orders?node=LON", "/v1/orders?external_id=X-o-0"),
    *("/v1/events?limit=200", "/v1/stock", "/v1/reservations", "/v1/reservations?order_id=o-0"),
    *("/v1/exceptions", "/v1/exceptions/rules", "/v1/measures?by=channel&from=2026-03-01&to=2026-03-20"),
    *("/v1/delays?by=node&from=2026-03-01&to=2026-03-20", "/v1/metrics", "/v1/summary"),
    "/v1/feeds",
)
STREAMS = {"/live", "/v1/orders/{order_id}/stream", "/v1/events/stream"}
"""They have no end."""


@pytest_asyncio.fixture
async def served(people: People, pool: asyncpg.Pool) -> AsyncIterator[People]:
    """Pages and API over acme's orders, its stock and what is the matter with it."""
    await feed(Projector(pool), published())
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("SET LOCAL orderlog.projector = 'on'")
        await connection.execute(_DIFFERENCE)
    add_api(people, from_topics)
    yield people


async def post(person: Person, path: str, form: dict[str, Any]) -> tuple[int, str]:
    answer = await person.client.post(path, data={"csrf": person.csrf, **form}, headers=HTML)
    return answer.status_code, answer.text


def served_at(asked: str, route: Any) -> bool:
    """Whether a route serves what is asked for."""
    return route.path_regex.match(asked.partition("?")[0]) is not None


def test_no_route_is_left_out(people: People) -> None:
    add_api(people, from_topics)
    posted = [*OF_ORDER, *OF_STOCK, *OF_TENANT]
    looked = [*PAGES_OF_ORDER, *LISTS, *PAGES_OF_SKU, *API_OF_ORDER, *API_LISTS]
    left = []
    for route in walk(people.app.routes):
        if route.path in {*OPEN_TO_ALL, *ELSEWHERE, *STREAMS} or route.path.startswith(OPEN_PREFIXES):
            continue
        for method in route.methods or ():
            asked = looked if method in LOOKS else posted
            if not any(served_at(one, route) for one in asked):
                left.append((method, route.path))
    assert left == []


@pytest.mark.parametrize("path", [*OF_ORDER, *OF_STOCK])
async def test_who_sees_what_it_is_about_alone_changes_it(served: People, path: str) -> None:
    form = (OF_ORDER | OF_STOCK)[path]
    for nodes in (None, ("LON",)):
        status, text = await post(await served.sign_in("admin", nodes=nodes), path, form)
        of_network = path == "/exceptions/stock/release" and nodes
        assert of_network or status in (200, 303) or "does not answer" in text, (path, nodes, status, text)
    for person in (
        await served.sign_in("admin", "rival"),
        await served.sign_in("admin", nodes=("MAN",)),
        await served.sign_in("admin", nodes=()),
    ):
        status, text = await post(person, path, form)
        assert status == 404, (path, status, text)
        assert marks(text, person, "o-0") == [], path


@pytest.mark.parametrize("path", OF_TENANT)
async def test_what_a_tenant_has_of_its_own_is_changed_by_its_people(served: People, path: str) -> None:
    for tenant in ("acme", "rival"):
        status, text = await post(await served.sign_in("admin", tenant), path, OF_TENANT[path])
        assert (status, "Intake does not answer" in text) == (409, True), text


async def test_many_at_once_are_those_that_one_sees(served: People) -> None:
    for action in ("release", "cancel"):
        form = {"order_id": ["o-0", "m-3"], "confirmed": "true", "note": "asked to"}
        for nodes, tenant in ((None, "rival"), (("MAN",), "acme")):
            person = await served.sign_in("admin", tenant, nodes)
            status, text = await post(person, f"/orders/bulk/{action}", form)
            assert (status, text.count("No such order.")) == (200, 2)
        status, text = await post(await served.sign_in("admin"), f"/orders/bulk/{action}", form)
        assert (status, "No such order." in text) == (200, False)


async def test_a_parked_key_is_settled_by_its_tenant(served: People) -> None:
    form = {"key": "acme/o-0", "note": "mended"}
    status, text = await post(await served.sign_in("admin"), "/platform/intake/replay", form)
    assert (status, "does not answer" in text) == (409, True)
    assert (await post(await served.sign_in("admin", "rival"), "/platform/intake/replay", form))[0] == 403


async def test_pages_of_an_order_are_for_who_sees_it(served: People) -> None:
    mine = [await served.sign_in("admin"), await served.sign_in("admin", nodes=("LON", "MAN"))]
    others = [await served.sign_in("admin", "rival"), await served.sign_in("admin", nodes=("MAN",))]
    for path in PAGES_OF_ORDER:
        for person in mine:
            await person.get(path)
        for person in others:
            text = (await person.get(path, 404)).replace(path.partition("?")[0], "")
            assert "17850" not in text
            assert "Lantern" not in text


async def test_an_article_is_shown_to_who_has_stock_of_it(served: People) -> None:
    for path in PAGES_OF_SKU:
        assert "17850" not in await (await served.sign_in("admin")).get(path)
        await (await served.sign_in("admin", "rival")).get(path, 404)
        await (await served.sign_in("admin", nodes=("nowhere",))).get(path, 404)


async def test_lists_show_nothing_of_another_tenants_or_of_other_nodes(served: People) -> None:
    mine = await served.sign_in("admin")
    drawn = "".join([await mine.get(path) for path in LISTS])
    assert all(mark in drawn for mark in ("o-0", "X-o-0", "17850"))
    for person in (await served.sign_in("admin", "rival"), await served.sign_in("admin", nodes=("nowhere",))):
        for path in LISTS:
            text = await person.get(path)
            assert marks(text, person, 'value="17850"', "customer=17850") == [], path


async def test_programs_of_another_tenant_read_nothing(served: People) -> None:
    client = await served.browser()
    mine, theirs = bearer(served, "integrator"), bearer(served, "admin", "rival")
    for path in (*API_OF_ORDER, *API_LISTS):
        seen = await client.get(path, headers=mine)
        assert seen.status_code == 200, (path, seen.text)
        answer = await client.get(path, headers=theirs)
        assert answer.status_code == (404 if path in API_OF_ORDER else 200), path
        text = answer.text.replace(path.partition("?")[0], "").replace("o-0 has not", "")
        assert not any(mark in text for mark in FORBIDDEN_MARKS), path
    assert "o-0" in (await client.get("/v1/events?limit=200", headers=mine)).text


async def test_streams_of_another_tenant_tell_nothing(
    served: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.console.feed._BEAT_SECONDS", 0.0)
    monkeypatch.setattr("services.console.feed._POLL_SECONDS", 0.0)
    for tenant, tells in (("rival", False), ("acme", True)):
        told = Feed(served.site.everything, from_topics)
        for stream in (told.order_stream(tenant, "o-0", {}), told.stream(tenant, {})):
            batches = [await anext(stream) for _ in range(2)]
            await stream.aclose()
            assert any(b"data: " in batch for batch in batches) is tells, tenant


async def test_an_orders_events_by_lane_are_its_tenants(served: People) -> None:
    everything = [(stage, 0, 0, 1000) for stage in published()]
    queries: Queries = served.site.everything
    assert await queries.events_of_lanes("acme", "o-0", everything, 100)
    assert await queries.events_of_lanes("rival", "o-0", everything, 100) == []
    assert await queries.within(["MAN"]).events_of_lanes("acme", "o-0", everything, 100) == []
