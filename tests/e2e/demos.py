"""A part of the demo's month, played once for all who look at it."""

import asyncio
from dataclasses import dataclass
from typing import Any

import asyncpg

from libs.runtime.settings import settings
from tests.e2e.stacks import Stack

ORDERS = 150
SECONDS = 400.0


@dataclass(frozen=True)
class Demo:
    """What `orderlog demo --json` said, and how many orders were closed when it had."""

    report: dict[str, Any]
    closed: int

    @property
    def tenant(self) -> str:
        return str(self.report["tenant"])


def play(stack: Stack) -> Demo:
    """Run it, as the tenant that it chooses."""
    report = stack.json("demo", "--orders", str(ORDERS), timeout_seconds=SECONDS)
    return Demo(report, closed(report["tenant"]))


def closed(tenant: str) -> int:
    """Orders of the tenant that intake has closed, asked of its log."""
    query = "SELECT DISTINCT stream FROM log WHERE tenant = $1 AND type = 'oms.intake.order_closed'"
    return len(fetch("intake", query, tenant))


def fetch(stage: str, query: str, *arguments: object) -> list[asyncpg.Record]:
    """Rows of a stage's database."""

    async def fetching() -> list[asyncpg.Record]:
        connection = await asyncpg.connect(settings().dsn(stage))
        try:
            return list(await connection.fetch(query, *arguments))
        finally:
            await connection.close()

    return asyncio.run(fetching())
