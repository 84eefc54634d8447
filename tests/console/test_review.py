"""A plan that is held for review, in a real browser: seen in the queue, looked at, sent from other nodes."""

from uuid import uuid4

import pytest
from playwright.async_api import expect

from tests.console.browser import Desk, check, picture
from tests.console.orders import LONDON, Orders
from tests.e2e.stacks import Stack

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def far_away(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A tenant whose two orders have plans of two nodes, one more than pass unseen."""
    tenant = f"far-{uuid4().hex[:8]}"
    stack.each(
        LONDON,
        ("nodes", "define", "GLA", "--name", "Glasgow", "--country", "GB", "--lat", "55.9", "--lon", "-4.3"),
        ("nodes", "define", "LDS", "--name", "Leeds", "--country", "GB", "--lat", "53.8", "--lon", "-1.5"),
        ("nodes", "review", "--nodes-max", "1"),
        ("stock", "receive", "VASE", "LON", "1"),
        ("stock", "receive", "VASE", "GLA", "1"),
        *(("stock", "receive", "LAMP", node, "1") for node in ("LON", "LDS", "GLA")),
        tenant=tenant,
    )
    found = Orders(stack, tenant, tmp_path_factory.mktemp("far"))
    found.submit("R-1", "VASE", 2)
    found.submit("R-2", "LAMP", 2)
    found.until(lambda standing: standing == {"R-1": "in_review", "R-2": "in_review"})
    return tenant


async def test_a_plan_is_seen_in_the_queue_and_approved_with_other_nodes(desk: Desk, far_away: str) -> None:
    far = Desk(desk.browser, desk.url, far_away)
    async with far.person("viewer") as page:
        await page.goto("/exceptions?kind=review")
        await expect(page.locator("tr", has_text="web/R-1")).to_contain_text("2 nodes ship it")
        assert await page.get_by_text("Do it").count() == 0, "a viewer changes nothing"
    async with far.person("operator") as page:
        await page.goto("/exceptions")
        row = page.locator("tr", has_text="web/R-1")
        await row.get_by_text("Do it").click()
        await row.get_by_role("textbox").fill("Both parcels are on their way anyway.")
        await row.get_by_role("button", name="Approve the plan").click()
        await expect(page.locator("tr", has_text="web/R-1")).to_have_count(0)
        await page.goto("/orders?status=in_review")
        await page.get_by_role("link", name="R-2").click()
        await expect(page.locator("h1")).to_contain_text("in review")
        await page.get_by_role("link", name="Review the plan …").click()
        await expect(page.locator(".message")).to_contain_text("2 nodes ship it")
        await check(page)
        await picture(page, "review", height=1000)
        for node in ("LON", "GLA"):
            await page.get_by_label(node).check()
        await page.get_by_label("Why").fill("Leeds is closed for the afternoon")
        await page.get_by_role("button", name="Approve the plan").click()
        await expect(page.locator("h1")).to_contain_text("released")
        await expect(page.locator(".timeline")).to_contain_text("Leeds is closed for the afternoon")
        await expect(page.locator("main")).to_contain_text("GLA")
        await check(page)
