"""Where nodes ship, as a person is told it who is about to send an order to another country."""

from typing import Any

import asyncpg
import pytest

from libs.events.contract import Event
from libs.events.intake import OrderAccepted
from services.console.store import Projector
from tests.console_database import console_dsn, pool
from tests.console_lives import terms
from tests.console_nodes import NODES, node
from tests.console_parts import envelopes
from tests.console_site import People, add_api, bearer, people
from tests.log.test_console_api import from_topics
from tests.log.test_console_store import feed

__all__ = ["console_dsn", "people", "pool"]
ADDRESS: dict[str, Any] = {"name": "Zoë", "address": "1 Road", "city": "Town"}
WARNING = "routing finds no node once its stock is there: the order is given up"


async def told(pool: asyncpg.Pool, nodes: list[Event]) -> None:
    topics = {"intake": envelopes("intake", [OrderAccepted(**terms("o-1"))])}
    if nodes:
        topics["routing"] = envelopes("routing", nodes)
    await feed(Projector(pool), topics)


@pytest.mark.parametrize(("country", "warned"), [("GB", False), ("FR", False), ("CH", True), ("ES", True)])
async def test_a_country_that_no_node_serves_is_warned_of_before_it_is_confirmed(
    people: People, pool: asyncpg.Pool, country: str, warned: bool
) -> None:
    await told(pool, NODES)
    add_api(people, from_topics)
    person = await people.sign_in("support")
    page = await person.post("/orders/o-1/amend", **ADDRESS, country=country, note="moved")
    assert (f"No node ships to {country}. " in page, WARNING in page) == (warned, warned)
    assert "Change it</button>" in page, "it is asked for all the same by who means it"
    client = await people.browser()
    path, who = f"/v1/orders/o-1/amendment?country={country}&service=express", bearer(people)
    answer = (await client.get(path, headers=who)).json()
    assert (answer["possible"], WARNING in answer["warning"]) == (True, warned)
    assert answer["details"][:2] == [
        f"It goes to the new address in {country}{'' if country == 'GB' else ' instead of GB'}; "
        "the customer is told of it.",
        "It is sent by express.",
    ]


async def test_without_a_new_country_or_any_node_known_nothing_is_warned_of(
    people: People, pool: asyncpg.Pool
) -> None:
    await told(pool, [])
    support = await people.sign_in("support")
    page = await support.post("/orders/o-1/amend", **ADDRESS, country="CH", note="moved")
    assert "No node ships" not in page, "nothing is known of any node"
    await feed(Projector(pool), {"routing": envelopes("routing", [node("MAN", "FR")])})
    page = await support.post("/orders/o-1/amend", service="express", note="moved")
    assert "No node ships" not in page
