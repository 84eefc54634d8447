"""The pages that receive a return, over a real PostgreSQL: what came, what becomes of it, who may say so."""

import re

from libs.events.returns import InspectedUnits, ReceiveReturn
from services.console.web.actions import Outcome
from tests.log.test_console_order_pages import World, console_dsn, world

__all__ = ["console_dsn", "world"]
RMA = "sent-back-R1"
PAGE = f"/orders/sent-back/returns/{RMA}"


async def test_a_return_is_received_unit_by_unit_after_a_preview(world: World) -> None:
    browser = await world.browser("operator")
    assert f'href="{PAGE}"' in await browser.see("/orders/sent-back")
    page = await browser.see(PAGE)
    assert 'name="restock-1" min="0" max="5"' in page
    assert 'value="LON"' in page, "the node that shipped it"
    asked = "node=LON&restock-1=2&quarantine-1=1&scrap-1=1&condition-1=opened&note=one%0Abroke"
    page = await browser.see(f"{PAGE}/receive?{asked}")
    assert f"4 units of {RMA} received at LON; 1 still to come." in page
    assert "2 of A, opened: on the shelf at LON" in page
    assert "1 of A, opened: set aside at LON" in page
    assert "£10.00 go back" in page
    came = re.findall(r'name="came" value="([^"]+)"', page)
    assert came == ["1:restock:2:opened:", "1:quarantine:1:opened:", "1:scrap:1:opened:"]
    attempt = re.findall(r'name="attempt" value="([^"]+)"', page)[0]
    world.sent.commands.clear()
    await browser.post(f"{PAGE}/receive", node="LON", came=came, attempt=attempt, note="one broke")
    units = tuple(
        InspectedUnits.model_validate(
            {"line": 1, "quantity": units, "disposition": became, "condition": "opened"}
        )
        for became, units in (("restock", 2), ("quarantine", 1), ("scrap", 1))
    )
    command = ReceiveReturn(order_id="sent-back", rma_id=RMA, node="LON", units=units)
    assert world.sent.commands == [("ann", command, "one broke")]
    assert str(world.sent.ids[-1]) == attempt, "sent again it is the same command"


async def test_serial_numbers_go_with_what_is_restocked_first(world: World) -> None:
    browser = await world.browser("operator")
    asked = "node=LON&restock-1=1&scrap-1=2&serials-1=SN-1,+SN-2"
    page = await browser.see(f"{PAGE}/receive?{asked}")
    assert "1 of A (SN-1): on the shelf at LON" in page
    came = re.findall(r'name="came" value="([^"]+)"', page)
    assert came == ["1:restock:1::SN-1", "1:scrap:2::SN-2"]
    await browser.see(f"{PAGE}/receive?node=LON&restock-1=1&serials-1=SN-1+SN-2", 422)
    world.sent.commands.clear()
    await browser.post(f"{PAGE}/receive", node="LON", came=came[:1], attempt="0" * 32, note="back")
    [(_, command, _)] = world.sent.commands
    assert isinstance(command, ReceiveReturn)
    assert command.units[0].serials == ("SN-1",)


async def test_a_preview_says_what_cannot_be(world: World) -> None:
    browser = await world.browser("operator")
    for query, says in (
        ("restock-1=1", "Name the node"),
        ("node=LON", "Nothing is chosen"),
        ("node=LON&restock-2=1", "Nothing of line 2 is still to come"),
        ("node=LON&restock-1=3&scrap-1=3", "6 units came, 5 are expected"),
        ("node=LEE&scrap-1=5", "LEE shipped none of it (LON did)"),
    ):
        assert says in await browser.see(f"{PAGE}/receive?{query}"), query
    for broken in ("node=LON&restock-x=1", "node=LON&scrap-1=-1", "node=L%20N&scrap-1=1"):
        await browser.see(f"{PAGE}/receive?{broken}", 422)
    for units in ("", "1:eat:1:", "1:scrap:0:", "x"):
        fields = {"node": "LON", "came": units, "attempt": "00000000-0000-0000-0000-000000000001"}
        await browser.post(f"{PAGE}/receive", 422, **fields)
    await browser.see("/orders/sent-back/returns/sent-back-R9", 404)
    over = await browser.see("/orders/o-0/returns/o-0-R1")
    assert "Nothing of this return is still to come." in over


async def test_who_sees_some_nodes_receives_at_those_and_others_receive_nothing(world: World) -> None:
    lee = await world.browser("operator", nodes=("LEE", "LON"))
    page = await lee.see(PAGE)
    assert "<option>LEE</option><option>LON</option>" in page
    fields = {"came": "1:scrap:1:", "attempt": "00000000-0000-0000-0000-000000000002", "note": "broke"}
    world.sent.commands.clear()
    await lee.post(f"{PAGE}/receive", 403, node="MAN", **fields)
    assert "not at MAN" in await lee.see(f"{PAGE}/receive?node=MAN&scrap-1=1", 403)
    for role in ("viewer", "support"):
        other = await world.browser(role)
        await other.see(PAGE, 403)
        await other.post(f"{PAGE}/receive", 403, node="LON", **fields)
        assert f'href="{PAGE}"' not in await other.see("/orders/sent-back")
    stranger = await world.browser("operator", tenant="other")
    await stranger.post(f"{PAGE}/receive", 404, node="LON", **fields)
    assert not world.sent.commands
    world.sent.outcome = Outcome(False, f"{RMA}, line 1: 1 units came, 0 are still expected.", "Leave it.")
    assert "0 are still expected" in (await lee.post(f"{PAGE}/receive", 409, node="LON", **fields)).text
    world.sent.outcome = Outcome(True, "Done.", shown=True)
