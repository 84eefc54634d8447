"""How often a page asks again for a part that changes, and that it misses no change: its script alone."""

import json

import pytest
from playwright.async_api import Browser, Page

from tests.console.browser import ROOT

pytestmark = pytest.mark.e2e
PAUSE_MS = 400
_PART = f'<div id="part" data-live="stock" data-live-seconds="{PAUSE_MS / 1000}"></div>'
_STUBS = f"""
    window.asked = [];
    window.EventSource = class {{
        constructor() {{ window.stream = this; }}
        addEventListener(name, hear) {{ this[name] = hear; }}
        close() {{}}
    }};
    // As htmx does: the part is marked while it is asked for, and the answer takes its place.
    window.htmx = {{ trigger: (part) => {{
        window.asked.push(performance.now());
        part.classList.add("htmx-request");
        window.answer = () => {{ part.outerHTML = {json.dumps(_PART)}; window.answer = null; }};
    }} }};"""
_CHANGES = "stream.changed({data: JSON.stringify({all: false, stock: true, orders: []})})"


async def opened(browser: Browser) -> Page:
    page = await browser.new_page()
    await page.set_content(f'<body data-stream="/live">{_PART}</body>')
    await page.evaluate(_STUBS)
    await page.add_script_tag(path=ROOT / "services" / "console" / "assets" / "console.js")
    await page.evaluate('document.dispatchEvent(new Event("DOMContentLoaded"))')
    return page


async def test_each_answer_is_followed_by_the_parts_pause_and_no_change_is_missed(browser: Browser) -> None:
    page = await opened(browser)
    await page.evaluate(_CHANGES)
    await page.wait_for_function("asked.length === 1")
    await page.evaluate(_CHANGES)  # while it is answered: what comes may not have it
    await page.evaluate("answer()")
    await page.evaluate(_CHANGES)
    await page.wait_for_function("asked.length === 2")
    assert await page.evaluate("asked[1] - asked[0]") >= PAUSE_MS - 10
    await page.evaluate(_CHANGES)
    await page.wait_for_function(f"performance.now() - asked[1] > {2 * PAUSE_MS}")
    assert await page.evaluate("asked.length") == 2, (
        "an answer is under way, which would take the other's place"
    )
    await page.evaluate("answer()")
    await page.wait_for_function("asked.length === 3")
    await page.close()
