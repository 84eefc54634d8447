"""Lots as sentences: what expires first leaves first, what has expired is not sold, recalls take one lot."""

from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest

from libs.events.contract import Command, Event
from libs.events.inventory import (
    AllocationFailed,
    ReceiveStock,
    ReservationBroken,
    StockAdjusted,
    StockAllocated,
    StockIssued,
    StockPegged,
    StockReceived,
    StockReleased,
    StockReserved,
    StockReturned,
    StockShorted,
)
from libs.events.items import ItemDefined
from libs.events.lots import LotDefined, LotExpired, LotQuarantined, LotReleased
from libs.events.stocktaking import CountRecorded
from libs.events.supply import SupplyReceived, TransferDispatched, TransferReceived
from libs.events.timer import Timer
from services.inventory import domain
from services.inventory.ledger import movements
from tests.spec import NOON, Answer, Spec, given
from tests.unit.inventory_lots import cleared, corrected, dairy, day, delivered, lots, milk, recalled
from tests.unit.inventory_stage import order, sku
from tests.unit.inventory_supply import arrive, count, expect, feed, land, move, send, supply, told
from tests.unit.inventory_trade import (
    accepted,
    cancelled,
    dispatched,
    due,
    line,
    receive,
    returned,
    routed,
    shorted,
)

OLD, NEW = ("OLD", 4, 3), ("NEW", 6, 9)


def midnight(days: int) -> datetime:
    """The end of the day that is so many days from today."""
    return datetime.combine(day(days), time(), UTC) + timedelta(days=1)


def moved(answer: Answer, kind: type[Event]) -> list[tuple[str, str, str | None, int]]:
    """(source, target, lot, units) at nodes of the answer's event of this kind."""
    [event] = [one for one in answer.events if isinstance(one, kind)]
    found = [(m.source, m.target, m.lot, m.quantity) for m in movements(event) if m.node != "*"]
    return [(str(source), str(target), lot, units) for source, target, lot, units in found]


def sold(spec: Spec, units: int, order_id: str = "o1") -> Spec:
    """An order of milk that has been promised its units."""
    return spec.when(accepted(order_id, ("MILK", units))).then_types(StockReserved)


def planned(order_id: str, units: int, round_: int = 1) -> Any:
    return routed(order_id, round_, N1=(line(1, "MILK", units),))


def test_a_new_lot_is_defined_and_looked_at_when_its_last_day_is_over() -> None:
    answer = dairy().when(delivered("OLD", 4, 3))
    spec = answer.then_types(LotDefined, StockReceived)
    defined = answer.events[0]
    assert defined == LotDefined(sku="MILK", lot="OLD", expires_on=day(3), check_at=midnight(3))
    assert domain.timers(defined, NOON) == [Timer("sku/MILK", "lots", midnight(3))]
    assert moved(answer, StockReceived) == [("supplier", "on_hand", "OLD", 4)]
    assert lots(spec).there("on_hand", "N1") == {"OLD": 4}
    spec.when(delivered("OLD", 1, 3)).then_types(StockReceived)


def test_what_expires_first_is_allocated_first_and_the_allocation_says_so() -> None:
    spec = sold(dairy(NEW, OLD), 7)
    answer = spec.when(planned("o1", 7))
    assert moved(answer, StockAllocated) == [
        ("on_hand", "allocated", "OLD", 4),
        ("on_hand", "allocated", "NEW", 3),
    ]
    assert order(spec, "o1").lots == {"allocated/N1/MILK": {"OLD": 4, "NEW": 3}}


def test_an_order_ships_its_own_lots_whoever_ships_first() -> None:
    spec = sold(sold(dairy(OLD, NEW), 4), 3, "o2").heard(planned("o1", 4), planned("o2", 3))
    answer = spec.when(dispatched("o2", 1, "N1", line(1, "MILK", 3)))
    assert moved(answer, StockIssued) == [("allocated", "issued", "NEW", 3)]
    assert order(spec, "o2").lots == {"issued/N1/MILK": {"NEW": 3}}
    assert order(spec, "o1").lots == {"allocated/N1/MILK": {"OLD": 4}}


