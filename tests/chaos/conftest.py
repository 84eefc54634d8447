"""One stack for all cases, a row of the table for each."""

import os
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from libs.runtime.settings import settings
from tests.chaos import table
from tests.chaos.oracle import Books, judge
from tests.chaos.postgres_proxy import Proxy
from tests.chaos.processes import Processes
from tests.chaos.shop import Shop
from tests.e2e.stacks import Stack, own_stack

LANES = 8
_HALTS = 20
"""The case whose skipped sequence halts a lane for good: the topic itself has the hole."""
QUICK = {
    "ORDERLOG_PARTITIONS": str(LANES),
    "ORDERLOG_SESSION_TIMEOUT_SECONDS": "6",
    "ORDERLOG_PUBLISH_TIMEOUT_SECONDS": "3",
    "ORDERLOG_LOCK_TIMEOUT_SECONDS": "2",
    "ORDERLOG_STATEMENT_TIMEOUT_SECONDS": "8",
    "ORDERLOG_RETRY_SECONDS_MAX": "1",
    "ORDERLOG_HALTED_RETRY_SECONDS": "2",
}
"""Bounds that are shorter than in production, so that what waits for them is seen within a test."""

_ROWS: list[table.Row] = []
_STARTED = time.monotonic()


class Case:
    """One case: what was done to the stack, who ordered meanwhile, and the row that tells of it."""

    def __init__(self, number: int, name: str, books: Books) -> None:
        self.number, self.name, self.books = number, name, books
        self.faults = 0
        self._last_fault = 0.0
        self._seconds: float | None = None

    def fault(self, count: int = 1) -> None:
        """Count a fault that has just been injected."""
        self.faults += count
        self._last_fault = time.monotonic()

    def recovered(self) -> None:
        """Everything that was ordered has been seen to."""
        self._seconds = time.monotonic() - self._last_fault

    @asynccontextmanager
    async def shop(self, stock: Mapping[str, int]) -> AsyncIterator[Shop]:
        """A shop of its own. After the block every order is waited for, cancelled, and the oracle asked."""
        shop = Shop(stock)
        try:
            await shop.open()
            yield shop
            await shop.served()
            if self._last_fault and self._seconds is None:
                self.recovered()
            await shop.cancel_all()
            await shop.closed()
            await self.judge(shop)
        finally:
            await shop.close()

    def also(self, orders: int) -> None:
        """Add to the row what came after its verdict: orders that got through, and faults counted since."""
        row = _ROWS.pop()
        assert row.number == self.number, "the verdict comes first"
        faults, orders = self.faults, row.orders + orders
        _ROWS.append(replace(row, faults=faults, orders=orders, seconds=self._seconds))

    def books_anew(self) -> Books:
        """Topics and logs read from their beginnings."""
        return Books()

    async def judge(self, shop: Shop) -> None:
        """Enter the oracle's verdict into the table; a failure when anything does not hold."""
        found = await judge(shop, self.books)
        _ROWS.append(
            table.Row(
                self.number,
                self.name,
                self.faults,
                found.orders,
                found.lost,
                found.doubled,
                found.oversold,
                self._seconds,
                found.holds,
            )
        )
        assert found.holds, found


@pytest.fixture(scope="session")
def chaos_stack() -> Iterator[Stack]:
    with own_stack(**QUICK) as running:
        yield running
        Processes(running, running.home).kill_all()


@pytest.fixture
def processes(chaos_stack: Stack, tmp_path: Path) -> Processes:
    return Processes(chaos_stack, tmp_path)


@pytest.fixture
async def proxy(chaos_stack: Stack) -> AsyncIterator[Proxy]:
    async with Proxy(settings().postgres_port).listening() as listening:
        yield listening


@pytest.fixture(scope="session")
def books(chaos_stack: Stack) -> Books:
    return Books()


@pytest.fixture
def case(request: pytest.FixtureRequest, books: Books) -> Case:
    """Named by the test's docstring; numbered by its name, as in test_07_…"""
    return Case(_number(request.node.name), (request.function.__doc__ or "").strip().rstrip("."), books)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """In the order of their numbers, but for the one that leaves a lane halted: nobody orders after it."""
    ours = [item for item in items if item.path.parent == Path(__file__).parent]
    ours.sort(key=lambda item: (_number(item.name) == _HALTS, _number(item.name)))
    items[:] = [item for item in items if item not in ours] + ours


def _number(name: str) -> int:
    return int(name.split("_")[1])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The table; a case that failed without a verdict, or after it, is shown as failed too."""
    told = {row.number: row for row in _ROWS}
    for kind in ("failed", "error"):
        for report in terminalreporter.stats.get(kind, ()):
            name = report.nodeid.rpartition("::")[2]
            if "tests/chaos/" in report.nodeid:
                number = _number(name)
                was = told.get(number, table.Row(number, name, 0, 0, 0, 0, 0, None, False))
                told[number] = replace(was, holds=False)
    _ROWS[:] = told.values()
    if _ROWS:
        terminalreporter.write_sep("=", "chaos")
        terminalreporter.write_line(table.markdown(_ROWS))
        if os.environ.get("CHAOS_TABLE") == "keep":
            table.keep(_ROWS, time.monotonic() - _STARTED)
