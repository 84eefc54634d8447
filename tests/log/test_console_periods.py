"""Figures of a period from sums by day are those of its orders, wherever it begins and ends."""

import random
from datetime import datetime, timedelta
from typing import Any

import asyncpg
import pytest

from cli.bench.month import TENANT
from services.console import measures
from services.console.measures import By, DelaysBy, Period, read_delays, read_measures
from services.console.queries import Queries
from services.console.today import EVERYTHING, Only
from tests.console_database import console_dsn
from tests.log.test_bench_console import ENDS, month, pool

__all__ = ["console_dsn", "month", "pool"]
BY: tuple[By, ...] = ("all", "day", "channel", "node")
DELAYS_BY: tuple[DelaysBy, ...] = (*BY, "carrier")
LENGTHS = [timedelta(days=days) for days in (3, 14, 60)]
NODES = (None, ("LON",), ("MAN", "RTM"))


def order_by_order(period: Period, now: datetime) -> tuple[object, ...]:
    """Parts of a period that has no days."""
    nobody = (period.before, period.before, 1)
    return (period.since, period.before, 1, *nobody, period.before.date(), period.before.date())


def figures(rows: Any) -> list[Any]:
    """To be compared: a mean is what its sum makes it, to a millionth."""
    return [pytest.approx(row) if isinstance(row, float) else row for row in _flat(rows)]


def _flat(found: Any) -> list[Any]:
    if isinstance(found, dict):
        return [one for key, value in sorted(found.items()) for one in (key, *_flat(value))]
    if isinstance(found, list):
        return [one for value in found for one in _flat(value)]
    return [found]


@pytest.mark.parametrize("seed", range(4))
async def test_a_period_is_the_sum_of_its_orders(
    pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    choice = random.Random(seed)
    befores = [ENDS, *(ENDS - timedelta(minutes=choice.randrange(60 * 24 * 20)) for _ in range(4))]
    periods = [Period(before - choice.choice(LENGTHS) * choice.random(), before) for before in befores]
    only = choice.choice((EVERYTHING, Only(channel="retail"), Only(node="LON")))
    async with Queries(pool, choice.choice(NODES)).reading(TENANT) as connection:

        async def ask() -> list[Any]:
            return [
                [
                    *[await read_measures(connection, TENANT, one, by, ENDS, only) for by in BY],
                    *[await read_delays(connection, TENANT, one, by, ENDS) for by in DELAYS_BY],
                ]
                for one in periods
            ]

        from_days = await ask()
        monkeypatch.setattr(measures, "_parts", order_by_order)
        from_orders = await ask()
    assert _flat(from_days) == figures(from_orders)
    assert len(_flat(from_days)) > 100
