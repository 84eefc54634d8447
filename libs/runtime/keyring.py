"""The keyring: makes, finds and destroys the keys of data subjects, and seals and opens with them.

It is a database of its own, so that a wrapped key is never on an event, in a topic or in a stage's backup.

Erasure overwrites every generation of a subject's key. In the process that erases, it holds at once; any
other process may open what is already sealed for `cache_seconds` longer (settings.key_cache_seconds), from
the moment it last read the key. Sealing never trusts the cache: data sealed under a key that has been
destroyed meanwhile would be lost, so the living key is read each time (one round trip for any number).
Backups of the keyring's own database hold old wrapped keys: an erasure is final with the last of them.
"""

import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg

from libs.events.order import Sealed
from libs.runtime.key_cache import KeyCache
from libs.runtime.master_key import read_master_key
from libs.runtime.pool import bounded_pool
from libs.runtime.privacy import (
    KEY_BYTES,
    SubjectKey,
    Unopenable,
    canonical,
    check_place,
    index_key,
    link_key,
    new_key,
    seal,
    unseal,
    unwrap,
    wrap,
)
from libs.runtime.settings import Settings

CACHED_KEYS_MAX = 10_000
_ROUNDS_MAX = 10
"""Each round but the first is lost to another process that made or erased the same key meanwhile."""


