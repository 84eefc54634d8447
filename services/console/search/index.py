"""The search index in PostgreSQL: written with the offsets it was read to, erased behind the keyring."""

import hashlib
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

import asyncpg
import orjson

from libs.events.order import Sealed
from libs.runtime.keyring import Keyring
from libs.runtime.pool import Connection, transaction
from services.console.search.entries import CONTACT, ORDER, Article, Part
from services.console.search.terms import personal_words, tokens, words_of
from services.console.storable import storable
from services.console.store import TopicPartition

_PARTS = """INSERT INTO parts
    SELECT tenant, order_id, part, coalesce(at, (SELECT p.at FROM parts AS p
            WHERE p.tenant = new.tenant AND p.order_id = new.order_id AND p.part = 'order')),
        words, tokens::integer[], customer_id, subject, generation, sealed
    FROM unnest(
        $1::text[], $2::text[], $3::text[], $4::timestamptz[], $5::text[], $6::text[], $7::text[], $8::text[],
        $9::int[], $10::text[]
    ) AS new (tenant, order_id, part, at, words, tokens, customer_id, subject, generation, sealed)
    ON CONFLICT (tenant, order_id, part) DO UPDATE SET at = excluded.at, words = excluded.words,
        tokens = excluded.tokens, customer_id = excluded.customer_id, subject = excluded.subject,
        generation = excluded.generation, sealed = excluded.sealed
    WHERE excluded.part <> 'contact' OR excluded.words >= parts.words"""
_MOMENTS = """UPDATE parts AS p SET at = new.at FROM unnest($1::text[], $2::text[], $3::timestamptz[])
    AS new (tenant, order_id, at)
    WHERE p.tenant = new.tenant AND p.order_id = new.order_id AND p.at IS NULL"""
"""Of what came before its order."""
_ARTICLES = """INSERT INTO articles
    SELECT tenant, sku, description, words, tokens::integer[] FROM unnest(
        $1::text[], $2::text[], $3::text[], $4::text[], $5::text[]
    ) AS new (tenant, sku, description, words, tokens) ON CONFLICT DO NOTHING"""
_CONSUMED = """INSERT INTO consumed SELECT * FROM unnest($1::text[], $2::int[], $3::bigint[])
    ON CONFLICT (topic, partition) DO UPDATE SET next_offset = excluded.next_offset"""
_FENCE = "SELECT topic, partition, next_offset FROM consumed FOR UPDATE"
_ERASE = """DELETE FROM parts AS p USING unnest($1::text[], $2::text[], $3::int[])
    AS gone (tenant, subject, generation)
    WHERE p.tenant = gone.tenant AND p.subject = gone.subject AND p.generation = gone.generation"""
_TABLES = {
    "parts": "SELECT * FROM parts ORDER BY tenant, order_id, part",
    "articles": "SELECT * FROM articles ORDER BY tenant, sku, description",
}
_AGAIN = timedelta(minutes=15)
"""So far back erasures are followed again: what was indexed with a key that a cache still held goes too."""
ARTICLES_MAX = 50_000
"""Articles that a process remembers to have written."""


class Moved(Exception):
    """Somebody else wrote this index."""


