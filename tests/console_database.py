"""Read models in a throwaway PostgreSQL, as the migrations leave them, and topics to fill them from."""

from collections.abc import AsyncIterator, Callable

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