def test_units_that_are_freed_short_or_returned_are_of_the_orders_lots() -> None:
    spec = sold(dairy(OLD, NEW), 8).heard(planned("o1", 8))
    short = spec.when(shorted("o1", 1, "N1", line(1, "MILK", 1)))
    assert moved(short, StockShorted) == [("allocated", "missing", "OLD", 1)]
    spec.heard(dispatched("o1", 1, "N1", line(1, "MILK", 5)))
    freed = spec.when(cancelled("o1", line(1, "MILK", 2)))
    assert moved(freed, StockReleased) == [("allocated", "on_hand", "NEW", 2)]
    back = spec.when(returned("o1", "N2", line(1, "MILK", 4)))
    assert moved(back, StockReturned) == [
        ("issued", "transfer", "OLD", 3),
        ("issued", "transfer", "NEW", 1),
        ("transfer", "on_hand", "OLD", 3),
        ("transfer", "on_hand", "NEW", 1),
    ]
    [reminder] = domain.timers(back.events[0], NOON)
    assert reminder.name == "lots_back"


def test_a_lot_leaves_the_shelf_when_its_time_is_up_and_promises_on_it_break() -> None:
    spec = sold(dairy(OLD, NEW), 8)
    answer = spec.when(due("sku/MILK", "lots"), at=midnight(3))
    answer.then_types(ReservationBroken, LotExpired)
    expired = answer.events[1]
    assert isinstance(expired, LotExpired)
    assert (expired.lot, expired.allocated, expired.check_at) == ("OLD", 0, midnight(9))
    assert moved(answer, LotExpired) == [("on_hand", "quarantine", "OLD", 4)]
    assert (sku(spec, "MILK").on_hand, sku(spec, "MILK").reserved) == ({"N1": 6}, 6)
    assert supply(spec, "MILK").units("quarantine", "N1") == 4
    spec.when(due("sku/MILK", "lots"), at=midnight(3)).then_nothing()


def test_a_lot_is_looked_at_though_none_of_it_is_left() -> None:
    spec = dairy(OLD, NEW).heard(corrected("OLD", -4))
    spec.when(due("sku/MILK", "lots"), at=midnight(3)).then_one(
        LotExpired, movements=(), check_at=midnight(9)
    )


def test_what_has_expired_is_not_allocated_though_nobody_has_looked_yet() -> None:
    spec = sold(dairy(OLD, NEW), 5)
    spec.when(planned("o1", 5), at=midnight(3)).then_types(StockAllocated)
    assert order(spec, "o1").lots == {"allocated/N1/MILK": {"NEW": 5}}
    spec = sold(dairy(OLD, NEW), 7)
    spec.when(planned("o1", 7), at=midnight(3)).then_one(AllocationFailed, round=2)


def test_a_shelf_life_that_must_be_left_takes_a_lot_out_of_promise_sooner() -> None:
    spec = dairy(OLD, NEW, shelf_days_min=2)
    spec.when(due("sku/MILK", "lots"), at=midnight(1)).then_one(LotExpired, lot="OLD")
    longer = milk(shelf_days_min=5)
    spec.when(longer, at=midnight(1)).then_one(ItemDefined, item_version=2, check_at=midnight(4))
    spec.when(delivered("X", 1, 4)).then_refused("lot_expired")


def test_a_recall_takes_one_lot_and_tells_what_orders_have_of_it() -> None:
    spec = sold(dairy(OLD, NEW), 2).heard(planned("o1", 2), accepted("o2", ("MILK", 7)))
    answer = spec.when(recalled("OLD"))
    answer.then_types(ReservationBroken, LotQuarantined)
    quarantined = answer.events[1]
    assert isinstance(quarantined, LotQuarantined)
    assert (quarantined.allocated, quarantined.reason) == (2, "glass")
    assert moved(answer, LotQuarantined) == [("on_hand", "quarantine", "OLD", 2)]
    spec.when(recalled("OLD")).then_nothing()
    spec.when(delivered("OLD", 1, 3)).then_refused("lot_stopped")


