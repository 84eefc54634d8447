"""Transfers, quarantine and damage as sentences: short, over, twice, too early, never."""

from datetime import timedelta

from libs.events.conditions import StockMoved
from libs.events.inventory import ReservationBroken, StockPegged
from libs.events.supply import (
    CloseTransfer,
    TransferClosed,
    TransferDispatched,
    TransferOverdue,
    TransferReceiptHeld,
    TransferReceived,
)
from libs.events.timer import Timer
from services.inventory import domain
from tests.spec import NOON, Spec
from tests.unit.inventory_stage import sku, stocked
from tests.unit.inventory_supply import DUE, land, lost, minutes, move, moves, rules, send, supply
from tests.unit.inventory_trade import accepted, due


def on_its_way() -> Spec:
    """Four of ten of A are on their way from N1 to N2 as T."""
    return stocked(A=10).heard(send("A", "T", 4))


def test_units_are_on_their_way_until_they_land() -> None:
    spec = stocked(A=10)
    spec.when(send("A", "T", 4)).then(
        TransferDispatched(
            sku="A",
            transfer_id="T",
            source_node="N1",
            target_node="N2",
            quantity=4,
            due_at=DUE,
            check_at=DUE,
            movements=(
                moves("A", 2, 4, "on_hand", "transfer"),
                moves("A", 3, 4, "transfer", "in_transit", "N2"),
            ),
        )
    )
    assert supply(spec, "A").held == {"in_transit": {"N2": 4}}
    spec.when(land("A", "T", "R1", 1)).then_one(TransferReceived, outcome="partial", open=3, check_at=DUE)
    spec.when(land("A", "T", "R2", 2, damaged=1)).then_one(
        TransferReceived, outcome="complete", open=0, check_at=None
    )
    assert sku(spec, "A").on_hand == {"N1": 6, "N2": 3}
    assert supply(spec, "A").held == {"damaged": {"N2": 1}}


def test_what_lacks_for_good_is_missing_and_what_is_more_waits_in_quarantine() -> None:
    spec = on_its_way()
    spec.when(land("A", "T", "R1", 3, final=True)).then_one(
        TransferReceived,
        outcome="short",
        short=1,
        movements=(
            moves("A", 4, 3, "in_transit", "on_hand", "N2"),
            moves("A", 5, 1, "in_transit", "missing", "N2"),
        ),
    )
    spec = on_its_way()
    spec.when(land("A", "T", "R1", 6)).then_one(TransferReceived, outcome="over", over=2, open=0)
    assert supply(spec, "A").held == {"quarantine": {"N2": 2}}


def test_a_transfer_lands_once() -> None:
    spec = on_its_way().heard(land("A", "T", "R1", 4))
    spec.when(land("A", "T", "R1", 4)).then_refused("already_received")
    spec.when(send("A", "T", 4)).then_refused("already_dispatched")
    spec.when(land("A", "T", "R2", 4)).then_one(
        TransferReceived,
        outcome="over",
        over=4,
        movements=(moves("A", 5, 4, "adjustment", "quarantine", "N2"),),
    )
    assert sku(spec, "A").on_hand == {"N1": 6, "N2": 4}


def test_receipts_end_in_the_same_place_whichever_comes_first() -> None:
    late = on_its_way().heard(land("A", "T", "R1", 3), land("A", "T", "R2", 3))
    early = stocked(A=10).heard(land("A", "T", "R1", 3), land("A", "T", "R2", 3), send("A", "T", 4))
    assert supply(early, "A").held == supply(late, "A").held == {"quarantine": {"N2": 2}}
    assert sku(early, "A").on_hand == sku(late, "A").on_hand == {"N1": 6, "N2": 4}


def test_a_landing_before_its_dispatch_is_booked_with_it() -> None:
    spec = stocked(A=10)
    spec.when(land("A", "T", "R1", 3)).then_types(TransferReceiptHeld)
    spec.when(land("A", "T", "R1", 3)).then_refused("already_received")
    spec.when(send("A", "T", 4)).then_types(TransferDispatched, TransferReceived)
    orderly = on_its_way().heard(land("A", "T", "R1", 3))
    assert sku(spec, "A") == sku(orderly, "A")
    assert supply(spec, "A") == supply(orderly, "A")


def test_who_waits_is_served_where_a_transfer_lands() -> None:
    spec = on_its_way().heard(accepted("o1", ("A", 8)))
    spec.when(land("A", "T", "R1", 4)).then_types(TransferReceived, StockPegged)


def test_promised_units_stay() -> None:
    spec = stocked(A=10).heard(accepted("o1", ("A", 8)))
    spec.when(send("A", "T", 3)).then_refused("promised")
    spec.when(send("A", "T", 11)).then_refused("not_on_hand")
    spec.when(send("A", "T", 1, "N1", "N1")).then_refused("same_node")
    spec.when(send("A", "T", 2)).then_types(TransferDispatched)
    spec.heard(rules(nodes=("N1",))).when(send("A", "T2", 1)).then_refused("unknown_node")


def test_a_transfer_that_never_arrives_is_told_once_and_closed_by_a_person() -> None:
    spec = on_its_way().heard(send("A", "T2", 1, due=DUE + timedelta(days=1)))
    spec.at = DUE
    [event] = spec.when(due("sku/A", "transfers")).events
    assert isinstance(event, TransferOverdue)
    assert (event.transfer_id, event.open, event.check_at) == ("T", 4, DUE + timedelta(days=1))
    next_one = Timer("sku/A", "transfers", DUE + timedelta(days=1))
    assert domain.timers(event, NOON) == [next_one, Timer("sku/A", "pegs", NOON)]
    spec.when(due("sku/A", "transfers")).then_nothing()
    spec.when(lost("A", "T")).then_one(
        TransferClosed, quantity=4, movements=(moves("A", 6, 4, "in_transit", "missing", "N2"),)
    )
    spec.when(lost("A", "T")).then_refused("transfer_closed")
    spec.when(lost("A", "T9")).then_refused("unknown_transfer")


def test_units_that_came_back_are_where_they_were() -> None:
    spec = on_its_way()
    spec.when(CloseTransfer(sku="A", transfer_id="T", outcome="returned")).then_types(TransferClosed)
    assert sku(spec, "A").on_hand == {"N1": 10}
    assert supply(spec, "A").held == {}


def test_quarantined_units_are_not_sold_and_come_back() -> None:
    spec = stocked(A=3).heard(accepted("o1", ("A", 2)))
    spec.when(move("A", 2, "on_hand", "quarantine")).then_types(ReservationBroken, StockMoved)
    assert sku(spec, "A").on_hand == {"N1": 1}
    spec.when(move("A", 2, "quarantine", "on_hand")).then_types(StockMoved, StockPegged)


def test_broken_units_are_mended_or_scrapped() -> None:
    spec = stocked(A=3).heard(move("A", 2, "on_hand", "damaged"))
    spec.when(move("A", 1, "damaged", "scrapped")).then_one(
        StockMoved, movements=(moves("A", 3, 1, "damaged", "scrapped"),)
    )
    spec.when(move("A", 1, "damaged", "on_hand")).then_types(StockMoved)
    spec.when(move("A", 1, "damaged", "scrapped")).then_refused("not_there")
    spec.when(move("A", 1, "on_hand", "scrapped")).then_refused("no_such_move")
    spec.when(move("A", 3, "on_hand", "damaged")).then_refused("not_there")
    late = move("A", 1, "on_hand", "damaged").model_copy(update={"effective_at": minutes(9)})
    spec.when(late).then_refused("effective_in_future")
