"""The pages that change an order, over a real PostgreSQL: previews, commands in the person's name, notes."""

import re

from libs.events.changes import CancelLines, LineUnits, PlaceHold
from services.console.web.actions import Outcome
from tests.log.test_console_order_pages import World, console_dsn, world

__all__ = ["console_dsn", "world"]
CHANGED = "/orders/changed"
NOTE = "Rang. &lt;script&gt;alert(1)&lt;/script&gt;"


async def test_lines_are_cancelled_after_a_preview_that_says_what_becomes_of_stock_and_money(
    world: World,
) -> None:
    browser = await world.browser("support")
    page = await browser.see(f"{CHANGED}/change")
    assert 'name="units-1" min="0" max="5"' in page
    assert 'name="units-2"' not in page, "line 2 is cancelled already"
    assert "Place a hold" not in page, "support may not"
    page = await browser.see(f"{CHANGED}/cancel-lines?units-1=2&units-2=0&note=one%0Ais+enough")
    assert "2 units will not be shipped." in page
    assert "2 of A released: taken off the work of its node" in page
    assert "£5.00 of what was paid goes back; goods and charges then come to £11.45." in page
    assert 'name="units" value="1:2"' in page
    assert ">one is enough</textarea>" in page
    world.sent.commands.clear()
    await browser.post(f"{CHANGED}/cancel-lines", units="1:2", note="one is enough")
    line = LineUnits(line=1, quantity=2)
    command = CancelLines(order_id="changed", lines=(line,), reason="one is enough")
    assert world.sent.commands == [("ann", command, "one is enough")]


async def test_a_preview_says_what_cannot_be(world: World) -> None:
    browser = await world.browser("support")
    ask = f"{CHANGED}/cancel-lines"
    for query, says in (
        ("", "Nothing is chosen"),
        ("?units-1=0", "Nothing is chosen"),
        ("?units-9=1", "no line 9"),
        ("?units-1=6", "Line 1 has 5 units"),
        ("?units-1=5", "That is all that is left."),
    ):
        assert says in await browser.see(ask + query)
    for broken in ("units-x=1", "units-1=-1", "units-1=1e3", "units-1=%D9%A1", "units-1=" + "9" * 30):
        assert "whole number" in await browser.see(f"{ask}?{broken}", 422)
    await browser.post(ask, 422, units="1:0")
    over = await browser.see("/orders/o-0/cancel-lines?units-1=1")
    assert "come to its end" in over


async def test_the_order_tells_what_came_of_it(world: World) -> None:
    page = await (await world.browser("viewer")).see(CHANGED)
    assert "Cancelled 2 of A, " in page
    assert "A cancellation of lines is being decided since" in page
    assert "Hold fraud_review released" in page


async def test_a_hold_is_placed_while_nothing_is_at_a_node_and_not_by_support(world: World) -> None:
    operator = await world.browser("operator")
    assert "A node has work of it already" in await operator.see(f"{CHANGED}/change")
    assert "Place the hold" in await operator.see("/orders/held/change")
    world.sent.commands.clear()
    await operator.post("/orders/held/holds", hold="fraud_review", note="ask\nthe bank")
    command = PlaceHold(order_id="held", hold="fraud_review", message="ask the bank")
    assert world.sent.commands == [("ann", command, "ask the bank")]
    await operator.post("/orders/held/holds", 422, hold="Not A Name", note="x")
    await (await world.browser("support")).post("/orders/held/holds", 403, hold="other", note="x")


async def test_a_note_is_sealed_by_intake_and_read_by_who_may_with_the_look_on_record(world: World) -> None:
    support = await world.browser("support", actor="sue")
    world.sent.calls.clear()
    await support.post(f"{CHANGED}/notes", text="Rang\r\ntwice\x00")
    body = {"text": "Rang\ntwice "}
    assert world.sent.calls == [("sue", "/v1/orders/changed/notes", body)]
    await support.post(f"{CHANGED}/notes", 422, text="")
    looks = "SELECT count(*) FROM access.unmaskings WHERE order_id = 'changed' AND actor = 'sue'"
    before = await world.pool.fetchval(looks)
    assert NOTE in await support.see(CHANGED)
    assert await world.pool.fetchval(looks) == before + 1
    viewer = await (await world.browser("viewer")).see(CHANGED)
    assert "Rang." not in viewer
    assert "Your role does not see what it says." in viewer


async def test_what_was_not_done_says_why_and_a_viewer_does_nothing(world: World) -> None:
    world.sent.outcome = Outcome(False, "Line 1 has no more units.", "Ask for less.")
    support = await world.browser("support")
    page = await support.post(f"{CHANGED}/cancel-lines", 409, units="1:1", note="so")
    assert "Line 1 has no more units." in page.text
    assert "Ask for less." in page.text
    world.sent.outcome = Outcome(True, "Done.", shown=True)
    world.sent.commands.clear()
    world.sent.calls.clear()
    viewer = await world.browser("viewer")
    for path in ("cancel-lines", "holds", "notes"):
        await viewer.post(f"{CHANGED}/{path}", 403, units="1:1", hold="other", text="x")
    for path in ("change", "cancel-lines"):
        await viewer.see(f"{CHANGED}/{path}", 403)
    links = "".join(re.findall(r'href="[^"]*"|action="[^"]*"', await viewer.see(CHANGED)))
    assert not re.search("changed/change|/cancel|/holds|/notes", links)
    other = await world.browser("admin", tenant="other")
    await other.post(f"{CHANGED}/cancel-lines", 404, units="1:1", note="so")
    support.csrf = "guessed"
    await support.post(f"{CHANGED}/cancel-lines", 403, units="1:1")
    assert (world.sent.commands, world.sent.calls) == ([], [])
