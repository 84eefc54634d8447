"""Read models in a throwaway PostgreSQL, as the migrations leave them, and topics to fill them from."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import asyncpg
import pytest
import pytest_asyncio

from libs.events.contract import Event
from libs.events.envelope import Envelope
from tests.console_lives import Life
from tests.console_parts import envelopes


@pytest.fixture(scope="module")
def console_dsn(console_like: Callable[[], str]) -> str:
    """A database as the migrations leave it, owned by an ordinary role."""
    return console_like()


@pytest_asyncio.fixture
async def pool(console_dsn: str) -> AsyncIterator[asyncpg.Pool]:
    """Connections to read models that are empty."""
    async with read_models(console_dsn) as opened:
        yield opened


@asynccontextmanager
async def read_models(dsn: str) -> AsyncIterator[asyncpg.Pool]:
    """Connections to read models that are empty and as the migrations make them, and will be again."""
    async with asyncpg.create_pool(dsn, min_size=1, max_size=6) as opened:
        made = await opened.fetchval(_MADE)
        yield opened
        await opened.execute("DROP SCHEMA IF EXISTS rebuild CASCADE")
        if await opened.fetchval(_MADE) != made:
            await opened.execute("DROP SCHEMA IF EXISTS live CASCADE")
            await opened.execute("SELECT create_read_models('live')")
        elif written := await opened.fetchval(WRITTEN):
            await opened.execute(f"TRUNCATE {written} RESTART IDENTITY")


_MADE = """
    WITH own AS (SELECT oid, relname, relowner, relacl, relrowsecurity, relforcerowsecurity, reloptions,
            pg_stat_get_analyze_count(oid) AS analyzed
        FROM pg_class WHERE relnamespace = to_regnamespace('live') AND relkind <> 'i'),
    parts (xmin) AS (SELECT a.xmin FROM pg_attribute a JOIN own ON attrelid = own.oid AND attnum > 0
        UNION ALL SELECT i.xmin FROM pg_index i JOIN own ON indrelid = own.oid
        UNION ALL SELECT c.xmin FROM pg_constraint c JOIN own ON conrelid = own.oid
        UNION ALL SELECT t.xmin FROM pg_trigger t JOIN own ON tgrelid = own.oid
        UNION ALL SELECT p.xmin FROM pg_policy p JOIN own ON polrelid = own.oid
        UNION ALL SELECT p.xmin FROM pg_proc p WHERE pronamespace = to_regnamespace('live'))
    SELECT array_agg(own::text ORDER BY oid) || (SELECT (count(*), max(xmin::text::bigint))::text FROM parts)
    FROM own"""
"""How the live read models are made: which tables, not what is in them. A row of the catalogue that is
changed has another xmin. Statistics that a test has taken count as well."""
WRITTEN = """
    SELECT string_agg(oid::regclass::text, ', ') FROM pg_class
    WHERE relnamespace = 'live'::regnamespace AND relkind = 'r' AND pg_relation_size(oid) > 0"""
"""The live tables that hold rows, or held some: this is asked of their files, which no policy hides."""


def by_stage(*lives: Life) -> dict[str, list[Envelope[Event]]]:
    """Each stage's topic of one lane: these lives, one after the other."""
    stages: dict[str, list[Event]] = {}
    for life in lives:
        for stage, events in life.items():
            stages.setdefault(stage, []).extend(events)
    return {stage: envelopes(stage, events) for stage, events in stages.items()}
