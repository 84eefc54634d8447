"""The pages that authorise a return, over a real PostgreSQL: which units may come back, and who says so."""

import re

from libs.events.returns import AuthoriseReturn, ReturnLine
from services.console.web.actions import Outcome
from tests.log.test_console_order_pages import World, console_dsn, world

__all__ = ["console_dsn", "world"]
PAGE = "/orders/sent-back/return"


async def test_support_authorises_a_return_after_a_preview(world: World) -> None:
    support = await world.browser("support")
    assert f'href="{PAGE}"' in await support.see("/orders/sent-back")
    page = await support.see(PAGE)
    assert 'name="units-1" min="0" max="5"' in page, "10 arrived, 5 are under a return"
    assert 'name="units-2" min="0" max="2"' in page
    page = await support.see(f"{PAGE}/preview?units-1=2&units-2=0&note=too%0Abig")
    assert "2 units may come back." in page
    assert "2 of A: expected back" in page
    assert "Once they are here: £5.00 go back" in page
    assert ">too big</textarea>" in page
    units = re.findall(r'name="units" value="([^"]+)"', page)
    attempt = re.findall(r'name="attempt" value="([^"]+)"', page)[0]
    world.sent.commands.clear()
    await support.post(PAGE, units=units, attempt=attempt, note="too big")
    command = AuthoriseReturn(order_id="sent-back", lines=(ReturnLine(line=1, quantity=2, reason="too big"),))
    assert world.sent.commands == [("ann", command, "too big")]
    assert str(world.sent.ids[-1]) == attempt, "sent again it is the same command"


async def test_a_preview_says_what_cannot_come_back(world: World) -> None:
    support = await world.browser("support")
    for query, says in (
        ("", "Nothing is chosen"),
        ("?units-1=6", "Of line 1, 5 units can come back, not 6"),
        ("?units-9=1", "Nothing of line 9 has arrived"),
    ):
        assert says in await support.see(f"{PAGE}/preview{query}"), query
    for broken in ("units-x=1", "units-1=-1", "units-0=1", "units-1=1e3"):
        await support.see(f"{PAGE}/preview?{broken}", 422)
    for units in ("1:0", "", "x"):
        await support.post(PAGE, 422, units=units, attempt="0" * 32, note="so")
    assert "Nothing of it has arrived" in await support.see("/orders/held/return")
    assert "/orders/held/return" not in await support.see("/orders/held")


async def test_it_is_for_those_who_speak_with_customers_and_of_their_tenant(world: World) -> None:
    world.sent.commands.clear()
    fields = {"units": "1:1", "attempt": "0" * 32, "note": "so"}
    for role in ("viewer", "auditor", "rule_editor"):
        other = await world.browser(role)
        await other.see(PAGE, 403)
        await other.post(PAGE, 403, **fields)
        assert f'href="{PAGE}"' not in await other.see("/orders/sent-back")
    stranger = await world.browser("support", tenant="other")
    await stranger.see(PAGE, 404)
    await stranger.post(PAGE, 404, **fields)
    assert not world.sent.commands
    world.sent.outcome = Outcome(False, "Line 1: 1 units are asked for, 0 can be returned.", "Ask for less.")
    support = await world.browser("support")
    assert "0 can be returned" in (await support.post(PAGE, 409, **fields)).text
    world.sent.outcome = Outcome(True, "Done.", shown=True)
