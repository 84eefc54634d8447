"""Transfers and counts that name lots, as sentences: which lots leave, arrive, are lost, and differ."""

from typing import Any

import pytest

from libs.events.contract import Command, Event
from libs.events.measure import LotQuantities, LotQuantity
from libs.events.stocktaking import CountRecorded, DifferenceSettled, LotCount, RecordCount
from libs.events.supply import (
    CloseTransfer,
    DispatchTransfer,
    ReceiveTransfer,
    TransferClosed,
    TransferDispatched,
    TransferReceiptHeld,
    TransferReceived,
)
from services.inventory import domain
from services.inventory.ledger import movements
from tests.spec import given
from tests.unit.inventory_lots import dairy, delivered, lots, milk, recalled
from tests.unit.inventory_stage import sku
from tests.unit.inventory_supply import approve, count, land, lost, rules, send, supply
from tests.unit.inventory_trade import accepted, due, line, receive, routed

OLD, NEW = ("OLD", 4, 3), ("NEW", 6, 9)


def of(**units: int) -> LotQuantities:
    return tuple(LotQuantity(lot=lot, quantity=quantity) for lot, quantity in units.items())


def sending(units: int, **named: int) -> DispatchTransfer:
    """A dispatch from N1 to N2, of these lots."""
    return send("MILK", "T", units).model_copy(update={"lots": of(**named) or None})


def landing(receipt: str, units: int, damaged: int = 0, final: bool = False, **named: int) -> ReceiveTransfer:
    return land("MILK", "T", receipt, units, damaged, final).model_copy(update={"lots": of(**named) or None})


def moved(event: Event) -> list[tuple[str, str, str | None, int]]:
    return [(one.source, one.target, one.lot, one.quantity) for one in movements(event)]


def test_the_lots_that_are_named_leave_and_arrive() -> None:
    spec = dairy(OLD, NEW)
    spec.when(sending(5, NEW=4, OLD=1)).then_one(TransferDispatched, lots=of(NEW=4, OLD=1))
    assert lots(spec).there("in_transit", "N2") == {"NEW": 4, "OLD": 1}
    assert supply(spec, "MILK").transfers["T"].lots == {"NEW": 4, "OLD": 1}
    spec.when(landing("R1", 3, NEW=3)).then_one(TransferReceived, outcome="partial", open=2, over=0)
    assert supply(spec, "MILK").transfers["T"].lots == {"NEW": 1, "OLD": 1}
    spec.when(landing("R2", 2)).then_one(TransferReceived, outcome="complete", open=0)
    assert lots(spec).there("on_hand", "N2") == {"NEW": 4, "OLD": 1}
    assert lots(spec).named["NEW"].expires_on > lots(spec).named["OLD"].expires_on


def test_unnamed_what_expires_first_leaves_and_is_recorded() -> None:
    spec = dairy(OLD, NEW)
    spec.when(sending(5)).then_one(TransferDispatched, lots=of(OLD=4, NEW=1))
    given(domain).heard(receive("MUG", 3)).when(send("MUG", "T", 2)).then_one(TransferDispatched, lots=None)


def test_a_transfer_brings_its_own_lots_whichever_comes_first() -> None:
    spec = dairy(OLD, NEW).heard(sending(4, OLD=4))
    spec.heard(send("MILK", "U", 4).model_copy(update={"lots": of(NEW=4)}))
    spec.heard(land("MILK", "U", "R1", 4))
    assert lots(spec).there("on_hand", "N2") == {"NEW": 4}
    assert lots(spec).there("in_transit", "N2") == {"OLD": 4}


def test_what_is_too_much_of_a_lot_waits_under_its_name_and_what_lacks_is_missing() -> None:
    spec = dairy(OLD, NEW).heard(sending(6, OLD=3, NEW=3))
    spec.when(landing("R1", 6, final=True, OLD=4, NEW=2)).then_one(
        TransferReceived, outcome="over", over=1, short=1, open=0
    )
    assert lots(spec).there("quarantine", "N2") == {"OLD": 1}
    assert lots(spec).there("on_hand", "N2") == {"OLD": 3, "NEW": 2}
    assert lots(spec).there("in_transit", "N2") == {}


