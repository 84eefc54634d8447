"""Exceptions, Stock, Delays and Measures in a real browser: seen, taken, put off, settled."""

from uuid import uuid4

import pytest
from playwright.async_api import Page, expect

from tests.console.browser import Desk, check, picture
from tests.console.orders import LONDON, Orders
from tests.e2e.stacks import Stack

pytestmark = pytest.mark.e2e
HOSTILE = '<img src=x onerror="alert(1)">'
PATIENCE_MS = 20_000
"""A command goes through Kafka, intake and the projection, perhaps on a busy machine."""


@pytest.fixture(scope="module")
def trouble(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A tenant with two orders that are held for their payment, of an article with a hostile number."""
    tenant = f"trouble-{uuid4().hex[:8]}"
    stack.each(
        LONDON,
        ("stock", "receive", HOSTILE, "LON", "10"),
        ("stock", "receive", "TEA", "LON", "5"),
        ("stock", "promise", "terms", "TEA", "--low-at", "20"),
        ("stock", "item", "CAM", "--serials"),
        ("stock", "receive", "CAM", "LON", "1", "--serial", "SN-0011"),
        tenant=tenant,
    )
    found = Orders(stack, tenant, tmp_path_factory.mktemp("trouble"))
    sku = '"' + HOSTILE.replace('"', '""') + '"'
    for external in ("H-1", "H-2"):
        found.submit(external, sku, payment="pending")
    found.until(lambda standing: standing == {"H-1": "held", "H-2": "held"})
    return tenant


@pytest.fixture
def troubled(desk: Desk, trouble: str) -> Desk:
    return Desk(desk.browser, desk.url, trouble)


async def open_item(page: Page, external: str) -> None:
    """The row's forms, opened."""
    await page.locator("tr", has_text=external).get_by_text("Do it").click()


async def test_an_exception_is_taken_put_off_and_settled(troubled: Desk) -> None:
    async with troubled.person("operator") as page:
        await page.goto("/exceptions")
        row = page.locator("tr", has_text="web/H-1")
        await expect(row).to_contain_text("Payment is pending")
        await check(page)
        await picture(page, "exceptions")
        await open_item(page, "web/H-1")
        await row.get_by_role("textbox").fill("I know the bank.")
        await row.get_by_role("button", name="Take").click()
        await expect(row).to_contain_text("olga", timeout=PATIENCE_MS)
        await open_item(page, "web/H-1")
        await row.get_by_role("textbox").fill("The bank answers tomorrow.")
        await row.get_by_role("button", name="Snooze").click()
        await expect(page.get_by_text("web/H-1")).to_have_count(0, timeout=PATIENCE_MS)
        await page.goto("/exceptions?snoozed=true")
        await expect(row).to_contain_text("The bank answers tomorrow.")
        await open_item(page, "web/H-1")
        await row.get_by_role("textbox").fill("The bank confirmed it.")
        await row.get_by_role("button", name="Release the hold").click()
        await expect(page.get_by_text("Nothing here needs anybody.")).to_be_visible()
        await page.goto("/exceptions")
        await expect(page.locator("tr", has_text="web/H-2")).to_be_visible()


async def test_one_of_stock_is_taken_put_off_and_settled(troubled: Desk) -> None:
    async with troubled.person("support") as page:
        await page.goto("/exceptions?kind=low_stock")
        row = page.locator("tr", has_text="TEA")
        await expect(row).to_contain_text("5 units are free", timeout=PATIENCE_MS)
        await open_item(page, "TEA")
        await check(page)
        await row.get_by_role("textbox").fill("I buy it.")
        async with page.expect_navigation():
            await row.get_by_role("button", name="Take").click()
        await page.goto("/exceptions?kind=low_stock&whose=mine")
        await expect(row).to_be_visible(timeout=PATIENCE_MS)
        await open_item(page, "TEA")
        await row.get_by_role("textbox").fill("The ship is in on Friday.")
        async with page.expect_navigation():
            await row.get_by_role("button", name="Snooze").click()
        await page.goto("/exceptions?kind=low_stock&snoozed=true")
        await expect(row).to_contain_text("The ship is in on Friday.", timeout=PATIENCE_MS)
        await open_item(page, "TEA")
        await row.get_by_role("textbox").fill("Bought 40.")
        async with page.expect_navigation():
            await row.get_by_role("button", name="Resolve").click()
        await page.goto("/exceptions?kind=low_stock&snoozed=true")
        await expect(page.get_by_text("Nothing here needs anybody.")).to_be_visible(timeout=PATIENCE_MS)


async def test_a_unit_is_found_by_its_serial_number(troubled: Desk) -> None:
    async with troubled.person("viewer") as page:
        await page.goto("/stock")
        await check(page)
        await page.get_by_role("textbox", name="Serial number").fill("SN-0011")
        await page.get_by_role("button", name="Find").click()
        await expect(page.get_by_text("It is on the shelf of LON")).to_be_visible()
        await expect(page.get_by_role("cell", name="stock received")).to_be_visible()
        await check(page)
        await page.get_by_role("link", name="CAM").click()
        await expect(page.locator('[data-serials="shelf LON"]')).to_have_text("1")
        await check(page)


async def test_a_rule_is_shown_before_it_is_changed(troubled: Desk) -> None:
    async with troubled.person("admin") as page:
        await page.goto("/exceptions")
        await page.get_by_role("link", name="The rules").click()
        row = page.locator("[data-rule='hold/payment']")
        await expect(row).to_contain_text("support")
        await check(page)
        await row.get_by_role("link", name="Change").click()
        await page.get_by_label("Owner").select_option("purchasing")
        await page.get_by_role("button", name="Preview").click()
        await expect(page.locator("[data-moves='support purchasing']")).to_be_visible()
        await check(page)
        await page.get_by_label("Why").fill("They know the banks.")
        await page.get_by_role("button", name="Change the rule").click()
        await expect(row).to_contain_text("purchasing", timeout=PATIENCE_MS)
        await expect(row).to_contain_text("They know the banks.")
        await page.goto("/exceptions?owner=purchasing")
        await expect(page.locator("tr", has_text="web/H-2")).to_be_visible()


async def test_a_viewer_sees_the_queue_and_can_do_nothing(troubled: Desk) -> None:
    async with troubled.person("viewer") as page:
        await page.goto("/exceptions")
        await expect(page.locator("tr", has_text="web/H-2")).to_be_visible()
        await expect(page.get_by_text("Do it")).to_have_count(0)
        await expect(page.locator("main form[method=post]")).to_have_count(0)


async def test_a_hostile_article_is_text(troubled: Desk) -> None:
    async with troubled.person("viewer") as page:
        await page.goto("/stock")
        await page.get_by_role("link", name=HOSTILE).first.click()
        await expect(page.locator("h1")).to_have_text(HOSTILE)
        await expect(page.locator("main img")).to_have_count(0)
        await check(page)


async def test_delays_measures_and_stock_of_a_month(desk: Desk) -> None:
    async with desk.person("viewer") as page:
        await page.goto("/delays?by=carrier")
        await expect(page.locator("h1")).to_have_text("Delays")
        await expect(page.locator("[data-pile^=pick]").first).to_be_visible()
        await check(page)
        await picture(page, "delays")
        await page.goto("/measures")
        await expect(page.locator("h1")).to_have_text("Measures")
        await expect(page.locator("[data-figure=accepted]")).not_to_have_text("0")
        await expect(page.locator("[data-figure=cost]")).to_contain_text("£")
        await expect(page.locator("[data-figure=pick_accuracy]")).to_contain_text("%")
        await expect(page.locator("[data-figure=count_accuracy]")).to_contain_text("%")
        await expect(page.locator("[data-figure=differences_waiting]")).to_have_text("1")
        await expect(page.locator("[data-variance^=adjustment]").first).to_be_visible()
        await check(page)
        await picture(page, "measures")
        await page.goto("/stock?sku=MUG")
        await check(page)
        await page.goto("/stock/MUG")
        await expect(page.get_by_text("By node")).to_be_visible()
        await expect(page.locator('[data-at-work="LON to_pick"]')).not_to_have_text("0")
        await expect(page.get_by_role("region", name="Units by bin")).to_contain_text("R-7-2")
        await check(page)
        await picture(page, "stock", height=930)
