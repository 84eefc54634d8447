"""The ten daily tasks of docs/console.md, done by somebody who counts their clicks: as many as it says."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from uuid import uuid4

import pytest
from playwright.async_api import Page, expect

from tests.console.browser import Desk
from tests.console.test_orders import find, off_loop, submit

pytestmark = pytest.mark.e2e

PAGE = Path(__file__).parents[2] / "docs" / "console.md"
MOST = 3
_COUNTING = """addEventListener("click", (event) => {
    if (event.isTrusted && event.detail > 0)
        sessionStorage.setItem("clicks", 1 + Number(sessionStorage.getItem("clicks") || 0));
}, true)"""
"""A click of the mouse; what the Enter key does to a form is none."""


def told() -> dict[str, tuple[str, int]]:
    """Whose each task is, and its clicks, as the page has them."""
    rows = re.findall(r"^\| \d+ \| ([^|]+) \| (\w+) \| [^|]+ \| (\d) \|$", PAGE.read_text(), re.MULTILINE)
    return {task: (role, int(clicks)) for task, role, clicks in rows}


class Order:
    """One that is held for its payment, of a customer whom nobody else is called like."""

    def __init__(self, tenant: str) -> None:
        self.external_id, self.surname = f"D-{uuid4().hex[:8]}", f"Zq{uuid4().hex[:8]}"
        self.id = submit(tenant, self.external_id, f"Daily {self.surname}", "pending")

    async def open(self, page: Page) -> None:
        """By a part of the customer's name: typed, then a click on what is found."""
        await find(page, self.surname[:7], self.external_id)
        await page.get_by_role("link", name=self.external_id).click()
        await expect(page.locator("h1")).to_contain_text(self.external_id)


async def by_name(page: Page, order: Order) -> None:
    await order.open(page)


async def why_it_waits(page: Page, order: Order) -> None:
    await order.open(page)
    await expect(page.locator("#blocked + .message")).to_contain_text("Acts next: Support")


async def release(page: Page, order: Order) -> None:
    await order.open(page)
    await page.get_by_role("link", name="Release payment").click()
    await page.get_by_label("Why").fill("paid by wire")
    await page.get_by_role("button", name="Release hold payment").click()
    await expect(page.locator("h1")).to_contain_text(
        re.compile("accepted|reserved|routed|allocated|released")
    )


async def cancel(page: Page, order: Order) -> None:
    await order.open(page)
    await page.get_by_role("link", name="Cancel …").click()
    await page.get_by_label("Why").fill("asked to")
    await page.get_by_role("button", name="Cancel", exact=False).last.click()
    await expect(page.locator("h1")).to_contain_text("cancelled")


async def contact(page: Page, order: Order) -> None:
    await order.open(page)
    await page.get_by_label("Why").fill("called back")
    await page.get_by_role("button", name="Show the contact").click()
    await expect(page.locator("main")).to_contain_text(order.surname)


async def link(page: Page, order: Order) -> None:
    await order.open(page)
    await page.get_by_role("button", name="Link for the customer").click()
    await expect(page.get_by_label("Link")).to_have_value(re.compile("/o/"))


async def late_at_a_node(page: Page, order: Order) -> None:
    await page.locator("[data-figure=late]").click()
    await page.get_by_label("Node").fill("LON")
    await page.get_by_label("Node").press("Enter")
    await expect(page.locator("main")).to_contain_text("whose promise is late")
    await expect(page.locator("main")).to_contain_text("Only orders that were routed to LON")


async def put_off(page: Page, order: Order) -> None:
    await page.get_by_role("link", name="Exceptions", exact=True).click()
    row = page.locator("tr", has_text=order.external_id)
    await row.get_by_text("Do it").click()
    await row.get_by_role("textbox").fill("The bank answers tomorrow.")
    await row.get_by_role("button", name="Snooze").click()
    await expect(page.locator("tr", has_text=order.external_id)).to_have_count(0)


async def export(page: Page, order: Order) -> None:
    await page.locator("[data-figure=held]").click()
    async with page.expect_download() as coming:
        await page.get_by_role("link", name="Export as CSV").click()
    file = await (await coming.value).path()
    assert order.external_id in await off_loop(file.read_text)


async def out_of_stock(page: Page, order: Order) -> None:
    await page.get_by_role("link", name="TEAPOT", exact=True).click()
    await expect(page.get_by_role("region", name="Who waits for it")).to_contain_text("web/T-waits")
    await expect(page.get_by_text("On the way here")).to_be_visible()


TASKS: dict[str, Callable[[Page, Order], Awaitable[None]]] = {
    "Find an order by part of the customer's name": by_name,
    "Say why an order waits, and who acts next": why_it_waits,
    "Release a hold": release,
    "Cancel an order": cancel,
    "Read the customer's name, mail and phone": contact,
    "Give the customer a link to their order": link,
    "See what is late at a node": late_at_a_node,
    "Put an exception off until tomorrow": put_off,
    "Export a list as CSV": export,
    "Say who waits for an article, and when more comes": out_of_stock,
}


def test_the_page_lists_these_tasks_and_none_takes_more_than_three_clicks() -> None:
    assert list(told()) == list(TASKS)
    assert max(clicks for _, clicks in told().values()) <= MOST


@pytest.mark.parametrize("task", TASKS)
async def test_a_task_takes_the_clicks_that_the_page_says(desk: Desk, task: str) -> None:
    order = await off_loop(Order, desk.tenant)
    role, most = told()[task]
    async with desk.person(role) as page:
        await asyncio.wait_for(_shown(page, order), 60)
        await page.context.add_init_script(_COUNTING)
        await page.goto("/")
        await TASKS[task](page, order)
        clicks = int(await page.evaluate("Number(sessionStorage.getItem('clicks') || 0)"))
    assert clicks == most


async def _shown(page: Page, order: Order) -> None:
    """Until the order is in the queue of exceptions, and so everywhere."""
    while True:
        await page.goto("/exceptions?kind=hold")
        if await page.locator("tr", has_text=order.external_id).count():
            return
        await page.wait_for_timeout(300)
