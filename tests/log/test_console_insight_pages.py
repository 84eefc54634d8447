"""The pages of exceptions, delays, measures and stock, and their API, over a real PostgreSQL."""

import html
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
import pytest_asyncio
from fastapi import FastAPI

from libs.events.exception_rules import ExceptionRuleChanged
from libs.runtime import problems
from libs.runtime.load import Load
from libs.runtime.routers import add_routes
from services.console.own_writes import OwnWrites
from services.console.queries import Queries
from services.console.store import Projector
from services.console.web import insight_api
from services.console.web.freshness import Stand
from tests.console_counts import stocktaking
from tests.console_database import by_stage, console_dsn, pool
from tests.console_lives import LIVES
from tests.console_parts import envelopes
from tests.console_site import People, people
from tests.log.test_console_api import Api, Gate, published
from tests.log.test_console_store import feed

__all__ = ["console_dsn", "people", "pool"]

PERIOD: dict[str, Any] = {"from": "2026-03-01", "to": "2026-03-20"}


@pytest_asyncio.fixture
async def filled(people: People, pool: asyncpg.Pool) -> AsyncIterator[People]:
    await feed(Projector(pool), published())
    yield people


@pytest_asyncio.fixture
async def api(filled: People, pool: asyncpg.Pool, tmp_path: Path) -> AsyncIterator[Api]:
    app, gate = FastAPI(), Gate(tmp_path)
    problems.install(app)
    queries = Queries(pool)
    own_writes = OwnWrites(queries, Load("console", gate.settings), 5.0)
    add_routes(app, insight_api.routes(gate, queries, own_writes))
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://console.test") as client:
        yield Api(client, gate)


async def test_the_queue_page_by_page(api: Api) -> None:
    pages = await api.pages("/v1/exceptions", "exceptions", limit=1)
    whole = await api.get("/v1/exceptions", limit=200)
    assert [row["item"] for page in pages for row in page] == [row["item"] for row in whole["exceptions"]]
    [failed] = [row for row in whole["exceptions"] if row["kind"] == "failed_message"]
    assert (failed["order_id"], failed["owner"], failed["overdue"]) == ("o-0", "support", True)
    assert sum(row["open"] for row in whole["counts"]) == len(whole["exceptions"])
    assert (await api.get("/v1/exceptions", tenant="rival"))["exceptions"] == []


async def test_the_rules_as_programs_read_them(api: Api, pool: asyncpg.Pool) -> None:
    told = await api.get("/v1/exceptions/rules")
    assert (told["version"], told["changes"]) == (0, [])
    assert {rule["own"] for rule in told["rules"]} == {False}
    change = ExceptionRuleChanged(
        kind="lost", owner="platform", after_minutes=1, sla_minutes=2, version=1, note="A while."
    )
    known = published()["intake"]
    told_later = envelopes("intake", [change], first=len(known) + 1)
    await feed(Projector(pool), {"intake": known + told_later})
    told = await api.get("/v1/exceptions/rules")
    [lost] = [rule for rule in told["rules"] if rule["own"]]
    assert (lost["kind"], lost["owner"], lost["sla_minutes"]) == ("lost", "platform", 2)
    assert [(row["version"], row["actor"], row["note"]) for row in told["changes"]] == [
        (1, "ann", "A while.")
    ]
    assert (await api.get("/v1/exceptions/rules", tenant="rival"))["version"] == 0
    await api.get("/v1/exceptions/rules", 422, before="soon")


async def test_measures_and_delays_of_a_period(api: Api) -> None:
    found = await api.get("/v1/measures", **PERIOD)
    [row] = found["measures"]
    assert set(row) - {"slice", "broken_by"} == set(found["definitions"])
    [delays] = (await api.get("/v1/delays", by="carrier", **PERIOD))["delays"]
    assert (delays["slice"], delays["orders"]) == ("royal", row["delivered"])
    assert (await api.get("/v1/measures", tenant="rival", **PERIOD))["measures"] == []


