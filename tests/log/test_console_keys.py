"""Filters, the slider and the strip in a real browser, over read models in PostgreSQL: no stack is needed."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest_asyncio
import uvicorn
from playwright.async_api import Page, expect

from services.console.queries import Queries
from tests.console.browser import chromium
from tests.console_database import console_dsn, pool
from tests.console_site import People, people
from tests.log.test_console_access import filled

__all__ = ["console_dsn", "filled", "people", "pool"]

_STANDS = """() => new Promise((heard) => {
    let left = 2;
    new EventSource("/live").addEventListener("stand", () => { if (--left === 0) heard(); });
})"""
"""Until the page has been told twice how old what it shows may be."""


@asynccontextmanager
async def served(people: People) -> AsyncIterator[str]:
    """The console at an address of this machine."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(uvicorn.Config(people.app, lifespan="off", log_level="warning"))
        running = asyncio.create_task(server.serve([listening]))
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            people.site.feed.close()
            server.should_exit = True
            await running


@pytest_asyncio.fixture
async def page(filled: People) -> AsyncIterator[Page]:
    """A browser of a viewer who is signed in."""
    person = await filled.sign_in("viewer")
    secret = person.client.cookies[filled.site.guard.cookie]
    async with served(filled) as url, chromium() as browser:
        context = await browser.new_context(base_url=url)
        cookie = {"name": filled.site.guard.cookie, "value": secret, "url": url}
        await context.add_cookies([cookie])  # type: ignore[list-item]
        yield await context.new_page()
        await context.close()


async def test_by_keys_the_slider_goes_through_time_and_keeps_the_focus(
    page: Page, pool: asyncpg.Pool
) -> None:
    events = len(await Queries(pool).timeline("acme", "o-1", None, 1000))
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "/parts/orders/" in request.url else None)
    await page.goto("/orders/o-1")
    slider = page.get_by_label("As it stood after event")
    await slider.focus()
    for _ in range(3):
        await page.keyboard.press("ArrowLeft")
    await expect(page.locator("[role=status]")).to_contain_text("The order as it stood")
    await expect(page).to_have_url(f"/orders/o-1?step={events - 3}")
    await expect(slider).to_be_focused()
    assert len(asked) == 1, "it was asked for once the keys had come to rest"
    await page.keyboard.press("ArrowLeft")
    await expect(page).to_have_url(f"/orders/o-1?step={events - 4}")
    await expect(slider).to_be_focused()
    await page.keyboard.press("End")
    await expect(page).to_have_url("/orders/o-1")
    await expect(page.locator("#order[data-live]")).to_have_count(1)


_END_AS_SOON_AS_SHOWN = """() => document.addEventListener("htmx:afterSwap", () => setTimeout(() => {
    const slider = document.querySelector(".slider input[name=step]");
    slider.value = slider.max;
    slider.dispatchEvent(new Event("change", { bubbles: true }));
}), { once: true })"""


async def test_who_goes_on_through_time_as_soon_as_a_moment_is_shown_is_heard(page: Page) -> None:
    await page.goto("/orders/o-1")
    await page.evaluate(_END_AS_SOON_AS_SHOWN)
    await page.get_by_label("As it stood after event").focus()
    await page.keyboard.press("ArrowLeft")
    await expect(page.locator("[role=status]")).to_contain_text("The order as it stood")
    await expect(page).to_have_url("/orders/o-1")
    await expect(page.locator("#order[data-live]")).to_have_count(1)


async def test_a_choice_by_keys_is_sent_with_enter_and_one_by_mouse_at_once(page: Page) -> None:
    await page.goto("/exceptions")
    owner = page.get_by_label("Owner")
    await owner.focus()
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("ArrowDown")
    chosen = await owner.input_value()
    assert chosen
    await expect(owner).to_be_focused()
    await expect(page).to_have_url("/exceptions")
    await page.keyboard.press("Enter")
    await page.wait_for_url(f"**/exceptions?owner={chosen}&*")
    await page.goto("/measures")
    await page.get_by_label("By").dispatch_event("pointerdown")
    await page.get_by_label("By").select_option("channel")
    await page.wait_for_url("**/measures?by=channel&from=&to=")
    await expect(page.get_by_role("heading", name="Measures")).to_be_visible()


async def test_a_page_that_does_not_follow_says_how_old_it_is(page: Page) -> None:
    async def goes_on(path: str) -> bool:
        tab = await page.context.new_page()
        await tab.goto(path)
        said = await tab.locator("#strip").get_attribute("data-as-of")
        await tab.evaluate(_STANDS)
        return await tab.locator("#strip").get_attribute("data-as-of") != said

    follows = {"/": True, "/measures": False, "/orders": False}
    found = await asyncio.gather(*map(goes_on, follows))
    assert dict(zip(follows, found, strict=True)) == follows