def test_what_comes_back_of_a_recalled_lot_is_not_sold() -> None:
    spec = sold(dairy(OLD, NEW), 4).heard(planned("o1", 4), recalled("OLD"), cancelled("o1"))
    assert sku(spec, "MILK").on_hand == {"N1": 10}
    answer = spec.when(due("sku/MILK", "lots_back"))
    assert moved(answer, LotQuarantined) == [("on_hand", "quarantine", "OLD", 4)]


def test_a_lot_that_is_good_after_all_serves_who_waits() -> None:
    spec = dairy(OLD).heard(recalled("OLD"), accepted("o1", ("MILK", 3)))
    answer = spec.when(cleared("OLD"))
    answer.then_types(LotReleased, StockPegged)
    assert moved(answer, LotReleased) == [("quarantine", "on_hand", "OLD", 4)]
    spec.when(cleared("OLD")).then_nothing()
    spec.heard(recalled("OLD")).when(cleared("OLD"), at=midnight(3)).then_refused("lot_expired")


def test_what_is_bought_arrives_with_its_lot() -> None:
    spec = dairy().heard(expect("MILK", "P", 10))
    came = arrive("MILK", "P", "R", 8, damaged=1).model_copy(update={"lot": "OLD", "expires_on": day(3)})
    spec.when(arrive("MILK", "P", "R", 8)).then_refused("lot_required")
    answer = spec.when(came)
    answer.then_types(LotDefined, SupplyReceived)
    assert moved(answer, SupplyReceived) == [
        ("inbound", "on_hand", "OLD", 8),
        ("inbound", "damaged", "OLD", 1),
    ]


def test_that_nothing_more_is_to_come_needs_no_lot() -> None:
    spec = dairy().heard(expect("MILK", "P", 10))
    spec.when(arrive("MILK", "P", "R", 0, final=True)).then_one(SupplyReceived, outcome="short", short=10)


def test_a_transfer_takes_what_expires_first_and_too_much_of_it_has_no_lot() -> None:
    spec = dairy(OLD, NEW)
    answer = spec.when(send("MILK", "T", 5))
    assert moved(answer, TransferDispatched) == [
        ("on_hand", "transfer", "OLD", 4),
        ("on_hand", "transfer", "NEW", 1),
        ("transfer", "in_transit", "OLD", 4),
        ("transfer", "in_transit", "NEW", 1),
    ]
    landed = spec.when(land("MILK", "T", "L", 7))
    assert moved(landed, TransferReceived) == [
        ("in_transit", "on_hand", "OLD", 4),
        ("in_transit", "on_hand", "NEW", 1),
        ("adjustment", "quarantine", None, 2),
    ]
    spec.when(move("MILK", 1, "quarantine", "on_hand", "N2")).then_refused("lot_required")
    spec.heard(move("MILK", 2, "quarantine", "scrapped", "N2"))
    assert supply(spec, "MILK").units("quarantine", "N2") == 0


def test_what_lands_of_a_lot_that_has_expired_on_the_way_is_not_sold() -> None:
    spec = dairy(OLD).heard(send("MILK", "T", 4))
    spec.heard(due("sku/MILK", "lots"), at=midnight(3))
    answer = spec.when(land("MILK", "T", "L", 4), at=midnight(3))
    answer.then_types(TransferReceived, LotExpired)
    assert sku(spec, "MILK").on_hand == {}


def test_a_count_that_finds_fewer_takes_what_expires_first_and_one_that_finds_more_names_the_lot() -> None:
    spec = dairy(OLD, NEW)
    answer = spec.when(count("MILK", "C1", 7, 10, 2))
    assert moved(answer, CountRecorded) == [("on_hand", "written_off", "OLD", 3)]
    more = count("MILK", "C2", 9, 7, 3, at=NOON + timedelta(minutes=1))
    spec.at = NOON + timedelta(minutes=2)
    spec.when(more).then_refused("lot_required")
    spec.when(more.model_copy(update={"lot": "X"})).then_refused("unknown_lot")
    answer = spec.when(more.model_copy(update={"lot": "NEW"}))
    assert moved(answer, CountRecorded) == [("adjustment", "on_hand", "NEW", 2)]