async def test_metrics_are_the_figures_of_the_pages(api: Api, filled: People) -> None:
    found = await api.get("/v1/metrics", **PERIOD)
    measures = await api.get("/v1/measures", **PERIOD)
    assert found["measures"] == measures["measures"]
    today = found["today"]
    assert set(today) - {"since"} == set(found["definitions"]["today"])
    assert set(found["measures"][0]) - {"slice", "broken_by"} == set(found["definitions"]["measures"])
    drawn = await (await filled.sign_in("viewer")).get("/")
    shown = dict(re.findall(r'data-figure="([a-z_ ]+)">([\d,]+)<', drawn))
    for status, standing in today["by_status"].items():
        if status != "incoming":
            assert int(shown[status]) == standing["orders"], status
    assert {name: int(shown[name.replace("_", " ")]) for name in today["through"]} == today["through"]
    queue = re.findall(r'data-exceptions="(\w+) (\w+)">([\d,]+)<', drawn)
    assert queue == [
        (row["owner"], row["kind"], str(row["open"])) for row in today["exceptions"] if row["open"]
    ]
    assert queue
    assert (await api.get("/v1/metrics", tenant="rival", **PERIOD))["measures"] == []


async def test_metrics_of_a_day_a_channel_a_node(api: Api) -> None:
    whole = await api.get("/v1/metrics", by="day", **PERIOD)
    for row in whole["measures"]:
        [of_day] = (await api.get("/v1/metrics", day=row["slice"]))["measures"]
        assert of_day | {"slice": ""} == row | {"slice": ""}
    for by in ("channel", "node"):
        for row in (await api.get("/v1/metrics", by=by, **PERIOD))["measures"]:
            if row["slice"] == "?":
                continue
            filtered = await api.get("/v1/metrics", **PERIOD, **{by: row["slice"]})
            assert filtered["measures"][0] | {"slice": ""} == row | {"slice": ""}, (by, row["slice"])
            assert filtered[by] == row["slice"]
    none = await api.get("/v1/metrics", channel="nobody", node="NOWHERE", **PERIOD)
    assert none["measures"] == []
    assert none["today"]["by_status"] == {}
    assert none["today"]["exceptions"] == []
    await api.get("/v1/metrics", 422, day="2026-03-02", **PERIOD)


async def test_metrics_are_not_sent_twice(api: Api) -> None:
    bearer = {"Authorization": f"Bearer {api.gate.token()}"}
    answered = []
    for _ in range(2):  # a minute may end between two
        first = await api.client.get("/v1/metrics", params=PERIOD, headers=bearer)
        again = await api.client.get(
            "/v1/metrics", params=PERIOD, headers=bearer | {"If-None-Match": first.headers["ETag"]}
        )
        answered.append(again.status_code)
    assert 304 in answered


@pytest.mark.parametrize(
    "query",
    [
        {"from": "2026-03-20", "to": "2026-03-01"},
        {"from": "2020-01-01", "to": "2026-03-01"},
        {"from": "0001-01-01"},
        {"by": "colour"},
        {"from": "soon"},
    ],
)
@pytest.mark.parametrize("path", ["/v1/measures", "/v1/delays"])
async def test_what_is_no_period_is_refused(api: Api, path: str, query: dict[str, str]) -> None:
    await api.get(path, 422, **query)


async def test_a_broken_cursor_and_an_unknown_owner_are_refused(api: Api) -> None:
    await api.get("/v1/exceptions", 400, after="nonsense")
    await api.get("/v1/exceptions", 422, owner="the-king")