def test_broken_units_are_of_the_lots_that_are_named() -> None:
    spec = dairy(OLD, NEW).heard(sending(6, OLD=3, NEW=3))
    broken = landing("R1", 2, damaged=2).model_copy(update={"damaged_lots": of(OLD=2)})
    spec.heard(broken)
    assert lots(spec).there("damaged", "N2") == {"OLD": 2}
    assert lots(spec).there("on_hand", "N2") == {"OLD": 1, "NEW": 1}


def test_a_receipt_that_comes_first_keeps_its_lots() -> None:
    spec = dairy(OLD, NEW)
    spec.when(landing("R1", 2, NEW=2)).then_one(TransferReceiptHeld, lots=of(NEW=2))
    spec.heard(sending(3, NEW=2, OLD=1))
    assert lots(spec).there("on_hand", "N2") == {"NEW": 2}
    assert supply(spec, "MILK").transfers["T"].lots == {"OLD": 1}


def test_what_is_lost_or_back_is_of_the_transfers_own_lots() -> None:
    spec = dairy(OLD, NEW).heard(sending(3, NEW=3))
    spec.heard(send("MILK", "U", 2).model_copy(update={"lots": of(OLD=2)}))
    gone = spec.when(lost("MILK", "T")).events[0]
    assert isinstance(gone, TransferClosed)
    assert moved(gone) == [("in_transit", "missing", "NEW", 3)]
    spec.heard(CloseTransfer(sku="MILK", transfer_id="U", outcome="returned"))
    assert lots(spec).there("on_hand", "N1") == {"OLD": 4, "NEW": 3}


def test_a_recalled_lot_is_not_sold_where_it_arrives() -> None:
    spec = dairy(OLD, NEW).heard(sending(2, NEW=2)).heard(recalled("NEW")).heard(landing("R1", 2, NEW=2))
    assert lots(spec).there("quarantine", "N2") == {"NEW": 2}
    assert sku(spec, "MILK").on_hand == {"N1": 4}


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (sending(5, OLD=5), "not_in_lot"),
        (sending(5, OLD=3), "lots_do_not_add_up"),
        (sending(5, OLD=3, GONE=2), "unknown_lot"),
        (sending(11), "not_on_hand"),
        (landing("R", 2, OLD=1), "lots_do_not_add_up"),
        (landing("R", 1, GONE=1), "unknown_lot"),
        (
            sending(4).model_copy(
                update={"lots": (LotQuantity(lot="OLD", quantity=2), LotQuantity(lot="OLD", quantity=2))}
            ),
            "lot_twice",
        ),
    ],
)
def test_lots_that_cannot_be_are_refused(command: Command, code: str) -> None:
    dairy(OLD, NEW).when(command).then_refused(code)


def test_lots_of_a_sku_without_lots_are_refused() -> None:
    spec = given(domain).heard(receive("MUG", 9))
    spec.when(send("MUG", "T", 2).model_copy(update={"lots": of(L=2)})).then_refused("no_lots")
    spec.when(land("MUG", "T", "R", 2).model_copy(update={"lots": of(L=2)})).then_refused("no_lots")
    spec.when(_of_lots(count("MUG", "C", 9, 9, 1), L=(9, 9))).then_refused("no_lots")


def _of_lots(command: RecordCount, **by_lot: tuple[int, int]) -> RecordCount:
    found = tuple(LotCount(lot=lot, counted=units, book=book) for lot, (units, book) in by_lot.items())
    return command.model_copy(update={"lots": found})


def counted(id_: str = "C", position: int = 2, **by_lot: tuple[int, int]) -> RecordCount:
    """Of each lot, what was counted and what the books had."""
    units, book = (sum(one[side] for one in by_lot.values()) for side in (0, 1))
    return _of_lots(count("MILK", id_, units, book, position), **by_lot)


