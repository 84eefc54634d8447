"""A person at a browser: pages that are signed in, what a screen reader's user would stumble over, pictures.

Chromium is Debian's (`.ci/browser` installs it; CHROMIUM names another). Nothing here is skipped without it.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from playwright.async_api import Browser, Page, async_playwright, expect

ROOT = Path(__file__).resolve().parents[2]
PICTURES = ROOT / "docs" / "pictures"
_CHROMIUM = Path(os.environ.get("CHROMIUM", "/usr/bin/chromium"))
_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
_AXE = (Path(__file__).parent / "vendor" / "axe-4.14.1.min.js").read_text()
_RULES = {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}
_OF_COLOURS = {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}
_ASK = """async (only) => (await axe.run(document, {runOnly: only})).violations.map(
    (found) => `${found.id}: ${found.help}: ${found.nodes.slice(0, 3).map((n) => n.html).join(" | ")}`)"""
_WIDER = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
WIDE, NARROW = 1280, 360
SECONDS = 30
"""For whatever is waited for: machines that run these may be busy."""
expect.set_options(timeout=SECONDS * 1000)


def installed() -> Path:
    """Where Chromium is."""
    assert _CHROMIUM.exists(), f"{_CHROMIUM} is not there: run `sh .ci/browser`, or set CHROMIUM"
    return _CHROMIUM


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """A headless Chromium, with a profile of its own."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=installed(), args=_FLAGS)
        try:
            yield browser
        finally:
            await browser.close()


@dataclass(frozen=True)
class Desk:
    """The console at `url`, as people of `tenant` reach it."""

    browser: Browser
    url: str
    tenant: str

    @asynccontextmanager
    async def person(
        self, role: str, nodes: str = "", *, complains: bool = False, **options: Any
    ) -> AsyncIterator[Page]:
        """A browser of somebody who has signed in with that role and sees Today; `options` are those of a
        context of playwright's. It fails with what the page's scripts complain of, unless it `complains`."""
        chosen = {"viewport": {"width": WIDE, "height": 900}, "timezone_id": "Europe/London", **options}
        context = await self.browser.new_context(base_url=self.url, **chosen)
        context.set_default_timeout(SECONDS * 1000)
        complaints: list[str] = []
        try:
            page = await context.new_page()
            page.on("pageerror", lambda error: complaints.append(str(error)))
            page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
            hint = f"{role}@{self.tenant}"
            if nodes:
                await page.goto("/login")
                await page.get_by_label("Tenant").fill(self.tenant)
                await page.get_by_label("Only these nodes").fill(nodes)
                await page.locator(f"button[name=user]:has-text('{role}')").click()
            else:
                await page.goto(f"/login?{urlencode({'hint': hint})}")
            await page.wait_for_url(f"{self.url}/")
            yield page
            told = [one for one in complaints if "ERR_INCOMPLETE_CHUNKED_ENCODING" not in one]
            assert complains or not told, f"the page's scripts complained: {told}"
        finally:
            await context.close()


async def check(page: Page) -> None:
    """The page as it is, wide and narrow, light and dark: no violation of WCAG 2.2 AA, nothing wider than the
    screen. In the dark other colours are all that is otherwise (`tests/unit/test_console_colours.py`)."""
    width = (page.viewport_size or {"width": WIDE})["width"]
    for wide in (WIDE, NARROW):
        await page.set_viewport_size({"width": wide, "height": 900})
        await page.evaluate(_AXE)
        for dark, only in ((False, _RULES), (True, _OF_COLOURS)):
            await page.emulate_media(color_scheme="dark" if dark else "light")
            found = await page.evaluate(_ASK, only)
            seen = f"{page.url} at {wide} px, {'dark' if dark else 'light'}"
            assert not found, f"{seen}:\n" + "\n".join(found)
        assert await page.evaluate(_WIDER) <= 0, f"{page.url} is wider than {wide} px"
    await page.emulate_media(color_scheme="light")
    await page.set_viewport_size({"width": width, "height": 900})


async def picture(page: Page, name: str, height: int = 800) -> None:
    """With CONSOLE_PICTURES=keep, the page as docs/pictures/console-<name>.png; `height` in pixels."""
    if os.environ.get("CONSOLE_PICTURES") == "keep":
        await page.set_viewport_size({"width": WIDE, "height": height})
        await page.screenshot(path=PICTURES / f"console-{name}.png", animations="disabled", caret="initial")
