"""Today in a real browser: what it shows, that each figure is a list, that it follows the log by itself."""

import re

import pytest
from playwright.async_api import expect

from tests.console.browser import NARROW, WIDE, Desk, check, picture
from tests.console.orders import Orders

pytestmark = pytest.mark.e2e


async def test_today_shows_where_orders_stand(desk: Desk) -> None:
    async with desk.person("operator") as page:
        await expect(page.locator("h1")).to_have_text("Today")
        await expect(page.get_by_role("link", name="T-waits")).to_be_visible()
        await expect(page.get_by_role("link", name="TEAPOT")).to_have_attribute("href", "/stock/TEAPOT")
        await expect(page.locator("#strip")).to_contain_text("as of")
        await check(page)
        await picture(page, "today")


_FITS = """() => { const box = document.getElementById("q"), style = getComputedStyle(box);
    const drawn = document.createElement("canvas").getContext("2d");
    drawn.font = style.font;
    const room = box.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
    return room - drawn.measureText(box.placeholder).width; }"""
"""How much wider the search box is than what it says while it is empty, in pixels."""


@pytest.mark.parametrize("role", ["viewer", "operator", "admin"])
async def test_what_the_search_box_says_is_not_cut(desk: Desk, role: str) -> None:
    """Roles differ in the pages that stand beside it."""
    async with desk.person(role) as page:
        for wide in (*range(1000, 1600, 40), WIDE, NARROW):
            await page.set_viewport_size({"width": wide, "height": 900})
            assert await page.evaluate(_FITS) >= 0, f"cut at {wide} px"


async def test_times_are_the_readers(desk: Desk) -> None:
    async with desk.person("viewer", timezone_id="Asia/Tokyo", locale="en-GB") as page:
        row = page.get_by_role("row").filter(has=page.get_by_role("link", name="T-held"))
        await expect(row).to_contain_text("2 Mar 2026, 18:00")


async def test_the_keyboard_is_enough(desk: Desk) -> None:
    async with desk.person("operator") as page:
        await page.keyboard.press("Tab")
        await expect(page.get_by_role("link", name="Skip to the page")).to_be_focused()
        await page.keyboard.press("Enter")
        await expect(page.locator("#main")).to_be_focused()
        await page.keyboard.press("?")
        await expect(page.get_by_role("dialog")).to_be_visible()
        await check(page)
        await page.keyboard.press("Escape")
        await expect(page.get_by_role("dialog")).to_be_hidden()
        await page.keyboard.press("/")
        await expect(page.get_by_label("Search orders")).to_be_focused()
        await page.keyboard.press("Escape")
        await page.locator("h1").click()
        await page.keyboard.press("g")
        await page.keyboard.press("p")
        await expect(page.locator("h1")).to_have_text("Platform")


async def test_what_happens_shows_by_itself_and_to_its_tenant_alone(desk: Desk, orders: Orders) -> None:
    rival = Desk(desk.browser, desk.url, "month-rival")
    async with desk.person("support") as mine, rival.person("support") as theirs:
        held = mine.locator("[data-figure=held]")
        before = int(await held.inner_text())
        told: list[str] = []
        await theirs.expose_function("told", lambda text: told.append(text))
        await theirs.evaluate(
            """() => new Promise((open) => { const stream = new EventSource("/live");
                stream.addEventListener("changed", (event) => told(event.data));
                stream.addEventListener("stand", open, {once: true}); })"""
        )
        orders.submit(payment="pending")
        await expect(held).to_have_text(str(before + 1))
        assert [one for one in told if '"all":false' in one] == [], "another tenant's page was told of it"


async def test_a_page_that_was_cut_off_catches_up(desk: Desk, orders: Orders) -> None:
    async with desk.person("viewer", complains=True) as page:
        held = page.locator("[data-figure=held]")
        before = int(await held.inner_text())
        await page.context.set_offline(True)
        orders.submit(payment="pending")
        await page.context.set_offline(False)
        await expect(held).to_have_text(str(before + 1))


async def test_a_viewer_has_no_way_to_the_platform(desk: Desk) -> None:
    async with desk.person("viewer") as page:
        await expect(page.get_by_role("link", name="Platform")).to_have_count(0)


async def test_signing_in_and_out(desk: Desk) -> None:
    context = await desk.browser.new_context(base_url=desk.url)
    page = await context.new_page()
    await page.goto("/")
    await expect(page.locator("h1")).to_have_text("Sign in as whom?")
    await check(page)
    await picture(page, "sign-in")
    await page.get_by_label("Tenant").fill(desk.tenant)
    await page.get_by_role("button", name=re.compile("Sam Support")).click()
    await expect(page.locator("h1")).to_have_text("Today")
    await page.get_by_role("button", name="Sign out").click()
    await expect(page.locator("h1")).to_have_text("You are signed out")
    await check(page)
    await page.goto("/")
    await expect(page.locator("h1")).to_have_text("Sign in as whom?")
    await context.close()
