"""An order with more events than its page shows: the page says so, and all of them are somewhere."""

import html
import re

import asyncpg
import pytest

from services.console.queries import Queries
from tests.console_database import console_dsn, pool
from tests.console_site import People, people
from tests.log.test_console_access import filled

__all__ = ["console_dsn", "filled", "people", "pool"]

ROWS = re.compile(r'<tr id="e-([0-9a-f-]+)"')


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Five events on an order's page, three on a page of the rest."""
    monkeypatch.setattr("services.console.pages.order.TIMELINE_MAX", 5)
    monkeypatch.setattr("services.console.pages.order_events.ROWS", 3)


async def test_what_the_page_of_an_order_does_not_show_is_a_click_away(
    filled: People, pool: asyncpg.Pool
) -> None:
    person = await filled.sign_in("viewer")
    every = [str(row["event_id"]) for row in await Queries(pool).timeline("acme", "o-1", None, 1000)]
    drawn = await person.get("/orders/o-1")
    assert "These are the first 5 events of more." in drawn
    assert 'max="6" value="6"' in drawn, "the last of the slider is now, not after the fifth event"
    shown = ROWS.findall(drawn)
    link = re.search(r'href="(/orders/o-1/events[?][^"]+)">Those that came later', drawn)
    while link is not None:
        drawn = await person.get(html.unescape(link[1]))
        shown += ROWS.findall(drawn)
        link = re.search(r'rel="next" href="([^"]+)"', drawn)
    assert shown == every
    assert ROWS.findall(await person.get("/orders/o-1/events")) == every[:3]
    assert "As it is now" not in await person.get("/orders/o-1", step=6)
    assert "of more" not in await person.get("/orders/m-3")


async def test_an_event_that_the_page_does_not_show_has_its_document(
    filled: People, pool: asyncpg.Pool
) -> None:
    person = await filled.sign_in("viewer")
    last = (await Queries(pool).timeline("acme", "o-1", None, 1000))[-1]
    place = f"{last['stage']}/{last['lane']}/{last['sequence']}"
    assert last["sentence"] in html.unescape(await person.get(f"/orders/o-1/events/{place}"))
    await person.get(f"/orders/o-0/events/{place}", 404)
    scoped = await filled.sign_in("viewer", nodes=("nowhere",))
    await scoped.get(f"/orders/o-1/events/{place}", 404)
    await scoped.get("/orders/o-1/events", 404)


async def test_the_slider_is_answered_with_the_part_and_its_address(filled: People) -> None:
    person = await filled.sign_in("viewer")
    for step, address in ((1, "/orders/o-1?step=1"), (6, "/orders/o-1")):
        answer = await person.client.get("/parts/orders/o-1", params={"step": step})
        assert answer.headers["HX-Replace-Url"] == address
        assert answer.text.startswith('<div id="order"')
    assert "HX-Replace-Url" not in (await person.client.get("/parts/orders/o-1")).headers