def test_a_correction_names_the_lot() -> None:
    spec = dairy(OLD, NEW)
    answer = spec.when(corrected("NEW", -2))
    assert moved(answer, StockAdjusted) == [("on_hand", "written_off", "NEW", 2)]
    answer = spec.when(corrected("OLD", 1))
    assert moved(answer, StockAdjusted) == [("adjustment", "on_hand", "OLD", 1)]


def one_of(lot: str | None, lasts: int | None = None, quantity: int = 1) -> ReceiveStock:
    expires_on = None if lasts is None else day(lasts)
    return ReceiveStock(sku="MILK", node="N1", quantity=quantity, lot=lot, expires_on=expires_on)


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (receive("MILK", 1), "lot_required"),
        (one_of("X"), "lot_required"),
        (one_of(None, 5), "lot_required"),
        (one_of("OLD", 4), "wrong_expiry"),
        (one_of("X", -1), "lot_expired"),
        (one_of("X", 300 * 366), "expiry_too_far"),
        (one_of("X", 5, 1_000_000), "too_many_units"),
        (corrected(None, -1), "lot_required"),
        (corrected("X", -1), "unknown_lot"),
        (corrected("OLD", -5), "not_in_lot"),
        (corrected("OLD", -11), "not_on_hand"),
        (corrected("GONE", 1), "lot_stopped"),
        (move("MILK", 1, "on_hand", "damaged"), "lot_required"),
        (move("MILK", 5, "on_hand", "damaged").model_copy(update={"lot": "OLD"}), "not_in_lot"),
        (move("MILK", 1, "on_hand", "damaged").model_copy(update={"lot": "X"}), "unknown_lot"),
        (move("MILK", 1, "quarantine", "on_hand").model_copy(update={"lot": "GONE"}), "lot_stopped"),
        (recalled("X"), "unknown_lot"),
        (cleared("X"), "unknown_lot"),
        (told("MILK", 1), "lot_required"),
        (milk(lot_controlled=False), "has_moved"),
    ],
)
def test_what_is_wrong_with_a_lot_has_a_name_and_moves_nothing(command: Command, code: str) -> None:
    full = ReceiveStock(sku="MILK", node="N1", quantity=1_000_000, lot="NEW", expires_on=day(9))
    spec = dairy(OLD, NEW, ("GONE", 2, 5)).heard(recalled("GONE"), feed())
    if code == "too_many_units":
        spec.heard(*[full] * 999)
    before = dict(spec.parts)
    spec.when(command).then_refused(code)
    assert spec.parts == before


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (delivered("L", 1, 5, sku="MUG"), "no_lots"),
        (corrected("L", 1, sku="MUG"), "no_lots"),
        (recalled("L", sku="MUG"), "no_lots"),
        (cleared("L", sku="MUG"), "no_lots"),
        (move("MUG", 1, "on_hand", "damaged").model_copy(update={"lot": "L"}), "no_lots"),
        (count("MUG", "C", 2, 1, 1).model_copy(update={"lot": "L"}), "no_lots"),
        (milk(sku="MUG"), "has_moved"),
        (milk(sku="MUG", lot_controlled=False, shelf_days_min=3), "no_lots"),
    ],
)
def test_lots_of_a_sku_that_has_none_are_refused(command: Command, code: str) -> None:
    given(domain).heard(receive("MUG", 3)).when(command).then_refused(code)


def test_lots_long_gone_are_forgotten() -> None:
    spec = dairy(OLD).heard(corrected("OLD", -4)).heard(due("sku/MILK", "lots"), at=midnight(3))
    spec.at = midnight(500)
    spec.heard(delivered("NEXT", 1, 510))
    assert list(lots(spec).named) == ["NEXT"]
