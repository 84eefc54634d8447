"""The search index made anew from the topics beside the one that serves, and compared with it."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass

import asyncpg

from libs.runtime.keyring import Keyring
from libs.runtime.wire import Record
from services.console.search.feed import read_entries
from services.console.search.index import SearchIndex
from services.console.store import TopicPartition

SCHEMA = "search_rebuild"
Read = Callable[[Mapping[TopicPartition, int]], AsyncIterator[Sequence[Record]]]
_SWAP = """
    LOCK TABLE search.consumed IN ACCESS EXCLUSIVE MODE;
    TRUNCATE search.parts, search.articles, search.consumed;
    INSERT INTO search.parts SELECT * FROM search_rebuild.parts;
    INSERT INTO search.articles SELECT * FROM search_rebuild.articles;
    INSERT INTO search.consumed SELECT * FROM search_rebuild.consumed"""


@dataclass(frozen=True, slots=True)
class SearchRebuilt:
    """What a rebuild of the search index found."""

    match: bool
    live_digest: str
    rebuilt_digest: str


async def rebuild_search(pool: asyncpg.Pool, keyring: Keyring, read: Read, *, swap: bool) -> SearchRebuilt:
    """Fold the topics up to where the live index stands, compare, and with `swap` put it in its place.

    Complaint, of `read`: the topics do not hold what the live index was made from.
    """
    live = SearchIndex(pool, keyring)
    await live.follow_erasures()
    before, ends = await live.digest()
    await pool.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")
    await pool.execute("SELECT create_search($1)", SCHEMA)
    new = SearchIndex(pool, keyring, SCHEMA)
    async for records in read(ends):
        await new.apply(*read_entries(records), {})
    await new.apply((), (), {place: (0, end) for place, end in ends.items()})
    after, _ = await new.digest()
    async with pool.acquire() as connection, connection.transaction():
        if swap:
            await connection.execute(_SWAP)
        await connection.execute(f"DROP SCHEMA {SCHEMA} CASCADE")
    return SearchRebuilt(before == after, before, after)