class SearchIndex:
    """Writes one schema. What is written twice is the same; two writers at once only waste their work."""

    def __init__(self, pool: asyncpg.Pool, keyring: Keyring, schema: str = "search") -> None:
        self._pool, self._keyring, self._schema = pool, keyring, schema
        self._known: dict[Article, None] = {}

    async def positions(self) -> dict[TopicPartition, int]:
        """Where to read on; a partition that was never read is missing. What was written after that may have
        gone with a server that crashed, as commits are not waited for."""
        self._known.clear()
        async with self._transaction() as connection:
            rows = await connection.fetch("SELECT topic, partition, next_offset FROM consumed")
        return {(topic, partition): offset for topic, partition, offset in rows}

    async def apply(
        self,
        parts: Iterable[Part],
        articles: Iterable[Article],
        offsets: Mapping[TopicPartition, tuple[int, int]],
    ) -> None:
        """Write entries and move the offsets, (expected, next) by partition.

        Raises Moved, having changed nothing, when one is not the expected; and what asyncpg does.
        """
        ordered = sorted(parts, key=lambda part: part.newness)
        rows = await self._rows({part[:3]: part for part in ordered}.values())
        new = sorted({article for article in articles if article not in self._known})
        async with self._transaction() as connection:
            stored = {(topic, lane): at for topic, lane, at in await connection.fetch(_FENCE)}
            if any(stored.get(place, 0) != expected for place, (expected, _) in offsets.items()):
                self._known.clear()
                raise Moved("the search index was put anew; read on from where it stands now")
            if rows:
                await connection.execute(_PARTS, *zip(*rows, strict=True))
            if placed := [(row[0], row[1], row[3]) for row in rows if row[2] == ORDER]:
                await connection.execute(_MOMENTS, *zip(*placed, strict=True))
            if new:
                await connection.execute(_ARTICLES, *zip(*map(_article_row, new), strict=True))
            moved = [(*place, offset) for place, (_, offset) in sorted(offsets.items())]
            if moved:
                await connection.execute(_CONSUMED, *zip(*moved, strict=True))
        if len(self._known) + len(new) > ARTICLES_MAX:
            self._known.clear()
        self._known |= dict.fromkeys(new)

    async def follow_erasures(self) -> int:
        """Take out the contacts of who was erased since the last time; of how many orders."""
        async with self._transaction() as connection:
            up_to = await connection.fetchval("SELECT up_to FROM erased")
        gone = await self._keyring.erased_since(up_to - _AGAIN if up_to else None)
        if not gone:
            return 0
        latest: datetime | None = max((at for *_, at in gone if at is not None), default=None)
        async with self._transaction() as connection:
            tenants, subjects, generations = zip(*(row[:3] for row in gone), strict=True)
            status = await connection.execute(_ERASE, tenants, subjects, generations)
            if latest is not None and latest != up_to:
                await connection.execute("DELETE FROM erased")
                await connection.execute("INSERT INTO erased VALUES ($1)", latest)
        return int(status.rpartition(" ")[2])

    async def note_common(self) -> None:
        """Note the commonest tokens, as PostgreSQL last counted them, for searches to look up the others."""
        async with self._transaction() as connection:
            await connection.execute("SELECT note_common()")

    async def digest(self) -> tuple[str, dict[TopicPartition, int]]:
        """Hex SHA-256 of all entries, as `services.console.digest` has it, and where they were read to."""
        found = hashlib.sha256()

        async def add(rows: bytes) -> None:
            found.update(rows)

        async with self._transaction(isolation="repeatable_read") as connection:
            await connection.execute("SET LOCAL statement_timeout = 0")
            rows = await connection.fetch("SELECT topic, partition, next_offset FROM consumed")
            for table, query in _TABLES.items():
                found.update(f"{table}\n".encode())
                await connection.copy_from_query(query, output=add)
        return found.hexdigest(), {(topic, partition): offset for topic, partition, offset in rows}

    @asynccontextmanager
    async def _transaction(self, **options: str) -> AsyncIterator[Connection]:
        async with transaction(self._pool, **options) as connection:
            await connection.execute(
                "SELECT set_config('search_path', quote_ident($1), true),"
                " set_config('synchronous_commit', 'off', true)",
                self._schema,
            )
            yield connection

    async def _rows(self, parts: Collection[Part]) -> list[tuple[object, ...]]:
        """Rows in key order; a contact that nobody can open any more has none."""
        rows: list[tuple[object, ...]] = []
        contacts: dict[str, list[Part]] = {}
        placed = {part[:2]: part.at for part in parts if part.at is not None}
        for part in parts:
            if part.sealed is None:
                found = tokens(part.words, part.tenant)
                at, words = placed.get(part[:2]), _joined(part.words)
                rows.append((*part[:3], at, words, _array(found), part.customer_id, None, None, None))
            else:
                told = part if part.at is not None else part._replace(at=placed.get(part[:2]))
                contacts.setdefault(part.tenant, []).append(told)
        for tenant, sealed in contacts.items():
            rows += await self._contact_rows(tenant, sealed)
        return sorted(rows, key=lambda row: row[:3])

    async def _contact_rows(self, tenant: str, parts: Sequence[Part]) -> list[tuple[object, ...]]:
        key = self._keyring.index_key(tenant)
        known = [(part, part.sealed) for part in parts if part.sealed is not None]
        opened = await self._keyring.open_many(tenant, [(part.order_id, sealed) for part, sealed in known])
        rows: list[tuple[object, ...]] = []
        for (part, sealed), personal in zip(known, opened, strict=True):
            if personal is not None:
                found = _array(tokens(personal_words(personal), tenant, key))
                # Its words are sealed: what stands in their place says which of an order's contacts is last.
                place = (tenant, part.order_id, CONTACT, part.at, part.newness, found, None)
                rows.append((*place, sealed.subject, sealed.generation, write_sealed(sealed)))
        return rows


def write_sealed(sealed: Sealed) -> str:
    """As `parts.sealed` has it."""
    return orjson.dumps(sealed.model_dump()).decode()


def _article_row(article: Article) -> tuple[object, ...]:
    words = [*words_of(article.sku), *words_of(article.description)]
    return (
        article.tenant,
        article.sku,
        storable(article.description),
        _joined(words),
        _array(tokens(words, article.tenant)),
    )


def _joined(words: Iterable[str]) -> str:
    return "".join(f" {word}" for word in words)


def _array(numbers: Sequence[int]) -> str:
    return f"{{{','.join(map(str, numbers))}}}"
