"""Orders in a real browser: found by part of a name, released, watched as they ship, and returned."""

import asyncio
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from playwright.async_api import Page, expect

from cli.client import connect
from tests.console.browser import Desk, check, picture

pytestmark = pytest.mark.e2e
HOSTILE = "<img src=x onerror=alert(1)>\u202eesrever '; DROP TABLE orders;--"


def submit(tenant: str, external_id: str, name: str, payment: str = "paid", units: int = 1) -> str:
    """An order by phone; its id once intake has answered."""
    order = {
        "channel": "phone",
        "external_id": external_id,
        "placed_at": "2026-03-02T09:00:00Z",
        "currency": "GBP",
        "payment": payment,
        "customer_id": "4711",
        "lines": [
            {"line": 1, "sku": "MUG", "quantity": units, "unit_price_minor": 995, "description": "A mug"}
        ],
        "ship_to": {"name": name, "address_lines": ["1 High Street"], "city": "Ely", "postcode": "CB7 4DL"}
        | {"country": "GB", "email": "q@mail.example"},
    }
    with connect(tenant) as edges:
        answer = edges.send("intake", "/v1/orders", order)
    stream: str = answer["stream"]
    return stream


def ship(tenant: str, order_id: str) -> None:
    """What the node and the carrier report of it, up to its delivery."""
    work, parcel = f"{order_id}-F1", {"package_id": "P1"}
    scan = {"occurred_at": "2026-03-03T09:00:00Z"}
    with connect(tenant) as edges:
        path = f"/v1/fulfillment-orders/{work}"
        edges.send("fulfillment", f"{path}/pick", {"picks": [{"line": 1, "picked": 2}]})
        edges.send("fulfillment", f"{path}/pack", {"packages": [parcel | {"weight_grams": 400}]})
        dispatch = {"carrier": "royal", "packages": [parcel | {"tracking_number": "ZY99887766"}]}
        edges.send("fulfillment", f"{path}/dispatch", dispatch)
        for status in ("picked_up", "delivered"):
            edges.send(
                "fulfillment", f"/v1/shipments/{order_id}-S1/carrier-events", scan | {"status": status}
            )


async def find(page: Page, words: str, external_id: str) -> None:
    """Search, again while the index is a moment behind, and open what was found."""
    hit = page.get_by_role("link", name=external_id)
    for _ in range(60):
        await page.get_by_label("Search orders").fill(words)
        await page.get_by_label("Search orders").press("Enter")
        await page.wait_for_load_state()
        if await hit.count():
            return
        await page.wait_for_timeout(500)
    raise AssertionError(f"{words} does not find {external_id}")


async def off_loop(work: Callable[..., Any], *given: Any) -> Any:
    return await asyncio.get_running_loop().run_in_executor(None, work, *given)


async def test_an_order_is_found_by_part_of_a_name_released_and_watched_while_it_ships(desk: Desk) -> None:
    external_id = f"P-{uuid4().hex[:8]}"
    order_id = await off_loop(submit, desk.tenant, external_id, "Quentin Zyxwell", "pending", 2)
    async with desk.person("operator") as page:
        await find(page, "uent zyxw", external_id)
        await check(page)
        await picture(page, "orders")
        await page.get_by_role("link", name=external_id).click()
        await expect(page.locator("h1")).to_contain_text("held")
        await expect(page.locator("#blocked + .message")).to_contain_text("Hold payment: Payment is pending")
        await expect(page.locator("#blocked + .message")).to_contain_text("Acts next: Support")
        await check(page)
        await picture(page, "order-held")
        await page.get_by_role("link", name="Release payment").click()
        await expect(page.locator(".message")).to_contain_text("it is the last. The order is accepted")
        await check(page)
        await page.get_by_label("Why").fill("paid by wire")
        await page.get_by_role("button", name="Release hold payment").click()
        await expect(page.locator("h1")).to_contain_text("released")
        await off_loop(ship, desk.tenant, order_id)  # nothing is reloaded from here on
        await expect(page.locator("h1")).to_contain_text("delivered")
        await expect(page.get_by_text("ZY99887766").first).to_be_visible()
        await expect(page.locator(".timeline")).to_contain_text("Hold payment released: paid by wire")
        await check(page)
        await picture(page, "order")
        await page.get_by_role("link", name="Document of oms.intake.order_held").click()
        await expect(page.locator("pre")).to_contain_text('"external_id"')
        await check(page)
        await page.goto(f"/orders/{order_id}?step=1")
        await expect(page.locator("h1")).to_contain_text("held")
        await check(page)
        await page.goto(f"/orders/{order_id}")
        await page.get_by_role("button", name="Link for the customer").click()
        url = await page.get_by_label("Link").input_value()
    await the_customer_asks_for_a_return(desk, url, external_id)
    async with desk.person("support") as page:
        await page.goto(f"/orders/{order_id}")
        await expect(page.get_by_text(f"{order_id}-R1").first).to_be_visible()
        row = page.locator(".timeline tr", has_text="authorised for 1 unit")
        await expect(row).to_contain_text("customer")
        assert await page.get_by_role("link", name="Receive R1 …").count() == 0
    async with desk.person("operator") as page:
        await the_return_is_received(page, order_id)


