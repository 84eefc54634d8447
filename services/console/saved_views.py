"""Lists of orders that a person keeps under a name: the filters of an address, theirs alone."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple

import asyncpg

from libs.runtime.pool import Connection, transaction
from libs.runtime.postgres_log import reachable
from libs.runtime.problems import Problem

VIEWS_MAX = 50
"""Of one person."""
NAME_LENGTH_MAX = 60
QUERY_LENGTH_MAX = 2000
_SCOPE = "SELECT set_config('orderlog.tenant', $1, true), set_config('orderlog.actor', $2, true)"
_OF = "SELECT name, query FROM desk.saved_views ORDER BY lower(name), name"
_SAVE = """INSERT INTO desk.saved_views (tenant, owner, name, query) VALUES ($1, $2, $3, $4)
    ON CONFLICT (tenant, owner, name) DO UPDATE SET query = excluded.query, saved_at = now()"""


class SavedView(NamedTuple):
    """`query` is that of /orders."""

    name: str
    query: str


class SavedViews:
    """The table of them, under row-level security by tenant and owner."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def of(self, tenant: str, owner: str) -> Sequence[SavedView]:
        """By name."""
        async with self._scope(tenant, owner) as connection:
            rows = await connection.fetch(
                "SELECT name, query FROM desk.saved_views ORDER BY lower(name), name"
            )
        return [SavedView(*row) for row in rows]

    async def save(self, tenant: str, owner: str, name: str, query: str) -> None:
        """Keep it, in place of one of that name. Raises Problem 422: too many, or no name."""
        if not name or len(name) > NAME_LENGTH_MAX or "\x00" in name + query or len(query) > QUERY_LENGTH_MAX:
            raise Problem(
                422,
                "invalid_view",
                "The view was not saved",
                f"Its name takes 1 to {NAME_LENGTH_MAX} characters, its filters {QUERY_LENGTH_MAX}.",
                "Give it a shorter name.",
            )
        async with self._scope(tenant, owner) as connection:
            count = await connection.fetchval("SELECT count(*) FROM desk.saved_views WHERE name <> $1", name)
            if count >= VIEWS_MAX:
                raise Problem(
                    422,
                    "too_many_views",
                    "The view was not saved",
                    f"You have {count} views.",
                    "Delete one first.",
                )
            await connection.execute(_SAVE, tenant, owner, name, query)

    async def delete(self, tenant: str, owner: str, name: str) -> None:
        """Forget it, if it is there."""
        async with self._scope(tenant, owner) as connection:
            await connection.execute("DELETE FROM desk.saved_views WHERE name = $1", name)

    @asynccontextmanager
    async def _scope(self, tenant: str, owner: str) -> AsyncIterator[Connection]:
        with reachable():
            async with transaction(self._pool) as connection:
                await connection.execute(_SCOPE, tenant, owner)
                yield connection
