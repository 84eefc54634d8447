"""Changes of an order in a real browser: lines cancelled after a preview, a hold, a note; without a mouse."""

from uuid import uuid4

import pytest
from playwright.async_api import Page, expect

from tests.console.browser import Desk, check, picture
from tests.console.test_orders import HOSTILE, find, off_loop, submit

pytestmark = pytest.mark.e2e


async def press(page: Page, name: str, role: str = "button") -> None:
    """A button or link, by the keyboard alone."""
    found = page.locator("main").get_by_role("link" if role == "link" else "button", name=name, exact=True)
    await found.focus()
    await page.keyboard.press("Enter")


async def test_a_line_is_cancelled_after_a_preview_and_seen_done(desk: Desk) -> None:
    external_id = f"L-{uuid4().hex[:8]}"
    order_id = await off_loop(submit, desk.tenant, external_id, "Lena Linecut", "paid", 3)
    async with desk.person("support") as page:
        await find(page, "ena linec", external_id)
        await page.get_by_role("link", name=external_id).click()
        await expect(page.locator("h1")).to_contain_text("released")
        await press(page, "Change …", "link")
        await expect(page.locator("h1")).to_contain_text(external_id)
        assert await page.get_by_role("button", name="Place the hold").count() == 0, "support may not"
        await check(page)
        await page.get_by_label("Units of line 1 to cancel").focus()
        await page.keyboard.press("ArrowUp")
        await page.keyboard.press("ArrowUp")
        await page.get_by_label("Why").fill("one is enough")
        await press(page, "Preview …")
        await expect(page.locator(".message")).to_contain_text("2 units will not be shipped.")
        await expect(page.locator(".message")).to_contain_text("taken off the work of its node")
        await expect(page.locator(".message")).to_contain_text("£19.90 of what was paid goes back")
        await check(page)
        await picture(page, "cancel-lines")
        await press(page, "Cancel these units")
        await expect(page.locator("h1")).to_contain_text("released")
        await expect(page.get_by_role("status").first).to_contain_text("Cancelled 2 of MUG")
        await expect(page.locator("main")).to_contain_text("1 released, 2 cancelled")
        await expect(page.locator("main")).to_contain_text("Refund of £19.90 (cancelled)")
        await check(page)
        await press(page, "Change …", "link")
        await page.get_by_label("Note", exact=True).fill(HOSTILE)
        await press(page, "Write it")
        await expect(page.locator(".timeline")).to_contain_text("Note written.")
        await expect(page.locator(".timeline .note")).to_contain_text("<img src=x")
        assert await page.locator("main img").count() == 0
        await check(page)
    async with desk.person("viewer") as page:
        await page.goto(f"/orders/{order_id}")
        await expect(page.locator(".timeline")).to_contain_text("Your role does not see what it says.")
        assert "onerror" not in await page.locator("main").inner_text()
        for name in ("Change …", "Cancel …"):
            assert await page.locator("main").get_by_role("link", name=name).count() == 0, name


async def test_an_order_is_held_by_hand_and_goes_on_when_it_is_released(desk: Desk) -> None:
    external_id = f"W-{uuid4().hex[:8]}"
    order_id = await off_loop(submit, desk.tenant, external_id, "Wanda Waiting", "pending")
    async with desk.person("operator") as page:
        await find(page, external_id, external_id)
        await page.goto(f"/orders/{order_id}/change")
        await page.get_by_label("Kind").select_option("fraud_review")
        await page.get_by_label("What settles it").fill("the bank answers")
        await press(page, "Place the hold")
        await expect(page.locator("main")).to_contain_text("Hold fraud_review: the bank answers")
        await press(page, "Change …", "link")
        address = {
            "Name": HOSTILE[:100],
            "Address": "2 New Street\nFlat 3",
            "City": "Dublin",
            "Country": "ie",
        }
        for label, text in address.items():
            await page.get_by_label(label, exact=True).fill(text)
        await page.get_by_label("Service").fill("express")
        amend = page.locator("form[action$='/amend']")
        await amend.get_by_label("Why").fill("moved house")
        await check(page)
        await press(page, "Preview the change …")
        await expect(page.locator(".message")).to_contain_text(
            "It goes to the new address in IE instead of GB"
        )
        await check(page)
        await picture(page, "amend")
        await press(page, "Change it")
        await expect(page.locator("main")).to_contain_text(
            "Changed the address (IE) and the service (express)"
        )
        assert "2 New Street" not in await page.locator("main").inner_text(), "it is sealed"
        for hold in ("payment", "fraud_review"):
            await press(page, f"Release {hold} …", "link")
            await page.get_by_label("Why").fill("the bank answered")
            await press(page, f"Release hold {hold}")
        await expect(page.locator("h1")).to_contain_text("released")
        await page.goto(f"/orders/{order_id}/change")
        await expect(page.locator("main")).to_contain_text("A node has work of it already")
