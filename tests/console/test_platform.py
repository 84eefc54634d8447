"""The platform in a real browser: health and lag, a parked key settled by hand, a rebuild that shows."""

import asyncio
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from playwright.async_api import Locator, Page, Route, expect

from libs.events.catalogue import encode
from libs.events.envelope import Envelope
from libs.events.ids import partition_key
from libs.events.intake import CancelOrder
from libs.runtime import wire
from libs.runtime.kafka import KafkaPublisher, Lanes
from libs.runtime.settings import settings
from libs.runtime.stage import commands_topic
from tests.console.browser import SECONDS, Desk, check, picture
from tests.console.orders import Orders

pytestmark = pytest.mark.e2e


async def park(tenant: str) -> None:
    """Publish a command to intake under another order's key, which nobody may decide."""
    config, id_, now = settings(), uuid4(), datetime.now(UTC)
    body = CancelOrder(order_id="o-2", reason="")
    envelope = Envelope(id_, tenant, body.stream, body, now, "e2e", "", id_, id_, "e2e")
    key = partition_key(tenant, f"o-{id_}")
    message = (key.encode(), encode(body), wire.headers(envelope), int(now.timestamp() * 1000))
    publisher = KafkaPublisher(config, "test")
    await publisher.send(commands_topic("intake"), Lanes(config.partitions)(key), message)
    await publisher.stop()


async def test_a_parked_key_is_settled_by_a_button(desk: Desk) -> None:
    async with desk.person("admin") as page:
        await page.goto("/platform")
        await expect(page.get_by_text("Parked keys")).to_be_visible()
        before = await page.get_by_role("button", name="Discard").count()
        await park(desk.tenant)
        await expect(page.get_by_role("button", name="Discard")).to_have_count(before + 1)
        row = page.get_by_role("row").filter(has_text="bad_headers").first
        await expect(row).to_be_visible()
        await check(page)
        await picture(page, "platform")
        await typing_while_the_page_is_asked_for(page, row.get_by_label("What was done"))
        await row.get_by_role("button", name="Discard").click()
        await expect(page.get_by_role("button", name="Discard")).to_have_count(before)


async def typing_while_the_page_is_asked_for(page: Page, field: Locator) -> None:
    """What somebody types while a newer page is on its way stays."""
    on_its_way, typed, came = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def late(route: Route) -> None:
        on_its_way.set()
        await typed.wait()
        await route.continue_()

    page.on("requestfinished", lambda request: came.set() if "/parts/platform" in request.url else None)
    await page.route("**/parts/platform", late)
    async with asyncio.timeout(SECONDS):
        await on_its_way.wait()
        came.clear()
        await field.fill("It was a test; nobody misses it")
        await field.evaluate("field => field.blur()")
        typed.set()
        await came.wait()
    await page.unroute("**/parts/platform")
    await expect(field).to_have_value("It was a test; nobody misses it")


async def test_who_only_looks_has_no_buttons(desk: Desk) -> None:
    async with desk.person("auditor") as page:
        await page.goto("/platform")
        await expect(page.get_by_role("row").filter(has_text="inventory").first).to_contain_text("ready")
        processes = page.get_by_role("region", name="Processes and their lanes").get_by_role("row")
        owner = processes.filter(has_text="inventory").first
        for lane in range(settings().partitions):
            await expect(owner).to_contain_text(str(lane))
        await expect(processes.filter(has_text="nobody")).to_have_count(0)
        await expect(page.get_by_role("button", name="Replay")).to_have_count(0)
        await check(page)


async def test_a_rebuild_shows(desk: Desk, orders: Orders) -> None:
    """Begun by a button, and on the command line."""
    async with desk.person("admin") as page:
        await page.goto("/platform")
        await page.get_by_role("link", name="Rebuild and compare").click()
        await check(page)
        await page.get_by_label("Why").fill("To see that they say the same.")
        await page.get_by_role("button", name="Begin the rebuild").click()
        begun = page.get_by_role("row").filter(has_text="To see that they say the same.")
        await expect(begun).to_contain_text("search index too", timeout=3 * SECONDS * 1000)
        await expect(begun).to_contain_text("the same")
        rebuilt = await asyncio.to_thread(orders.stack.json, "rebuild", "console", "--verify")
        row = page.get_by_role("row").filter(has_text=rebuilt["rebuilt_digest"][:16]).first
        await expect(row).to_contain_text("the same")
