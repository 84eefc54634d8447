"""Today in a real browser."""

import pytest
from playwright.async_api import expect

from tests.console.browser import Desk, check, picture

pytestmark = pytest.mark.e2e


async def test_today_shows_where_orders_stand(desk: Desk) -> None:
    async with desk.person("operator") as page:
        await expect(page.locator("h1")).to_have_text("Today")
        await expect(page.get_by_role("link", name="T-waits")).to_be_visible()
        await expect(page.locator("#strip")).to_contain_text("as of")
        await check(page)
        await picture(page, "today")
