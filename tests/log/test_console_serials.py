"""Pages of units with serial numbers: found by number, listed with their article and their order."""

import re
from dataclasses import replace
from itertools import permutations
from typing import Any

import asyncpg
import pytest_asyncio

from libs.events.contract import Event
from libs.events.envelope import Envelope
from libs.events.inventory import Movement, StockIssued, StockReceived, StockReturned
from libs.events.measure import Unnamed
from libs.events.serials import SerialsCorrected
from libs.events.supply import SupplyMovement
from services.console.exceptions import QueueFilter, read_queue
from services.console.queries import Queries
from services.console.store import Projector
from tests.console_database import by_stage, console_dsn, pool
from tests.console_lives import delivered
from tests.console_parts import at, envelopes
from tests.console_site import People, people
from tests.log.test_console_store import feed

__all__ = ["console_dsn", "people", "pool"]

HOSTILE = "<b>7"


def moves(
    source: Any, target: Any, position: int, *serials: str, sku: str = "A", node: str = "LON", units: int = 0
) -> tuple[Movement, ...]:
    terms: dict[str, Any] = {"sku": sku, "node": node, "source": source, "target": target}
    numbers = {"quantity": units or len(serials), "position": position, "serials": serials or None}
    return (Movement(**terms, **numbers),)


def received(position: int, *serials: str, sku: str = "A", node: str = "LON") -> StockReceived:
    return StockReceived(
        sku=sku,
        node=node,
        quantity=len(serials),
        reference=f"PO-{position}",
        movements=moves("supplier", "on_hand", position, *serials, sku=sku, node=node),
    )


ISSUED = StockIssued(
    order_id="o-1", shipment_id="o-1-S1", movements=moves("allocated", "issued", 70, HOSTILE, "S-2")
)
BACK = StockReturned(order_id="o-1", rma_id="o-1-R1", movements=moves("issued", "on_hand", 80, "S-2"))
UNKNOWN = StockIssued(
    order_id="o-1",
    shipment_id="o-1-S1",
    movements=moves("allocated", "issued", 90, units=1),
    unnamed=(Unnamed(sku="A", quantity=1, serials=("S-99",)),),
)
TOLD: tuple[Event, ...] = (
    received(60, HOSTILE, *(f"S-{number}" for number in range(2, 61))),
    received(61, "S-2", sku="B", node="MAN"),
    StockReceived(
        sku="TEA", node="LON", quantity=5, movements=moves("supplier", "on_hand", 1, sku="TEA", units=5)
    ),
    ISSUED,
    BACK,
    UNKNOWN,
)


_TABLES = ("serial_units", "serial_moves", "stock_items")
_ALL = "SELECT string_agg(t::text, ';' ORDER BY t::text) FROM (SELECT * FROM live.{}) AS t"


def topic(*events: Event) -> list[Envelope[Event]]:
    """Behind what the order's own life has on inventory's topic."""
    return [replace(one, sequence=one.sequence + 100) for one in envelopes("inventory", events)]


@pytest_asyncio.fixture
async def desk(people: People, pool: asyncpg.Pool) -> People:
    """Sixty cameras, of which an order got two, sent one back, and got a third that nobody can name."""
    topics = by_stage(delivered("o-1"))
    topics["inventory"] += topic(*TOLD)
    await feed(Projector(pool), topics)
    return people


async def test_a_unit_is_found_by_its_whole_number(desk: People) -> None:
    person = await desk.sign_in("viewer")
    assert 'action="/serials"' in await person.get("/stock")
    assert "as its maker prints it" in await person.get("/serials")
    drawn = await person.get("/serials", number=f" {HOSTILE} ")
    assert HOSTILE not in drawn
    assert 'It was sent from <bdi>LON</bdi> with <a href="/orders/o-1">order o-1</a>' in drawn
    assert "PO-60" in drawn
    assert drawn.index("stock received") < drawn.index("stock issued")
    assert "o-1-S1" in drawn
    for number in ("S-", "s-2", "S-999"):
        assert "No unit that you may see" in await person.get("/serials", number=number)
    several = await person.get("/serials", number="S-2")
    assert "Units of several articles have it" in several
    one = await person.get("/serials", number="S-2", sku="A")
    assert "It is on the shelf of <bdi>LON</bdi>" in one
    assert one.index("stock issued") < one.index("stock returned")
    assert "stock issued" not in await person.get("/serials", number="S-2", sku="B")
    await person.get("/serials", 422, number="a\x00b")


