"""Nothing is changed from a page without a reason: each form asks, and the server insists."""

import re
from typing import Any
from uuid import uuid4

import pytest

from tests.log.test_console_order_pages import World, console_dsn, world

__all__ = ["console_dsn", "world"]
RECEIPT = {"node": "LON", "came": "1:scrap:1:", "attempt": str(uuid4())}
CHANGES: dict[str, dict[str, Any]] = {
    "/orders/held/cancel": {},
    "/orders/held/holds/payment/release": {},
    "/orders/held/holds": {"hold": "other"},
    "/orders/changed/cancel-lines": {"units": "1:1"},
    "/orders/held/amend/confirm": {"service": "express"},
    "/orders/sent-back/return": {"units": "1:1", "attempt": str(uuid4())},
    "/orders/bulk/cancel": {"order_id": "held", "confirmed": "true"},
    "/orders/bulk/release": {"order_id": "held", "confirmed": "true"},
    "/orders/sent-back/returns/sent-back-R1/receive": RECEIPT,
    "/exceptions/hold/release": {"order_id": "held", "hold": "payment"},
    "/exceptions/resolve": {"order_id": "held", "item": "hold/payment"},
    "/exceptions/snooze": {"order_id": "held", "item": "hold/payment"},
    "/exceptions/take": {"order_id": "held", "item": "hold/payment"},
    "/exceptions/give_back": {"order_id": "held", "item": "hold/payment"},
    "/exceptions/assign": {"order_id": "held", "item": "hold/payment", "assignee": "sue"},
    "/platform/intake/replay": {"key": "acme/held"},
    "/platform/intake/discard": {"key": "acme/held"},
}
"""What a page may change, and what its form sends besides the reason."""
FORMS = (
    "/orders/held/cancel",
    "/orders/held/holds/payment/release",
    "/orders/held/change",
    "/orders/sent-back/return/preview?units-1=1",
    "/exceptions",
    "/orders/changed/cancel-lines?units-1=1",
    "/orders/sent-back/returns/sent-back-R1/receive?node=LON&scrap-1=1",
)


@pytest.mark.parametrize("path", CHANGES)
@pytest.mark.parametrize("why", [None, " \n\t", "\x00"])
async def test_a_change_without_a_reason_is_refused_and_goes_nowhere(
    world: World, path: str, why: str | None
) -> None:
    world.sent.commands.clear()
    world.sent.calls.clear()
    said = {} if why is None else {"note": why, "why": why}
    answer = await (await world.browser("operator")).post(path, 422, **CHANGES[path], **said)
    if why is None:
        assert "A reason is missing" in answer.text
    assert (world.sent.commands, world.sent.calls) == ([], [])


async def test_each_form_that_changes_something_asks_for_it(world: World) -> None:
    browser = await world.browser("operator")
    for path in FORMS:
        forms = re.findall(
            r'<form method="post" action="/(?:orders|exceptions).*?</form>',
            await browser.see(path),
            re.DOTALL,
        )
        assert forms, path
        for form in forms:
            assert re.search(r"<(?:textarea|input)[^>]* required", form), (path, form)
    page = (await browser.post("/orders/bulk/cancel", 200, order_id="held")).text
    assert re.search(r'<textarea name="note"[^>]* required', page)