async def test_the_pages_lead_from_a_figure_to_its_orders(filled: People) -> None:
    person = await filled.sign_in("viewer")
    drawn = await person.get("/delays", by="carrier", of="royal", segment="pick", **PERIOD)
    assert "Longest in pick, royal" in drawn
    assert 'href="/orders/o-0"' in drawn
    assert "Perfect" in await person.get("/measures", by="day", **PERIOD)
    assert "inventory, who keeps it, does not tell it" in await person.get("/stock/A")
    assert 'href="/stock/A"' in await person.get("/stock", sku="A")
    await person.get("/stock/NOSUCH", 404)


async def test_the_page_tells_how_right_the_books_were(people: People, pool: asyncpg.Pool) -> None:
    await feed(Projector(pool), by_stage(LIVES["delivered"]("o-1"), {"inventory": stocktaking()}))
    person = await people.sign_in("viewer")
    drawn = await person.get("/measures", by="node", **PERIOD)
    assert re.findall(r'data-figure="counted_lines">(\d+)<', drawn) == ["6", "1"]
    assert re.findall(r'data-figure="count_accuracy">([^<]+)<', drawn) == ["33.3 %", "100.0 %"]
    assert re.findall(r'data-figure="net_variance_units">([^<]+)<', drawn) == ["-61", "0"]
    reasons = re.findall(r'data-variance="([^"]+)"', drawn)
    assert reasons == [
        "adjustment damaged",
        "count count",
        "count yearly",
        "snapshot wms",
        "adjustment found",
    ]
    assert drawn.index('href="/stock/D"') < drawn.index('href="/stock/A"')
    assert "A shelf is no channel" in await person.get("/measures", by="channel", **PERIOD)
    nobodys: dict[str, Any] = {"from": "2026-01-01", "to": "2026-01-03"}
    assert "and no stock counted" in await person.get("/measures", **nobodys)


async def test_each_pile_and_each_moment_is_a_list_of_so_many_orders(filled: People) -> None:
    person = await filled.sign_in("viewer")
    piles = re.findall(r'data-pile="[^"]*"><a href="([^"]+)">(\d+)<', await person.get("/delays", **PERIOD))
    assert piles
    for link, orders in piles:
        assert (await person.get(html.unescape(link))).count('<td><a href="/orders/') == int(orders)
    reached = "/orders?reached=confirmed&reached_from=2026-03-01T00:00:00Z&reached_to="
    everything = (await person.get(f"{reached}2026-03-20T00:00:00Z")).count('<td><a href="/orders/')
    assert everything > 0
    assert 'href="/orders/' not in await person.get(f"{reached}2026-03-01T00:00:00Z")
    await person.get("/orders?waits_in=nowhere", 422)
    await person.get("/orders?reached=confirmed&reached_to=soon", 422)


async def test_a_stage_that_is_not_there_is_told_and_nothing_is_changed(filled: People) -> None:
    person = await filled.sign_in("support")
    asked = {"order_id": "o-0", "item": "failed_message/o-0-M2"}
    assert "Intake does not answer" in await person.post("/exceptions/resolve", 409, why="Called.", **asked)
    assert "A reason is missing" in await person.post("/exceptions/resolve", 422, **asked)
    assert "A reason is missing" in await person.post("/exceptions/snooze", 422, **asked)
    await person.post("/exceptions/hold/release", 403, why="Paid.", hold="fraud_review", **asked)


async def test_people_of_some_nodes_work_on_their_orders_alone(filled: People) -> None:
    person = await filled.sign_in("operator", nodes=("MAN",))
    await person.post("/exceptions/take", 404, order_id="o-0", item="failed_message/o-0-M2", why="Mine.")
    assert "o-0" not in await person.get("/exceptions")