def test_each_lots_variance_is_booked_to_it_though_the_shelf_adds_up() -> None:
    spec = dairy(OLD, NEW)
    answer = spec.when(counted(OLD=(2, 4), NEW=(8, 6)))
    answer.then_one(CountRecorded, variance=0, outcome="booked")
    assert moved(answer.events[0]) == [
        ("adjustment", "on_hand", "NEW", 2),
        ("on_hand", "written_off", "OLD", 2),
    ]
    assert lots(spec).there("on_hand", "N1") == {"OLD": 2, "NEW": 8}
    spec.when(counted("D", 4, OLD=(2, 2), NEW=(8, 8))).then_refused("superseded")


def test_a_lot_that_nobody_found_is_written_off_and_orders_keep_their_units() -> None:
    spec = dairy(OLD, NEW).heard(accepted("o1", ("MILK", 3)), routed("o1", 1, N1=(line(1, "MILK", 3),)))
    position = sku(spec, "MILK").position
    answer = spec.when(counted(position=position, OLD=(0, 4), NEW=(6, 6)))
    answer.then_one(CountRecorded, variance=-4, allocated_short=3)
    assert moved(answer.events[0]) == [("on_hand", "written_off", "OLD", 1)]


def test_what_differs_too_much_of_its_lots_waits_and_is_booked_to_them() -> None:
    spec = dairy(OLD, NEW).heard(rules(count_approval_units=1))
    spec.when(counted(OLD=(2, 4), NEW=(8, 6))).then_one(CountRecorded, outcome="held", movements=())
    answer = spec.when(approve("MILK", "C"))
    answer.then_one(DifferenceSettled, approved=True, variance=0)
    assert moved(answer.events[0]) == [
        ("adjustment", "on_hand", "NEW", 2),
        ("on_hand", "written_off", "OLD", 2),
    ]
    assert lots(spec).there("on_hand", "N1") == {"OLD": 2, "NEW": 8}


def test_what_is_found_of_a_stopped_lot_is_not_sold() -> None:
    spec = dairy(OLD, NEW).heard(recalled("OLD"))
    spec.heard(counted(position=sku(spec, "MILK").position, OLD=(1, 0), NEW=(6, 6)))
    assert lots(spec).there("quarantine", "N1") == {"OLD": 5}
    assert sku(spec, "MILK").on_hand == {"N1": 6}


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (counted(OLD=(4, 4), LOST=(1, 0)), "unknown_lot"),
        (counted(OLD=(4, 4)).model_copy(update={"counted": 5}), "lots_do_not_add_up"),
        (counted(OLD=(4, 4)).model_copy(update={"book": 5}), "lots_do_not_add_up"),
        (counted(OLD=(4, 4)).model_copy(update={"lot": "OLD"}), "lots_are_counted"),
    ],
)
def test_counts_of_lots_that_cannot_be_are_refused(command: Command, code: str) -> None:
    dairy(OLD, NEW).when(command).then_refused(code)


def test_a_transfer_that_does_not_know_its_lots_brings_what_no_other_has() -> None:
    """As one that was sent before transfers said which lots they were of."""
    spec = dairy(OLD, NEW).heard(sending(3, NEW=3))
    part: Any = supply(spec, "MILK")
    part.transfers["T"].lots.clear()
    spec.heard(send("MILK", "U", 2).model_copy(update={"lots": of(OLD=2)}))
    spec.heard(landing("R1", 3))
    assert lots(spec).there("on_hand", "N2") == {"NEW": 3}


def test_time_that_is_up_on_the_way_keeps_a_lot_off_the_shelf() -> None:
    spec = given(domain).heard(milk(), delivered("OLD", 4, 3)).heard(sending(4, OLD=4))
    spec.heard(due("sku/MILK", "lots"), at=lots(spec).leaves_at("OLD"))
    spec.heard(landing("R1", 4, OLD=4), at=lots(spec).leaves_at("OLD"))
    assert lots(spec).there("quarantine", "N2") == {"OLD": 4}
