"""Read models in a throwaway PostgreSQL, as the migrations leave them, and topics to fill them from."""

from collections.abc import AsyncIterator, Callable

import asyncpg
import psycopg
import pytest
import pytest_asyncio
from yoyo import get_backend, read_migrations

from libs.events.contract import Event
from libs.events.envelope import Envelope
from libs.runtime.migrate import ROOT
from tests.console_lives import Life
from tests.console_parts import envelopes

OWNER = "console_app"
"""Who owns the tables, as in production: no superuser, so row-level security binds it too."""


@pytest.fixture(scope="module")
def console_dsn(postgres_dsn: Callable[[], str]) -> str:
    """A database as the migrations leave it, owned by an ordinary role."""
    dsn = postgres_dsn()
    with psycopg.connect(dsn, autocommit=True) as connection:
        name = connection.info.dbname
        if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [OWNER]).fetchone():
            connection.execute(f"CREATE ROLE {OWNER} LOGIN CREATEROLE NOSUPERUSER")
        connection.execute(f'ALTER DATABASE "{name}" OWNER TO {OWNER}')
        connection.execute(f"ALTER SCHEMA public OWNER TO {OWNER}")
    owned = dsn.replace("//postgres:@", f"//{OWNER}:@")
    assert owned != dsn
    backend = get_backend(owned.replace("postgresql://", "postgresql+psycopg://", 1))
    backend.apply_migrations(
        backend.to_apply(read_migrations(str(ROOT / "services" / "console" / "migrations")))
    )
    backend.connection.close()
    return owned


@pytest_asyncio.fixture
async def pool(console_dsn: str) -> AsyncIterator[asyncpg.Pool]:
    """Connections to read models that are empty."""
    async with asyncpg.create_pool(console_dsn, min_size=1, max_size=6) as opened:
        yield opened
        for schema in ("live", "rebuild"):
            await opened.execute(f"DROP SCHEMA IF EXISTS {schema} CASCADE")
        await opened.execute("SELECT create_read_models('live')")


def by_stage(*lives: Life) -> dict[str, list[Envelope[Event]]]:
    """Each stage's topic of one lane: these lives, one after the other."""
    stages: dict[str, list[Event]] = {}
    for life in lives:
        for stage, events in life.items():
            stages.setdefault(stage, []).extend(events)
    return {stage: envelopes(stage, events) for stage, events in stages.items()}