@dataclass(frozen=True, slots=True)
class Unsealed:
    """Personal data of one order, to be sealed. `personal` is as in `libs.runtime.privacy.canonical`."""

    subject: str
    order_id: str
    personal: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A key as the keyring stores it; `wrapped` is None once it was destroyed."""

    subject: str
    generation: int
    wrapped: bytes | None


@dataclass(frozen=True, slots=True)
class Erasure:
    """The audit row of one erasure."""

    subject: str
    generations: tuple[int, ...]
    actor: str
    erased_at: datetime | None


class Keyring(ABC):
    """Seals and opens; where the keys lie is the subclass's matter."""

    def __init__(
        self,
        master: bytes,
        cache_seconds: float,
        cache_size: int = CACHED_KEYS_MAX,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        assert len(master) == KEY_BYTES
        assert cache_size >= 1
        self._master = master
        self._now = now
        self._cache = KeyCache(cache_seconds, cache_size, now)

    async def seal(self, tenant: str, subject: str, order_id: str, personal: Mapping[str, Any]) -> Sealed:
        """Seal under the subject's living key, made when there is none. The same again is the same bytes.

        PersonalDataRefused names the field that cannot be sealed.
        """
        (sealed,) = await self.seal_many(tenant, [Unsealed(subject, order_id, personal)])
        return sealed

    async def seal_many(self, tenant: str, requests: Sequence[Unsealed]) -> list[Sealed]:
        """Seal each, in the order given, all or none; one round trip unless a key was erased before."""
        for request in requests:
            check_place(request.order_id, request.subject)
            canonical(request.personal)
        living = await self._living_keys(tenant, {request.subject for request in requests})
        sealed = []
        for request in requests:
            generation, key = living[request.subject]
            sealed.append(seal(key, tenant, request.order_id, request.subject, generation, request.personal))
        return sealed

    async def open(self, tenant: str, order_id: str, sealed: Sealed) -> dict[str, Any] | None:
        """The personal data, or None once the subject was erased.

        Unopenable: it was sealed elsewhere, for another order, or altered.
        """
        place = (tenant, sealed.subject, sealed.generation)
        key = self._cache.get(place)
        if key is None:
            read_at = self._now()
            stored = await self._read(*place)
            if stored is None:
                raise Unopenable(f"this keyring has no generation {sealed.generation} of {sealed.subject}")
            if stored.wrapped is None:
                return None
            key = SubjectKey(unwrap(self._master, stored.wrapped, *place))
            self._cache.put(place, key, read_at)
        return unseal(key, tenant, order_id, sealed)

    async def open_many(
        self, tenant: str, sealed: Sequence[tuple[str, Sealed]]
    ) -> list[dict[str, Any] | None]:
        """As `open`, for many by order id, in the order given, with one round trip at most. What cannot be
        opened is None too, as if it were erased."""
        read_at = self._now()
        places = {(one.subject, one.generation) for _, one in sealed}
        missing = [place for place in places if self._cache.get((tenant, *place)) is None]
        for stored in await self._read_many(tenant, sorted(missing)) if missing else ():
            place = (tenant, stored.subject, stored.generation)
            if stored.wrapped is not None:
                with suppress(Unopenable):
                    self._cache.put(place, SubjectKey(unwrap(self._master, stored.wrapped, *place)), read_at)
        return [self._opened(tenant, order_id, one) for order_id, one in sealed]

    def index_key(self, tenant: str) -> bytes:
        """See `libs.runtime.privacy.index_key`."""
        return index_key(self._master, tenant)

    def link_key(self) -> bytes:
        """See `libs.runtime.privacy.link_key`."""
        return link_key(self._master)

    def _opened(self, tenant: str, order_id: str, sealed: Sealed) -> dict[str, Any] | None:
        key = self._cache.get((tenant, sealed.subject, sealed.generation))
        try:
            return None if key is None else unseal(key, tenant, order_id, sealed)
        except Unopenable:
            return None

    async def erase(self, tenant: str, subject: str, actor: str) -> int:
        """Destroy every generation of the subject's key; returns how many were still living.

        What was sealed stays where it is, unreadable. A later order gets a new generation.
        """
        assert actor, "an erasure is somebody's act"
        generations = await self._destroy(tenant, subject, actor)
        self._cache.drop(tenant, subject)
        return len(generations)

    async def _living_keys(self, tenant: str, subjects: set[str]) -> dict[str, tuple[int, SubjectKey]]:
        """The living generation of each subject; a missing one is made, by whoever comes first."""
        living: dict[str, tuple[int, SubjectKey]] = {}
        wanted = dict.fromkeys(sorted(subjects), 1)
        for _ in range(_ROUNDS_MAX):
            if not wanted:
                return living
            read_at = self._now()
            offered = [
                StoredKey(subject, generation, wrap(self._master, new_key(), tenant, subject, generation))
                for subject, generation in wanted.items()
            ]
            for stored in await self._offer(tenant, offered):
                assert stored.wrapped is not None
                place = (tenant, stored.subject, stored.generation)
                key = self._cache.get(place) or SubjectKey(unwrap(self._master, stored.wrapped, *place))
                self._cache.put(place, key, read_at)
                living[stored.subject] = (stored.generation, key)
            wanted = {subject: generation for subject, generation in wanted.items() if subject not in living}
            if wanted:
                last = await self._last_generations(tenant, list(wanted))
                wanted = {subject: last.get(subject, 0) + 1 for subject in wanted}
        raise TimeoutError(f"keys of {len(wanted)} data subjects are being erased again and again")

    @abstractmethod
    async def _offer(self, tenant: str, offered: Sequence[StoredKey]) -> list[StoredKey]:
        """Keep each offered key unless its subject has that generation; return the living ones seen."""

    @abstractmethod
    async def _last_generations(self, tenant: str, subjects: Sequence[str]) -> dict[str, int]:
        """The highest generation of each subject that ever had a key, destroyed or not."""

    @abstractmethod
    async def _read(self, tenant: str, subject: str, generation: int) -> StoredKey | None: ...

    @abstractmethod
    async def _read_many(self, tenant: str, places: Sequence[tuple[str, int]]) -> list[StoredKey]:
        """Those of these generations that there are, by subject and generation."""

    @abstractmethod
    async def erased_since(self, after: datetime | None) -> list[tuple[str, str, int, datetime | None]]:
        """(tenant, subject, generation, when) of every key destroyed after that moment; of all, with none."""

    @abstractmethod
    async def _destroy(self, tenant: str, subject: str, actor: str) -> tuple[int, ...]:
        """Overwrite the living keys and leave an audit row, in one step; returns their generations."""

    @abstractmethod
    async def erasures(self, tenant: str, subject: str) -> list[Erasure]:
        """The audit rows of a subject, oldest first."""


class PostgresKeyring(Keyring):
    """Keys in PostgreSQL; any number of processes share them."""

    def __init__(
        self,
        pool: "asyncpg.Pool[asyncpg.Record]",
        master: bytes,
        cache_seconds: float,
        cache_size: int = CACHED_KEYS_MAX,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(master, cache_seconds, cache_size, now)
        self._pool = pool

    async def _offer(self, tenant: str, offered: Sequence[StoredKey]) -> list[StoredKey]:
        # A key that another transaction commits while this statement runs is in neither half: the caller
        # asks again. Rows go in by subject, so that two callers wait for each other in one order.
        rows = await self._pool.fetch(
            """
            WITH offered AS (
                SELECT * FROM unnest($2::text[], $3::int[], $4::bytea[]) AS o (subject, generation, wrapped)
            ), made AS (
                INSERT INTO subject_keys (tenant, subject, generation, wrapped)
                SELECT $1, subject, generation, wrapped FROM offered ORDER BY subject
                ON CONFLICT DO NOTHING
                RETURNING subject, generation, wrapped
            )
            SELECT subject, generation, wrapped FROM made
            UNION ALL
            SELECT k.subject, k.generation, k.wrapped FROM subject_keys k JOIN offered o USING (subject)
            WHERE k.tenant = $1 AND k.wrapped IS NOT NULL
            """,
            tenant,
            [key.subject for key in offered],
            [key.generation for key in offered],
            [key.wrapped for key in offered],
        )
        return [StoredKey(*row) for row in rows]

    async def _last_generations(self, tenant: str, subjects: Sequence[str]) -> dict[str, int]:
        rows = await self._pool.fetch(
            "SELECT subject, max(generation) FROM subject_keys"
            " WHERE tenant = $1 AND subject = ANY($2::text[]) GROUP BY subject",
            tenant,
            list(subjects),
        )
        return {row[0]: row[1] for row in rows}

    async def _read(self, tenant: str, subject: str, generation: int) -> StoredKey | None:
        row = await self._pool.fetchrow(
            "SELECT subject, generation, wrapped FROM subject_keys"
            " WHERE tenant = $1 AND subject = $2 AND generation = $3",
            tenant,
            subject,
            generation,
        )
        return None if row is None else StoredKey(*row)

    async def _read_many(self, tenant: str, places: Sequence[tuple[str, int]]) -> list[StoredKey]:
        rows = await self._pool.fetch(
            "SELECT subject, generation, wrapped FROM subject_keys"
            " JOIN unnest($2::text[], $3::int[]) AS wanted (subject, generation) USING (subject, generation)"
            " WHERE tenant = $1",
            tenant,
            [subject for subject, _ in places],
            [generation for _, generation in places],
        )
        return [StoredKey(*row) for row in rows]

    async def erased_since(self, after: datetime | None) -> list[tuple[str, str, int, datetime | None]]:
        rows = await self._pool.fetch(
            "SELECT tenant, subject, unnest(generations), erased_at FROM erasures"
            " WHERE $1::timestamptz IS NULL OR erased_at > $1 ORDER BY erased_at",
            after,
        )
        return [tuple(row) for row in rows]

    async def _destroy(self, tenant: str, subject: str, actor: str) -> tuple[int, ...]:
        generations = await self._pool.fetchval(
            """
            WITH destroyed AS (
                UPDATE subject_keys SET wrapped = NULL, destroyed_at = now()
                WHERE tenant = $1 AND subject = $2 AND wrapped IS NOT NULL
                RETURNING generation
            )
            INSERT INTO erasures (tenant, subject, generations, actor)
            SELECT $1, $2, coalesce(array_agg(generation ORDER BY generation), '{}'), $3 FROM destroyed
            RETURNING generations
            """,
            tenant,
            subject,
            actor,
        )
        return tuple(generations)

    async def erasures(self, tenant: str, subject: str) -> list[Erasure]:
        rows = await self._pool.fetch(
            "SELECT subject, generations, actor, erased_at FROM erasures"
            " WHERE tenant = $1 AND subject = $2 ORDER BY id",
            tenant,
            subject,
        )
        return [Erasure(row[0], tuple(row[1]), row[2], row[3]) for row in rows]


class MemoryKeyring(Keyring):
    """Keys of one process, for tests of what uses a keyring. Its audit rows carry no time."""

    def __init__(
        self,
        master: bytes = bytes(KEY_BYTES),
        cache_seconds: float = 60.0,
        cache_size: int = CACHED_KEYS_MAX,
        now: Callable[[], float] = time.monotonic,
        shared: "MemoryKeyring | None" = None,
    ) -> None:
        """`shared` is another keyring over the same keys, as a second process would have."""
        super().__init__(master, cache_seconds, cache_size, now)
        self._keys: dict[tuple[str, str, int], bytes | None] = shared._keys if shared else {}
        self._erasures: list[tuple[str, Erasure]] = shared._erasures if shared else []

    async def _offer(self, tenant: str, offered: Sequence[StoredKey]) -> list[StoredKey]:
        for key in offered:
            if not self._living(tenant, key.subject):
                self._keys.setdefault((tenant, key.subject, key.generation), key.wrapped)
        return [living for key in offered for living in self._living(tenant, key.subject)]

    async def _last_generations(self, tenant: str, subjects: Sequence[str]) -> dict[str, int]:
        known = sorted((subject, generation) for owner, subject, generation in self._keys if owner == tenant)
        return {subject: generation for subject, generation in known if subject in subjects}

    async def _read(self, tenant: str, subject: str, generation: int) -> StoredKey | None:
        place = (tenant, subject, generation)
        return StoredKey(subject, generation, self._keys[place]) if place in self._keys else None

    async def _read_many(self, tenant: str, places: Sequence[tuple[str, int]]) -> list[StoredKey]:
        found = [await self._read(tenant, *place) for place in places]
        return [stored for stored in found if stored is not None]

    async def erased_since(self, after: datetime | None) -> list[tuple[str, str, int, datetime | None]]:
        return [
            (tenant, row.subject, generation, None)
            for tenant, row in self._erasures
            for generation in row.generations
        ]

    async def _destroy(self, tenant: str, subject: str, actor: str) -> tuple[int, ...]:
        generations = tuple(key.generation for key in self._living(tenant, subject))
        for generation in generations:
            self._keys[tenant, subject, generation] = None
        self._erasures.append((tenant, Erasure(subject, generations, actor, None)))
        return generations

    async def erasures(self, tenant: str, subject: str) -> list[Erasure]:
        return [row for owner, row in self._erasures if (owner, row.subject) == (tenant, subject)]

    def _living(self, tenant: str, subject: str) -> list[StoredKey]:
        return [
            StoredKey(subject, generation, wrapped)
            for (owner, name, generation), wrapped in self._keys.items()
            if (owner, name) == (tenant, subject) and wrapped is not None
        ]


@asynccontextmanager
async def open_keyring(settings: Settings) -> AsyncIterator[PostgresKeyring]:
    """The keyring that the settings point at. Complaint: the master key cannot be used."""
    master = read_master_key(settings.master_key_file)
    async with bounded_pool(
        settings.dsn("keyring"),
        settings,
        min_size=0,
        max_size=settings.pool_size,
        command_timeout=settings.statement_timeout_seconds,
    ) as pool:
        yield PostgresKeyring(pool, master, settings.key_cache_seconds)
