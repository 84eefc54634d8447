"""For the console's tests: one browser, and a month of orders with some that are still open."""

import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio
from playwright.async_api import Browser

from libs.runtime.settings import settings
from tests.console.browser import Desk, chromium
from tests.e2e.stacks import Stack

MONTH_ORDERS = 120
_HEADER = (
    "channel,external_id,placed_at,currency,payment,customer_id,sku,quantity,unit_price_minor,"
    "name,address_line_1,city,postcode,country,email\n"
)
_WHO = "Ada Example,1 Sample Street,London,EC1A 1AA,GB,ada@mail.example"
OPEN = {"T-held": "held", "T-waits": "backordered", "T-picks": "released", "T-picks-2": "released"}
"""Orders of the channel `web` that stay open, by external id, and where they stand."""
_SECONDS = 60.0


@pytest_asyncio.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as opened:
        yield opened


@pytest.fixture(scope="session")
def month(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A tenant with a small month of a real retailer, all of it at its end, and with the orders of OPEN."""
    tenant = f"month-{uuid4().hex[:8]}"
    stack.json("demo", "--orders", str(MONTH_ORDERS), "--tenant", tenant, timeout_seconds=300)
    place = ("--name", "London", "--country", "GB", "--lat", "51.5", "--lon", "-0.1")
    stack.json("nodes", "define", "LON", *place, "--tenant", tenant)
    stack.json("stock", "receive", "MUG", "LON", "10", "--tenant", tenant)
    _submit(stack, tenant, tmp_path_factory.mktemp("orders") / "open.csv")
    give_up_at = time.monotonic() + _SECONDS
    while (found := _standing(stack, tenant)) != OPEN:
        assert time.monotonic() < give_up_at, f"the open orders stand elsewhere: {found}"
    return tenant


@pytest.fixture
def desk(browser: Browser, month: str) -> Desk:
    """The console, as people of the month's tenant reach it."""
    return Desk(browser, f"http://127.0.0.1:{settings().port('console')}", month)


def _submit(stack: Stack, tenant: str, file: Path) -> None:
    def row(external: str, sku: str, quantity: int, payment: str = "paid") -> str:
        return f"web,{external},2026-03-02T09:00:00Z,GBP,{payment},77,{sku},{quantity},995,{_WHO}\n"

    rows = row("T-held", "MUG", 1, "pending"), row("T-waits", "TEAPOT", 3)
    file.write_text(_HEADER + "".join(rows) + row("T-picks", "MUG", 2) + row("T-picks-2", "MUG", 1))
    done = stack.run("orders", "submit", str(file), "--tenant", tenant, "--json")
    assert done.returncode == 0, done.stderr


def _standing(stack: Stack, tenant: str) -> dict[str, Any]:
    done = stack.run("orders", "list", "--channel", "web", "--tenant", tenant, "--json")
    rows = json.loads(done.stdout.splitlines()[-1])["orders"]
    return {row["external_id"]: row["status"] for row in rows}