async def test_an_article_lists_its_units_by_where_they_are(desk: People) -> None:
    person = await desk.sign_in("viewer")
    drawn = await person.get("/stock/A")
    assert 'data-serials="shelf LON">59<' in drawn
    assert 'data-serials="issued LON">1<' in drawn
    assert drawn.count('<td><a href="/serials?number=') == 50
    [last] = re.findall(r'rel="next" href="[^"]*serial=([^"]+)#serials"', drawn)
    rest = await person.get("/stock/A", serial=last)
    assert rest.count('<td><a href="/serials?number=') == 10
    assert 'rel="next"' not in rest
    sent = await person.get("/stock/A", place="issued", node="LON")
    assert sent.count('<td><a href="/serials?number=') == 1
    assert ">o-1</a>" in sent
    assert "None there." in await person.get("/stock/A", place="issued", node="MAN")
    assert 'id="serials"' not in await person.get("/stock/TEA")


async def test_an_order_says_which_numbers_it_got(desk: People) -> None:
    drawn = await (await desk.sign_in("support")).get("/orders/o-1")
    assert '<bdi>A</bdi>: <a href="/serials?number=%3Cb%3E7' in drawn
    assert "<bdi>S-2</bdi></a> (came back)" in drawn
    assert "/serials?number=" not in await (await desk.sign_in("support")).get("/orders/o-1", step="1")


async def test_others_find_none_of_it(desk: People) -> None:
    rival = await desk.sign_in("operator", "rival")
    assert "No unit that you may see" in await rival.get("/serials", number="S-2")
    at_man = await desk.sign_in("operator", nodes=("MAN",))
    assert "No unit that you may see" in await at_man.get("/serials", number="S-3")
    assert "It is on the shelf of <bdi>MAN</bdi>" in await at_man.get("/serials", number="S-2")


async def unnamed(pool: asyncpg.Pool) -> list[tuple[str, int, str]]:
    async with Queries(pool).reading("acme") as connection:
        found = await read_queue(connection, "acme", at(900), QueueFilter(kind="unnamed"), None, 9)
    return [(one.item, one.row["units"], one.row["why"]) for one in found]


async def test_a_unit_without_a_name_is_an_exception_until_it_is_corrected(pool: asyncpg.Pool) -> None:
    await feed(Projector(pool), {"inventory": topic(*TOLD)})
    why = "1 unit with o-1-S1, and nobody knows which. Told were S-99."
    assert await unnamed(pool) == [("unnamed/LON", 1, why)]
    terms: dict[str, Any] = {"sku": "A", "node": "LON", "quantity": 1}
    gone = SerialsCorrected(
        sku="A",
        node="LON",
        wrong=("S-3",),
        movements=(
            SupplyMovement(**terms, source="adjustment", target="on_hand", position=91),
            SupplyMovement(**terms, source="on_hand", target="adjustment", position=92, serials=("S-3",)),
        ),
    )
    await feed(Projector(pool), {"inventory": topic(*TOLD, gone)})
    assert await unnamed(pool) == []


async def test_lanes_may_tell_of_a_unit_in_any_order(pool: asyncpg.Pool) -> None:
    ends = set()
    for order in list(permutations(topic(received(1, "S-1", "S-2"), ISSUED, BACK, UNKNOWN)))[::5]:
        await pool.execute("DROP SCHEMA live CASCADE")
        await pool.execute("SELECT create_read_models('live')")
        sent = [replace(one, sequence=number) for number, one in enumerate(order, 1)]
        await feed(Projector(pool), {"inventory": sent[:2]})
        await feed(Projector(pool), {"inventory": sent})
        ends.add(tuple([await pool.fetchval(_ALL.format(table)) for table in _TABLES]))
    assert len(ends) == 1
