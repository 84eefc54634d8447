"""Stock and reservations of the read side: sums that come out as the ledger says, in whatever order."""

from libs.events.contract import Event
from services.console.projection import Changes, fold
from services.console.stock import BalanceKey, ReservationKey, ReservationUnits
from tests.console_lives import Life, cancelled, delivered, receipts, troubled, unroutable
from tests.console_parts import TENANT, envelopes


def changes_of(life: Life) -> Changes:
    return fold([e for stage, events in life.items() for e in envelopes(stage, events)], {})


def balances(events: list[Event]) -> dict[tuple[str, str, str], int]:
    folded = fold(envelopes("inventory", events), {})
    return {(key.sku, key.node, key.bucket): units for key, units in folded.balances.items()}


def claim(life: Life, sku: str) -> ReservationUnits:
    return changes_of(life).reservations[ReservationKey(TENANT, "o-1", sku)]


def test_every_movement_takes_what_it_gives() -> None:
    for life in (delivered("o-1"), troubled("o-1"), cancelled("o-1")):
        moved = changes_of(life).balances
        assert moved
        assert sum(moved.values()) == 0


def test_receipts_and_adjustments_make_the_balance() -> None:
    assert balances(receipts("o-1")) == {
        ("A", "LON", "supplier"): -10,
        ("A", "LON", "on_hand"): 9,
        ("B", "LON", "supplier"): -2,
        ("B", "LON", "on_hand"): 2,
        ("A", "*", "unreserved"): 0,
        ("A", "*", "reserved"): 0,
        ("A", "LON", "written_off"): 1,
    }


def test_a_bucket_that_comes_to_nothing_keeps_its_row() -> None:
    changes = changes_of(cancelled("o-1"))
    assert changes.balances[BalanceKey(TENANT, "A", "LON", "allocated")] == 0


def test_a_delivered_order_has_issued_what_it_wanted() -> None:
    assert claim(delivered("o-1"), "A") == ReservationUnits(wanted=10, issued=10, returned=5)
    assert claim(delivered("o-1"), "B") == ReservationUnits(wanted=2, issued=2)


def test_a_cancelled_order_has_released_what_it_held() -> None:
    assert claim(cancelled("o-1"), "A") == ReservationUnits(wanted=10, released=10)
    assert claim(unroutable("o-1"), "A") == ReservationUnits(wanted=10, released=10)


def test_a_short_pick_is_sourced_again() -> None:
    assert claim(troubled("o-1"), "A") == ReservationUnits(wanted=10, issued=10, short=3)


def test_pegged_units_are_held_for_the_orders_that_are_named() -> None:
    pegged = fold(envelopes("inventory", receipts("o-9")[:3]), {})
    assert pegged.reservations == {ReservationKey(TENANT, "o-9", "A"): ReservationUnits(held=2)}
