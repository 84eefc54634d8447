"""The proof over days that channels ask for: what was too old for one is found, wherever it is read."""

from typing import Any

from libs.events.inventory import StockAllocated
from libs.events.lots import LotsLimited
from libs.events.promise import ChannelTerms, DefinePromiseTerms
from services.inventory.proof import prove
from tests.unit.inventory_logs import nth_event, tampered, violation
from tests.unit.inventory_lots import delivered, milk
from tests.unit.inventory_trade import accepted, line, routed
from tests.unit.inventory_world import Logged, World


def asks(days: int) -> DefinePromiseTerms:
    return DefinePromiseTerms(sku="MILK", channels=(ChannelTerms(channel="wholesale", shelf_days_min=days),))


def a_good_log() -> list[Logged]:
    """A wholesaler asks for five days, then for one, and then for nine; it is given what it asks for."""
    world = World()
    world.take(milk())
    world.take(asks(5))
    for lot, days in (("OLD", 3), ("NEW", 7), ("NEWEST", 12)):
        world.take(delivered(lot, 4, days))
    for number, days in enumerate((5, 1, 9), 1):
        world.take(asks(days))
        order = accepted(f"o{number}", ("MILK", 2)).model_copy(update={"channel": "wholesale"})
        world.take(order)
        world.take(routed(order.order_id, 1, N1=(line(1, "MILK", 2),)))
    return world.log


GOOD = a_good_log()


def orders_of_lanes(rows: list[Logged]) -> list[list[Logged]]:
    return [
        rows,
        sorted(rows, key=lambda row: (row.lane, row.seq)),
        sorted(rows, key=lambda row: (-row.lane, row.seq)),
    ]


def test_a_good_log_holds_in_any_order_of_lanes() -> None:
    given = [row for row in GOOD if row.type == StockAllocated.TYPE]
    assert len(given) == 3, "the wholesaler was not given what it ordered"
    for rows in orders_of_lanes(GOOD):
        proof = prove(rows)
        assert proof.holds, proof.violation


def test_a_lot_that_was_too_old_for_the_channel_is_found_in_any_order_of_lanes() -> None:
    """The last order is said to have been given what lasts a week, where nine days were asked for."""

    def of_a_week(payload: dict[str, Any]) -> None:
        payload["movements"][-1]["lot"] = "NEW"

    place = nth_event(GOOD, StockAllocated.TYPE, 2)
    for rows in orders_of_lanes(tampered(GOOD, place, of_a_week)):
        assert violation(prove(rows)) == (
            "allocates to wholesale lot NEW of MILK, which lasts until 2026-03-09, not 2026-03-11"
        )


def test_what_was_asked_for_counts_from_its_own_position_on() -> None:
    """Had nine days been asked for before the first order was given its lot, that one was too old."""

    def sooner(payload: dict[str, Any]) -> None:
        payload["limits"][0]["expires_from"] = "2026-03-12"

    assert "lot NEW" in violation(prove(tampered(GOOD, nth_event(GOOD, LotsLimited.TYPE), sooner)))