async def the_return_is_received(page: Page, order_id: str) -> None:
    await page.goto(f"/orders/{order_id}")
    await page.get_by_role("link", name="Receive R1 …").click()
    await check(page)
    await picture(page, "return")
    await page.get_by_label("Set aside: units of line 1").fill("1")
    await page.get_by_label("Condition of line 1").select_option("Damaged")
    await page.get_by_label("Remark").fill("handle is loose")
    await page.get_by_role("button", name="Preview …").click()
    await expect(page.locator(".message")).to_contain_text("the return is closed")
    await expect(page.locator(".message")).to_contain_text("damaged: set aside")
    await check(page)
    await page.get_by_role("button", name="Receive these units").click()
    row = page.locator(".timeline tr", has_text="0 restocked, 0 scrapped, 1 set aside")
    await expect(row).to_contain_text("olga handle is loose")
    await expect(page.locator("main")).to_contain_text("Refund of")


async def the_customer_asks_for_a_return(desk: Desk, url: str, external_id: str) -> None:
    context = await desk.browser.new_context(locale="de-DE")
    page = await context.new_page()
    await page.goto(url)
    await expect(page.locator("h1")).to_have_text("Ihre Bestellung")
    await expect(page.locator("main")).to_contain_text(external_id)
    await check(page)
    await picture(page, "customer")
    await page.get_by_label("A mug").select_option("1")
    await page.get_by_label("Grund").fill("kaputt")
    await page.get_by_role("button", name="Rücksendung anmelden").click()
    await expect(page.get_by_role("status")).to_contain_text("-R1")
    await expect(page.locator("main")).to_contain_text("0 von 1 Stück")
    await check(page)
    await context.close()


async def test_hostile_texts_are_shown_as_text_and_a_viewer_changes_nothing(desk: Desk) -> None:
    external_id = f"H-{uuid4().hex[:8]}"
    order_id = await off_loop(submit, desk.tenant, external_id, HOSTILE, "pending")
    async with desk.person("support") as page:
        await find(page, "onerror", external_id)
        await page.goto(f"/orders/{order_id}")
        await page.get_by_label("Why").fill(HOSTILE)
        await page.get_by_role("button", name="Show the contact").click()
        await expect(page.locator("main")).to_contain_text("<img src=x")
        assert await page.locator("main img").count() == 0
        await check(page)
    async with desk.person("viewer") as page:
        await page.goto(f"/orders/{order_id}")
        await expect(page.locator("h1")).to_contain_text("held")
        for role in ("link", "button"):
            for name in (
                "Release payment …",
                "Change …",
                "Cancel …",
                "Show the contact",
                "Link for the customer",
            ):
                assert await page.locator("main").get_by_role(role, name=name, exact=True).count() == 0, name
        await page.goto("/orders?q=onerror")
        await expect(page.locator("main")).to_contain_text("does not see personal data")
        assert await page.get_by_role("link", name=external_id).count() == 0
        await check(page)


async def test_many_orders_are_cancelled_at_once(desk: Desk) -> None:
    ids = [f"B-{uuid4().hex[:8]}" for _ in range(2)]
    for external_id in ids:
        await off_loop(submit, desk.tenant, external_id, "Bulk Buyer", "pending")
    async with desk.person("operator") as page:
        await find(page, ids[1], ids[1])
        await page.goto("/orders?channel=phone&status=held")
        for external_id in ids:
            await page.get_by_label(f"Choose {external_id}").check()
        await page.get_by_role("button", name="Cancel …").click()
        await expect(page.locator("h1")).to_have_text("Cancel: is this meant?")
        await check(page)
        await picture(page, "bulk")
        await page.get_by_label("Why").fill("asked to")
        await page.get_by_role("button", name="Cancel", exact=True).click()
        await expect(page.locator("h1")).to_have_text("Cancel: what came of it")
        await expect(page.get_by_text("Done.")).to_have_count(2)
        await page.get_by_role("link", name=ids[0]).click()
        await expect(page.locator("h1")).to_contain_text("cancelled")
