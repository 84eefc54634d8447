"""Working the queue of exceptions, over a real PostgreSQL: where rows lead to, what is done from there."""

import html
import re
from typing import Any

import asyncpg
import pytest

from libs.events.contract import Command
from libs.events.intake import AssignException
from services.console.pages import queue_counts
from services.console.pages.queue_place import Place
from services.console.store import Projector
from tests.console_database import by_stage, console_dsn, pool
from tests.console_lives import troubled
from tests.console_site import People, people
from tests.log.test_console_stock_items import sent
from tests.log.test_console_store import feed

__all__ = ["console_dsn", "people", "pool", "sent"]
ASKED_MAX = 200


async def lost(pool: asyncpg.Pool, *order_ids: str) -> None:
    """Orders of which one parcel arrived and another was lost, which nobody has taken."""
    lives = [troubled(order_id) for order_id in order_ids]
    untouched = [dict(life) | {"intake": life["intake"][:5]} for life in lives]
    await feed(Projector(pool), by_stage(*untouched))


async def test_a_lost_parcel_leads_to_a_return_of_what_arrived(people: People, pool: asyncpg.Pool) -> None:
    await lost(pool, "o-lost")
    support = await people.sign_in("support")
    [link] = re.findall(r'href="(/orders/o-lost/return)"', await support.get("/exceptions?kind=lost"))
    assert 'name="units-1"' not in await support.get(link), "its return window is not open yet"
    assert link not in await (await people.sign_in("viewer")).get("/exceptions?kind=lost")


ITEM: dict[str, Any] = {"order_id": "o-1", "item": "lost/o-1-S2", "why": "She knows the carrier."}


async def test_an_item_is_assigned_to_somebody_by_name(
    people: People, pool: asyncpg.Pool, sent: list[tuple[Command, str]]
) -> None:
    await lost(pool, "o-1")
    support = await people.sign_in("support")
    await people.sign_in("operator")
    await people.sign_in("viewer")
    page = await support.get("/exceptions")
    assert set(re.findall(r'<option value="([^"]+@acme)">', page)) == {"support@acme", "operator@acme"}
    await support.post("/exceptions/assign", **ITEM, assignee=" sue ")
    await support.post("/exceptions/take", **ITEM)
    await support.post("/exceptions/give_back", **ITEM)
    named = {"order_id": "o-1", "item": "lost/o-1-S2"}
    assert [command for command, _ in sent] == [
        AssignException.model_validate(named | {"assignee": "sue"}),
        AssignException.model_validate(named | {"assignee": "support@acme"}),
        AssignException.model_validate(named),
    ]
    assert {reason for _, reason in sent} == {"She knows the carrier."}
    for nobody in ("", " ", "x" * 129, "a\x00b"):
        await support.post("/exceptions/assign", 422, **ITEM, assignee=nobody)
    assert len(sent) == 3


async def test_who_has_acted_is_back_where_they_were_in_the_queue(
    people: People, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch, sent: list[tuple[Command, str]]
) -> None:
    monkeypatch.setattr("services.console.pages.exceptions.ROWS", 1)
    await lost(pool, "o-1", "o-2", "o-3")
    support = await people.sign_in("support")
    first = await support.get("/exceptions?owner=support&kind=lost&whose=nobody")
    [following] = re.findall(r'rel="next" href="([^"]+)"', first)
    second = await support.get(html.unescape(following))
    assert rows(second) == ["o-2"]
    [back] = set(re.findall(r'name="back" value="([^"]*)"', second))
    fields = {"csrf": support.csrf, "back": html.unescape(back)} | ITEM | {"order_id": "o-2"}
    answer = await support.client.post("/exceptions/take", data=fields)
    assert answer.status_code == 303
    there = await support.get(answer.headers["location"])
    assert rows(there) == ["o-2"]
    assert 'value="support" selected' in there or "<option selected>support" in there
    assert "First page" in there


async def test_a_refusal_shows_where_they_were_too(people: People, pool: asyncpg.Pool) -> None:
    await lost(pool, "o-1")
    support = await people.sign_in("support")
    page = await support.post("/exceptions/take", 409, **ITEM, back="owner=support&kind=lost&whose=mine")
    assert "Intake does not answer. Nothing was changed." in page
    assert rows(page) == [], "of what they took there is none"
    assert "<option selected>mine" in page


@pytest.mark.parametrize(
    "back", ["owner=nobody", "//evil.example", "after=" + "x" * 1500, "a=\x00", "node=%00"]
)
async def test_a_forged_place_leads_to_the_beginning(
    people: People, pool: asyncpg.Pool, sent: list[tuple[Command, str]], back: str
) -> None:
    await lost(pool, "o-1")
    assert Place.read(back) == Place()
    support = await people.sign_in("support")
    answer = await support.client.post("/exceptions/take", data={"csrf": support.csrf, "back": back} | ITEM)
    assert (answer.status_code, answer.headers["location"]) == (303, "/exceptions")


def rows(page: str) -> list[str]:
    """Orders of the list."""
    return re.findall(r'data-item="(\S+) ', page)


def told(drawn: str) -> tuple[list[str], bool, bool]:
    """The counts of the page, whether it says when they were counted, whether it asks again soon."""
    figures = re.findall(r'data-figure="[^"]*">([\d,]+)<', drawn)
    return figures, "data-counted" in drawn, 'data-live-every="1"' in drawn


async def test_counts_of_many_are_kept_for_seconds_and_say_so(
    people: People, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    support = await people.sign_in("support")
    kind = "/exceptions?kind=lost"
    await lost(pool, "o-1")
    first = told(await support.get(kind))
    assert first[1:] == (False, False)
    assert told(await support.get(kind)) == first, "few are counted with each page"
    monkeypatch.setattr(queue_counts, "MANY", 0)
    monkeypatch.setattr(queue_counts, "KEPT_SECONDS", 600.0)
    fresh = told(await support.get(kind))
    assert (fresh, told(await support.get(kind))) == (first, (first[0], True, False))
    await lost(pool, "o-1", "o-2")
    drawn = await support.get(kind)
    assert told(drawn) == (first[0], True, True), "what came since is not in them: the page asks again"
    assert drawn.count("data-item=") == 2, "rows are of now"


async def test_counts_that_are_old_are_shown_while_they_are_counted_again(
    people: People, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("MANY", 0), ("KEPT_SECONDS", 0.0), ("KEPT_SHARE", 0)):
        monkeypatch.setattr(queue_counts, name, value)
    support = await people.sign_in("support")
    await lost(pool, "o-1")
    first = told(await support.get("/exceptions?kind=lost"))
    await lost(pool, "o-1", "o-2")
    assert told(await support.get("/exceptions?kind=lost")) == (first[0], True, True)
    for _ in range(ASKED_MAX):
        if (again := told(await support.get("/exceptions?kind=lost")))[0] != first[0]:
            break
    assert again[0] == ["2" if figure == "1" else figure for figure in first[0]]
    monkeypatch.setattr(queue_counts, "STALE_SECONDS", -60.0)  # a count may still be under way
    assert told(await support.get("/exceptions?kind=lost"))[1:] == (False, False), "too old to be shown"
