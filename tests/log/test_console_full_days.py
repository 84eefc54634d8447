"""The service that an order names, and nodes' full days, where support looks for why a date is what it is."""

from dataclasses import replace
from datetime import UTC, date, datetime

import asyncpg

from libs.events.dates import NodeDaysFull
from libs.events.intake import OrderAccepted
from services.console.documents import order_document
from services.console.full_days_read import read_full_days
from services.console.queries import Queries
from services.console.store import Projector
from tests.console_database import by_stage, console_dsn, pool
from tests.console_lives import Life
from tests.console_parts import envelopes
from tests.console_promises import cut, dated
from tests.console_site import People, people
from tests.log.test_console_store import feed

__all__ = ["console_dsn", "people", "pool"]

AHEAD = date(2999, 3, 2)
LONG = tuple(AHEAD.replace(day=day) for day in range(3, 13))


def express(life: Life) -> Life:
    """The same order, with a service."""
    [accepted, *rest] = life["intake"]
    assert isinstance(accepted, OrderAccepted)
    return {**life, "intake": [accepted.model_copy(update={"service": "<i>express</i>"}), *rest]}


async def test_an_order_says_with_which_service_it_was_bought(people: People, pool: asyncpg.Pool) -> None:
    [accepted] = express(cut(dated("o-new", AHEAD), 2))["intake"]
    await feed(
        Projector(pool),
        by_stage(express(cut(dated("o-1", AHEAD), 2)), cut(dated("o-2", AHEAD), 2), {"intake": [accepted]}),
    )
    person = await people.sign_in("support")
    drawn = await person.get("/orders/o-1")
    assert "Ordered with <strong><bdi>&lt;i&gt;express&lt;/i&gt;</bdi></strong>. Promised by" in drawn
    assert "no date was promised" in await person.get("/orders/o-new")
    assert "Ordered with" not in await person.get("/orders/o-2")
    found = await Queries(pool).order("acme", "o-1", 1)
    assert found is not None
    assert order_document(found[0])["service"] == "<i>express</i>"


async def test_full_days_show_where_the_node_does(people: People, pool: asyncpg.Pool) -> None:
    told = [
        NodeDaysFull(node="LON", full=(AHEAD,)),
        NodeDaysFull(node="MAN", full=LONG),
        NodeDaysFull(node="LON", full=LONG[:2]),
        NodeDaysFull(node="OLD", full=(date(2026, 1, 1),)),
        NodeDaysFull(node="FREE", full=LONG),
        NodeDaysFull(node="FREE"),
    ]
    topics = by_stage(cut(dated("o-1", AHEAD), 2))
    topics["inventory"] += [replace(one, sequence=one.sequence + 100) for one in envelopes("inventory", told)]
    await feed(Projector(pool), topics)
    person = await people.sign_in("viewer")
    drawn = await person.get("/stock")
    assert drawn.count("data-full-days") == 2
    assert "<bdi>LON</bdi> can ship no more on 2999-03-03, 2999-03-04: dates pass over these days." in drawn
    assert "2999-03-09 and 3 more days, the last 2999-03-12" in drawn
    assert "<bdi>MAN</bdi>" not in await person.get("/stock", node="LON")
    order = await person.get("/orders/o-1")
    assert "<bdi>LON</bdi> can ship no more on 2999-03-03" in order, "its plan is for London"
    assert "<bdi>MAN</bdi> can" not in order
    assert "can ship no more" not in await person.get("/orders/o-1", step="1"), "then is not now"
    at_man = await people.sign_in("viewer", nodes=("MAN",))
    assert "<bdi>LON</bdi>" not in await at_man.get("/stock")
    rival = await people.sign_in("viewer", "rival")
    assert "can ship no more" not in await rival.get("/stock")


async def test_a_day_is_over_once_it_is_everywhere(pool: asyncpg.Pool) -> None:
    told = [NodeDaysFull(node="HNL", full=(date(2026, 3, 2), date(2026, 3, 3)))]
    await feed(Projector(pool), {"inventory": envelopes("inventory", told)})
    async with Queries(pool).reading("acme") as connection:
        for hour, left in ((11, 2), (12, 1)):
            now = datetime(2026, 3, 3, hour, tzinfo=UTC)
            assert len((await read_full_days(connection, "acme", now))["HNL"]) == left
