"""The pages that amend an order, over a real PostgreSQL: previewed, sealed by intake, told on every page."""

from typing import Any

from tests.log.test_console_order_pages import World, console_dsn, world

__all__ = ["console_dsn", "world"]
TO: dict[str, Any] = {
    "name": "Zoë Müller",
    "address": "2 New Street\r\n Flat 3 ",
    "city": "Leeds",
    "postcode": "LS1 4AP",
    "country": "gb",
}


async def test_an_address_is_previewed_and_goes_to_intake_alone(world: World) -> None:
    support = await world.browser("support", actor="sue")
    page = await support.see("/orders/held/change")
    assert "Change address or service" in page
    page = (await support.post("/orders/held/amend", 200, **TO, note="moved house")).text
    assert "The order is held: it is amended at once." in page
    assert "It goes to the new address in GB" in page
    assert "messages go where they went before" in page
    world.sent.calls.clear()
    world.sent.commands.clear()
    await support.post("/orders/held/amend/confirm", **TO, service="express", note="moved house")
    to = {"name": "Zoë Müller", "city": "Leeds", "country": "GB", "postcode": "LS1 4AP"}
    body = {
        "reason": "moved house",
        "service": "express",
        "ship_to": {**to, "address_lines": ["2 New Street", "Flat 3"]},
    }
    assert world.sent.calls == [("sue", "/v1/orders/held/amend", body)]
    assert world.sent.commands == []


async def test_what_is_not_whole_or_comes_too_late_is_said_before_anything_is_sent(world: World) -> None:
    support = await world.browser("support")
    page = (await support.post("/orders/held/amend", 200, name="Zoë", country="Gxx"[:2], note="x")).text
    assert "its address, city is missing" in page
    page = (await support.post("/orders/changed/amend", 200, service="express", note="x")).text
    assert "Too late: changed-F1 is at LON" in page
    assert "order it anew" in page
    viewer = await world.browser("viewer")
    await viewer.post("/orders/held/amend", 403, service="express", note="x")
    await viewer.post("/orders/held/amend/confirm", 403, service="express", note="x")
