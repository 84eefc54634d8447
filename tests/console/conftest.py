"""For the console's tests: one browser, and a month of orders with some that are still open."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser

from libs.runtime.settings import settings
from tests.console.browser import Desk, chromium
from tests.console.orders import LONDON, Orders
from tests.e2e.demos import Demo
from tests.e2e.stacks import Stack

OPEN = {"T-held": "held", "T-waits": "backordered", "T-picks": "released", "T-picks-2": "released"}
"""Orders of the channel `web` that are open as the month begins to be looked at, and where they stand."""


@pytest_asyncio.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as opened:
        yield opened


@pytest.fixture(scope="session")
def month(stack: Stack, demo: Demo, tmp_path_factory: pytest.TempPathFactory) -> Orders:
    """A tenant with a small month of a real retailer, all of it at its end, and with the orders of OPEN."""
    stack.each(
        LONDON,
        ("stock", "receive", "MUG", "LON", "100"),
        ("stock", "bin", "MUG", "LON", "A-12-3"),
        ("stock", "put-away", "MUG", "LON", "60", "--to", "R-7-2"),
        tenant=demo.tenant,
    )
    found = Orders(stack, demo.tenant, tmp_path_factory.mktemp("orders"))
    found.submit("T-held", payment="pending")
    found.submit("T-waits", "TEAPOT", 3)
    found.submit("T-picks", quantity=2)
    found.submit("T-picks-2")
    found.until(lambda standing: standing == OPEN)
    return found


@pytest.fixture
def orders(month: Orders) -> Orders:
    """The month's, to add some. They stay: no test may count on there being no others."""
    return month


@pytest.fixture
def desk(browser: Browser, month: Orders) -> Desk:
    """The console, as people of the month's tenant reach it."""
    return Desk(browser, f"http://127.0.0.1:{settings().port('console')}", month.tenant)