async def test_what_comes_while_a_page_is_read_is_told_to_it(
    filled: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page says from where its stream is to begin: from before it read, or it would stay as it is."""
    person = await filled.sign_in("operator")
    done: list[str] = []
    stand, reading = filled.site.freshness.stand, Queries.order

    async def noted_stand() -> Any:
        done.append("stand")
        return await stand()

    async def noted_order(queries: Queries, *asked: Any) -> Any:
        done.append("read")
        return await reading(queries, *asked)

    monkeypatch.setattr(filled.site.freshness, "stand", noted_stand)
    monkeypatch.setattr(Queries, "order", noted_order)
    await person.get("/orders/o-0")
    assert done[0] == "stand"
    assert "stand" not in done[done.index("read") :]


def filled_in(drawn: str, **typed: str) -> dict[str, Any]:
    """What a browser sends of a page's form of a period: what its fields hold, or is typed into them."""
    form = drawn[drawn.index('<form class="filters"') :]
    form = form[: form.index("</form>")]
    fields = {
        name: value for name, _, value in re.findall(r'<input [^>]*name="(\w+)"( value="([^"]*)")?', form)
    }
    for name, options in re.findall(r'<select name="(\w+)".*?>(.*?)</select>', form, re.DOTALL):
        chosen = re.search(r"<option selected>(\w+)<", options)
        assert chosen is not None
        fields[name] = chosen[1]
    assert typed.keys() <= fields.keys()
    return fields | typed


@pytest.mark.parametrize("path", ["/measures", "/delays"])
async def test_the_form_of_a_period_works_as_a_browser_sends_it(filled: People, path: str) -> None:
    person = await filled.sign_in("viewer")
    sent = filled_in(await person.get(path))
    assert (sent["from"], sent["to"]) == ("", "")
    assert "As of" in (await person.get(path, **sent)).replace(", as of", "As of")
    open_end = await person.get(path, **filled_in(await person.get(path, by="day"), **{"from": "2026-03-01"}))
    assert filled_in(open_end) == {"by": "day", "from": "2026-03-01", "to": ""}
    await person.get(path, 422, **{"from": "soon", "to": ""})
    await person.get(path, 422, **{"from": "", "to": "0001-01-01"})


async def test_the_last_day_of_a_period_is_in_it(filled: People) -> None:
    person = await filled.sign_in("viewer")

    async def delivered(first: str, last: str) -> tuple[int, str]:
        drawn = await person.get(
            "/measures", **filled_in(await person.get("/measures"), **{"from": first, "to": last})
        )
        return sum(map(int, re.findall(r'data-figure="delivered">(?:<a[^>]*>)?(\d+)<', drawn))), drawn

    by_day = await person.get("/measures", by="day", **PERIOD)
    day_row = r"<tr><td class=\"row\">(2026-\d\d-\d\d)</td>.*?data-figure=\"delivered\">(?:<a[^>]*>)?(\d+)<"
    days = re.findall(day_row, by_day, re.DOTALL)
    [(day, orders)] = [(day, int(orders)) for day, orders in days if orders != "0"]
    found, drawn = await delivered(day, day)
    assert found == orders
    assert filled_in(drawn) == {"by": "all", "from": day, "to": day}
    assert (await delivered("2026-03-01", day))[0] == orders
    link = re.search(
        r'href="(/delays\?[^"]*of=all[^"]*)"',
        await person.get("/delays", by="all", **{"from": day, "to": day}),
    )
    assert link is not None
    assert filled_in(await person.get(html.unescape(link[1]))) == {"by": "all", "from": day, "to": day}


@pytest.mark.parametrize("path", ["/measures", "/delays"])
async def test_figures_that_were_counted_a_while_ago_do_not_pass_for_newer_ones(
    filled: People, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    person = await filled.sign_in("viewer")
    stands = [Stand(datetime(2026, 3, 20, 9, minute, tzinfo=UTC), 0, minute) for minute in (1, 2)]

    async def stand() -> Stand:
        return stands.pop(0)

    monkeypatch.setattr(filled.site.freshness, "stand", stand)
    for _ in range(2):  # the second is shown what the first had counted
        assert 'data-as-of="2026-03-20T09:01:00.000+00:00"' in await person.get(path, **PERIOD)
    assert stands == []
