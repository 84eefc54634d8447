"""Orders by the service that they are sent by: on the page, in what it leads to, and for programs."""

import html
import re

import asyncpg

from libs.events.amendments import OrderAmended
from libs.events.contract import Event
from libs.events.intake import OrderAccepted
from services.console.store import Projector
from tests.console_database import console_dsn, pool
from tests.console_lives import terms
from tests.console_parts import at, envelopes
from tests.console_site import People, add_api, bearer, people
from tests.log.test_console_api import from_topics
from tests.log.test_console_store import feed

__all__ = ["console_dsn", "people", "pool"]
PLACED = {"o-1": "express", "o-2": None, "o-3": "standard", "o-4": None, "o-5": "express", "o-6": "night"}
AMENDED = {"o-4": "express", "o-5": "standard"}
SENT_BY = {"express": ["o-4", "o-1"], "standard": ["o-5", "o-3", "o-2"], "night": ["o-6"], "none": []}
"""By service, its orders, the newest first."""


def accepted(order_id: str, service: str | None, minute: int) -> OrderAccepted:
    return OrderAccepted(**terms(order_id) | {"service": service, "placed_at": at(minute)})


async def test_orders_are_found_by_the_service_that_they_are_sent_by_now(
    people: People, pool: asyncpg.Pool
) -> None:
    amended: list[Event] = [
        OrderAmended(order_id=order_id, amendment_id=f"{order_id}-A1", service=service)
        for order_id, service in AMENDED.items()
    ]
    placed = [accepted(*one, minute) for minute, one in enumerate(PLACED.items())]
    topics = {"intake": envelopes("intake", placed), "fulfillment": envelopes("fulfillment", amended)}
    await feed(Projector(pool), topics)
    add_api(people, from_topics)
    person, client = await people.sign_in("operator"), await people.browser()
    for service, orders in SENT_BY.items():
        page = await person.get("/orders", service=service, channel="web")
        assert re.findall(r'<a href="/orders/(o-\d)">', page) == orders
        assert f'name="service" value="{service}"' in page
        [export] = re.findall(r'href="(/orders\.csv\?[^"]+)"', page)
        lines = (await person.get(html.unescape(export))).splitlines()[1:]
        assert [line.partition(",")[0] for line in lines] == orders
        answer = await client.get("/v1/orders", params={"service": service}, headers=bearer(people))
        assert [row["order_id"] for row in answer.json()["orders"]] == orders
    [kept] = re.findall(r'name="query" value="([^"]+)"', await person.get("/orders", service="express"))
    await person.post("/orders/views", name="Express", query=html.unescape(kept))
    page = await person.get("/orders")
    [view] = re.findall(r'<li><a href="([^"]+)"><bdi>Express</bdi>', page)
    assert re.findall(r'<a href="/orders/(o-\d)">', await person.get(html.unescape(view))) == ["o-4", "o-1"]
    await person.get("/orders", 422, service="a\x00b")
