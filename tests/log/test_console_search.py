"""The search index over a real PostgreSQL: what is found by which parts, by whom, and what erasure leaves."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from libs.events.contract import Event
from libs.events.envelope import Envelope
from libs.events.fulfillment import ShipmentDispatched
from libs.events.intake import OrderAccepted
from libs.runtime.keyring import MemoryKeyring
from libs.runtime.wire import Record
from services.console.contacts import Contacts
from services.console.finder import Finder
from services.console.queries import OrderFilter, Queries
from services.console.search.entries import entries
from services.console.search.feed import read_entries
from services.console.search.index import Moved, SearchIndex
from services.console.search.rebuild import rebuild_search
from services.console.store import Projector
from tests.console_database import by_stage, console_dsn
from tests.console_lives import delivered, terms
from tests.console_parts import envelopes
from tests.log.test_console_rebuild import record
from tests.log.test_console_store import feed

__all__ = ["console_dsn"]
PEOPLE = {
    "o-1": {"name": "Zoë Müller-Ostow", "email": "zoe@example.org", "phone": "+44 20 7946-0958"},
    "o-2": {"name": "José O'Brien", "postcode": "SW1A 1AA"},
    "o-3": {"name": "Robert'); DROP TABLE orders;--", "phone": "030 7946"},
}


@dataclass
class World:
    """Three orders of one tenant and one of another, found by whoever has the key."""

    pool: asyncpg.Pool
    keyring: MemoryKeyring
    index: SearchIndex

    async def find(self, text: str, *, tenant: str = "acme", may_see: bool = True, **more: Any) -> list[str]:
        queries = Queries(self.pool)
        finder = Finder(queries, Contacts(queries, self.keyring))
        found = await finder.page(tenant, OrderFilter(**more), text, None, 50, personal=may_see)
        return sorted(row["order_id"] for row in found.rows)

    async def take(self, events: Sequence[Envelope[Event]]) -> None:
        found = [entries(event.tenant, event.body) for event in events]
        parts = [part for more, _ in found for part in more]
        await self.index.apply(parts, [article for _, more in found for article in more], {})


@pytest_asyncio.fixture
async def world(console_dsn: str) -> AsyncIterator[World]:
    async with asyncpg.create_pool(console_dsn, min_size=1, max_size=6) as pool:
        for statement in ("DROP SCHEMA live CASCADE", "SELECT create_read_models('live')"):
            await pool.execute(statement)
        await pool.execute("DROP SCHEMA search CASCADE")
        await pool.execute("SELECT create_search('search')")
        keyring = MemoryKeyring()
        world = World(pool, keyring, SearchIndex(pool, keyring))
        topics = by_stage(*(delivered(order_id) for order_id in PEOPLE))
        topics["intake"] = [await sealed(keyring, event) for event in topics["intake"]]
        await feed(Projector(pool), topics)
        for events in topics.values():
            await world.take(events)
        await world.take(envelopes("intake", [their_order()], tenant="other", lane=1))
        yield world


def their_order() -> OrderAccepted:
    return OrderAccepted(**{**terms("o-1"), "external_id": "theirs"})


async def sealed(keyring: MemoryKeyring, event: Envelope[Event]) -> Envelope[Event]:
    if not isinstance(event.body, OrderAccepted):
        return event
    subject = f"o:{event.stream}"
    contact = await keyring.seal(event.tenant, subject, event.stream, PEOPLE[event.stream])
    return replace(event, body=event.body.model_copy(update={"contact": contact}))


async def test_an_order_is_found_by_part_of_a_name_a_mail_or_a_phone(world: World) -> None:
    assert await world.find("ostow") == ["o-1"]
    assert await world.find("stow müll") == ["o-1"], "words in any order, parts of words"
    assert await world.find("MULLER zo") == ["o-1"], "case and accents do not matter"
    assert await world.find("brien jose") == ["o-2"]
    assert await world.find("79460958") == ["o-1"]
    assert await world.find("7946") == ["o-1", "o-3"]
    assert await world.find("zoe@exam") == ["o-1"]
    assert await world.find("muller brien") == [], "all of it has to be one customer's"
    assert await world.find("robert'); drop") == ["o-3"]


async def test_an_order_is_found_by_its_numbers_and_articles(world: World) -> None:
    dispatched = next(e for e in delivered("o-2")["fulfillment"] if isinstance(e, ShipmentDispatched))
    tracking = dispatched.packages[0].tracking_number
    assert await world.find("o-2") == ["o-2"]
    assert await world.find(dispatched.shipment_id) == ["o-2"]
    assert await world.find(tracking, may_see=False) != []
    assert await world.find("17850") == ["o-1", "o-2", "o-3"], "by customer number"
    assert await world.find("17850", external_id="X-o-3") == ["o-3"], "a filter narrows it"
    assert await world.find("ante") == ["o-1", "o-2", "o-3"], "Lantern"
    assert await world.find("ante", sku="nothing") == []
    assert await world.find("%%%") == await world.find("_") == await world.find("\x00") == []


async def test_words_in_too_many_articles_are_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    queries = Queries(world.pool)
    finder = Finder(queries, Contacts(queries, world.keyring))
    for most, cut in ((1000, False), (1, True)):
        monkeypatch.setattr("services.console.hits.ARTICLES_MAX", most)
        found = await finder.page("acme", OrderFilter(), "ante", None, 50, personal=False)
        assert (found.articles_cut, found.complete) == (cut, not cut)
        assert found.rows


async def test_a_shipment_that_comes_before_its_order_is_found_where_that_belongs(world: World) -> None:
    dispatched = next(e for e in delivered("o-9")["fulfillment"] if isinstance(e, ShipmentDispatched))
    moments = "SELECT DISTINCT at FROM search.parts WHERE order_id = 'o-9'"
    await world.take(envelopes("fulfillment", [dispatched], first=900))
    assert [row["at"] for row in await world.pool.fetch(moments)] == [None]
    accepted = next(e for e in delivered("o-9")["intake"] if isinstance(e, OrderAccepted))
    await world.take(envelopes("intake", [accepted], first=901))
    assert [row["at"] for row in await world.pool.fetch(moments)] == [accepted.placed_at]


async def test_who_may_not_see_personal_data_does_not_find_by_it(world: World) -> None:
    assert await world.find("ostow", may_see=False) == []
    assert await world.find("17850", may_see=False) == ["o-1", "o-2", "o-3"]


async def test_a_tenant_finds_nothing_of_another(world: World) -> None:
    assert await world.find("theirs") == []
    assert await world.find("ostow", tenant="other") == []


async def test_what_only_shares_trigrams_is_no_hit(world: World) -> None:
    await world.take([])
    assert await world.find("ostowstow") == []
    contact = await world.keyring.seal("acme", "o:o-2", "o-2", {"name": "Hannah Annan"})
    accepted = OrderAccepted(**{**terms("o-2"), "contact": contact})
    await world.take(envelopes("intake", [accepted], first=99))
    assert await world.find("annan") == ["o-2"]
    assert await world.find("nnann") == [], "its trigrams are all there, in no word in this order"


async def test_erasure_takes_the_contact_out_and_nothing_else(world: World) -> None:
    await world.keyring.erase("acme", "o:o-1", "ann")
    assert await world.find("ostow") == [], "nobody can open it any more"
    assert await world.index.follow_erasures() == 1
    left = await world.pool.fetch("SELECT order_id FROM search.parts WHERE part = 'contact' ORDER BY 1")
    assert [row["order_id"] for row in left] == ["o-2", "o-3"]
    assert await world.find("17850") == ["o-1", "o-2", "o-3"]
    assert await world.index.follow_erasures() == 0


async def test_the_index_holds_no_personal_data_in_the_clear(world: World) -> None:
    rows = await world.pool.fetch("SELECT t::text AS all FROM search.parts AS t")
    text = " ".join(row["all"] for row in rows).casefold()
    assert not [word for word in ("muller", "example", "7946") if word in text]


async def test_articles_that_a_crash_took_back_are_written_again(world: World) -> None:
    """Commits of the index are not waited for, so a server that is killed may lose the last of them."""
    digest, _ = await world.index.digest()
    await world.pool.execute("DELETE FROM search.articles WHERE tenant = 'other'")
    await world.index.positions()
    await world.take(envelopes("intake", [their_order()], tenant="other", lane=1))
    assert (await world.index.digest())[0] == digest


async def test_the_index_made_anew_is_the_same_and_takes_its_place(world: World) -> None:
    topics = by_stage(*(delivered(order_id) for order_id in PEOPLE))
    topics["intake"] = [await sealed(world.keyring, event) for event in topics["intake"]]
    records = {
        (f"oms.{stage}.events", 0): [
            record(event, f"oms.{stage}.events", offset) for offset, event in enumerate(topics[stage])
        ]
        for stage in ("intake", "fulfillment")
    }
    ends = {place: len(found) for place, found in records.items()}

    async def read(ends: Mapping[tuple[str, int], int]) -> AsyncIterator[Sequence[Record]]:
        for place, end in ends.items():
            yield records[place][:end]

    await world.pool.execute("DROP SCHEMA search CASCADE")
    await world.pool.execute("SELECT create_search('search')")
    live = SearchIndex(world.pool, world.keyring)
    for place, found in records.items():
        await live.apply(*read_entries(found), {place: (0, ends[place])})
    assert (await rebuild_search(world.pool, world.keyring, read, swap=False)).match
    await world.pool.execute("DELETE FROM search.parts WHERE part = 'contact'")
    assert await world.find("ostow") == []
    assert not (await rebuild_search(world.pool, world.keyring, read, swap=True)).match
    assert await world.find("ostow") == ["o-1"]
    assert await live.positions() == ends
    with pytest.raises(Moved):
        await live.apply((), (), dict.fromkeys(ends, (0, 1)))
