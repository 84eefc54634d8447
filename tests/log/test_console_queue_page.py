"""Working the queue of exceptions, over a real PostgreSQL: where rows lead to, what is done from there."""

import re

import asyncpg

from services.console.store import Projector
from tests.console_database import by_stage, console_dsn, pool
from tests.console_lives import troubled
from tests.console_site import People, people
from tests.log.test_console_store import feed

__all__ = ["console_dsn", "people", "pool"]


async def lost(pool: asyncpg.Pool, *order_ids: str) -> None:
    """Orders of which one parcel arrived and another was lost, which nobody has taken."""
    lives = [troubled(order_id) for order_id in order_ids]
    for life in lives:
        life["intake"] = life["intake"][:5]
    await feed(Projector(pool), by_stage(*lives))


async def test_a_lost_parcel_leads_to_a_return_of_what_arrived(people: People, pool: asyncpg.Pool) -> None:
    await lost(pool, "o-lost")
    support = await people.sign_in("support")
    [link] = re.findall(r'href="(/orders/o-lost/return)"', await support.get("/exceptions?kind=lost"))
    assert 'name="units-1"' not in await support.get(link), "its return window is not open yet"
    assert link not in await (await people.sign_in("viewer")).get("/exceptions?kind=lost")
