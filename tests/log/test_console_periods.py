"""Figures of a period from sums by day are those of its orders, wherever it begins and ends."""

import random
from datetime import datetime, timedelta
from typing import Any

import asyncpg
import pytest

from cli.bench.month import TENANT
from services.console import measures
from services.console.measures import Period, read_delays, read_measures
from services.console.queries import Queries
from services.console.today import EVERYTHING, Only
from tests.console_database import console_dsn
from tests.log.test_bench_console import ENDS, month, pool

__all__ = ["console_dsn", "month", "pool"]
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


@pytest.mark.parametrize("seed", range(8))
async def test_a_period_is_the_sum_of_its_orders(
    pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    choice = random.Random(seed)
    hours = choice.choice((5, 30, 24 * 7, 24 * 40, 24 * 70))
    before = ENDS - timedelta(minutes=choice.randrange(60 * 24 * 20)) if seed % 2 else ENDS
    period = Period(before - timedelta(hours=hours, minutes=choice.randrange(60 * 12)), before)
    only = choice.choice((EVERYTHING, Only(channel="retail"), Only(node="LON")))
    compared = 0
    async with Queries(pool, choice.choice(NODES)).reading(TENANT) as connection:

        async def ask() -> list[Any]:
            by_measure = [
                await read_measures(connection, TENANT, period, by, ENDS, only)
                for by in ("all", "day", "channel", "node")
            ]
            by_delay = [
                await read_delays(connection, TENANT, period, by, ENDS)
                for by in ("all", "day", "channel", "node", "carrier")
            ]
            return [by_measure, by_delay]

        from_days = await ask()
        monkeypatch.setattr(measures, "_parts", order_by_order)
        from_orders = await ask()
    found, expected = _flat(from_days), figures(from_orders)
    assert found == expected
    compared = len(found)
    assert compared > 100 or hours == 5
