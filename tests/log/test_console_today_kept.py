"""Figures of Today that are shown while they are counted again, over a real PostgreSQL."""

import re

import asyncpg
import pytest

from services.console.store import Projector
from tests.console_database import by_stage, console_dsn, pool
from tests.console_lives import Life, delivered
from tests.console_site import People, people
from tests.log.test_console_store import feed

__all__ = ["console_dsn", "people", "pool"]
AGAIN = 'data-live-every="1"'
"""By which a browser asks once more, though nothing new is announced."""
ASKED_MAX = 200


def opened(order_id: str) -> Life:
    """An order that was accepted, and of which nothing else is known yet."""
    return {"intake": delivered(order_id)["intake"][:1]}


def accepted(drawn: str) -> int:
    [found] = re.findall(r'data-figure="accepted">(\d+)<', drawn)
    return int(found)


async def test_figures_that_miss_something_are_asked_for_again_until_they_do_not(
    people: People, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.console.pages.today.SLOW_SECONDS", -1.0)
    monkeypatch.setattr("services.console.pages.today.KEPT_SECONDS", 0.0)
    projector, lives = Projector(pool), [opened("o-1"), opened("o-2")]
    await feed(projector, by_stage(lives[0]))
    viewer = await people.sign_in("viewer")
    drawn = await viewer.get("/")
    assert (accepted(drawn), AGAIN in drawn) == (1, False)
    await feed(projector, by_stage(*lives))
    drawn = await viewer.get("/parts/today")
    assert (accepted(drawn), AGAIN in drawn) == (1, True)
    for _ in range(ASKED_MAX):
        if AGAIN not in (drawn := await viewer.get("/parts/today")):
            break
    assert (accepted(drawn), AGAIN in drawn) == (2, False)
