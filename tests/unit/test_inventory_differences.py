"""Differences that wait as sentences: a shelf has one at most, and none is booked twice."""

import pytest

from libs.events.contract import Contract
from libs.events.feeds import StockReported
from libs.events.stocktaking import (
    AdjustmentProposed,
    CountRecorded,
    DifferenceSettled,
    DifferenceSuperseded,
    SuspectStock,
)
from tests.spec import Spec
from tests.unit.inventory_stage import sku, stocked
from tests.unit.inventory_supply import (
    approve,
    arrive,
    count,
    feed,
    minutes,
    move,
    propose,
    rules,
    supply,
    told,
)
from tests.unit.inventory_trade import accepted, adjust, line, receive, routed, shorted

HOUR = 60


def hundred() -> Spec:
    """A hundred at N1; a count that differs by more than ten waits, and it is an hour after noon."""
    spec = stocked(A=100).heard(rules(count_approval_units=10))
    spec.at = minutes(HOUR)
    return spec


def waiting(spec: Spec) -> list[str]:
    return list(supply(spec, "A").differences)


def test_the_same_difference_of_two_nights_is_booked_once() -> None:
    spec = hundred().heard(propose("A", "W1", -10))
    spec.when(propose("A", "W2", -10, at=30)).then(
        DifferenceSuperseded(
            sku="A",
            proposal_id="W1",
            node="N1",
            source="snapshot",
            variance=-10,
            as_of=minutes(0),
            cause="snapshot",
            by="W2",
        ),
        AdjustmentProposed(
            sku="A", proposal_id="W2", node="N1", variance=-10, as_of=minutes(30), system="wms", up_to=1
        ),
    )
    spec.when(approve("A", "W1")).then_refused("superseded")
    spec.when(approve("A", "W2")).then_types(DifferenceSettled)
    spec.when(approve("A", "W1")).then_refused("superseded")
    assert sku(spec, "A").on_hand == {"N1": 90}


def test_a_second_count_takes_the_place_of_the_one_that_waits() -> None:
    spec = hundred().heard(count("A", "C1", 50, 100, 1))
    spec.when(count("A", "C2", 50, 100, 1, minutes(30))).then_types(DifferenceSuperseded, CountRecorded)
    assert waiting(spec) == ["C2"]
    spec.heard(approve("A", "C1"), approve("A", "C2"))
    assert sku(spec, "A").on_hand == {"N1": 50}


def test_a_recount_that_matches_or_is_booked_closes_what_waits() -> None:
    for counted, left in ((100, 100), (95, 95)):
        spec = hundred().heard(count("A", "C1", 50, 100, 1))
        spec.when(count("A", "C2", counted, 100, 1, minutes(30))).then_types(
            DifferenceSuperseded, CountRecorded
        )
        assert waiting(spec) == []
        spec.when(approve("A", "C1")).then_refused("superseded")
        assert sku(spec, "A").on_hand == {"N1": left}


def test_a_snapshot_that_agrees_closes_what_waits() -> None:
    spec = hundred().heard(propose("A", "W1", -10))
    spec.when(propose("A", "W2", 0, at=30)).then_one(DifferenceSuperseded, proposal_id="W1", by="W2")
    spec.when(propose("A", "W3", 0, at=40)).then_refused("no_change")
    assert waiting(spec) == []
    # The same snapshot again, once what it lacked has been told.
    spec.heard(propose("A", "W4", -10, at=45))
    spec.when(propose("A", "W4", 0, at=45)).then_one(DifferenceSuperseded, proposal_id="W4", by="W4")


def test_another_shelf_keeps_its_own() -> None:
    spec = hundred().heard(receive("A", 9, "N2"), propose("A", "W1", -10))
    spec.when(propose("A", "W2", -3, at=30, node="N2")).then_types(AdjustmentProposed)
    assert waiting(spec) == ["W1", "W2"]
    spec.heard(approve("A", "W1"))
    spec.when(approve("A", "W2")).then_types(DifferenceSettled)


@pytest.mark.parametrize(
    ("since", "left"),
    [
        (adjust("A", -50), 50),
        (move("A", 7, "on_hand", "damaged").model_copy(update={"effective_at": minutes(-5)}), 93),
        (arrive("A", "P", "R", 5).model_copy(update={"effective_at": minutes(-5)}), 105),
    ],
)
def test_what_was_put_right_or_told_late_meanwhile_is_not_booked_again(since: Contract, left: int) -> None:
    spec = hundred().heard(count("A", "C1", 50, 100, 1), since)
    spec.when(approve("A", "C1")).then_refused("superseded")
    spec.when(approve("A", "C1", yes=False)).then_one(DifferenceSettled, approved=False, movements=())
    assert sku(spec, "A").on_hand == {"N1": left}


def test_what_moved_since_and_is_no_correction_stands() -> None:
    spec = hundred().heard(
        count("A", "C1", 50, 100, 1),
        receive("A", 20),
        move("A", 5, "on_hand", "damaged"),
        adjust("A", 1, "N2"),
    )
    spec.when(approve("A", "C1")).then_types(DifferenceSettled)
    assert sku(spec, "A").on_hand == {"N1": 65, "N2": 1}


def test_picks_that_found_nothing_since_have_taken_it_off_the_books() -> None:
    spec = hundred().heard(accepted("o1", ("A", 50)), routed("o1", 1, N1=(line(1, "A", 50),)))
    spec.heard(count("A", "C1", 50, 100, sku(spec, "A").position))
    spec.heard(shorted("o1", 1, "N1", line(1, "A", 50)))
    spec.when(approve("A", "C1")).then_refused("superseded")


def test_a_snapshot_of_before_a_count_or_a_settlement_says_nothing() -> None:
    spec = hundred().heard(count("A", "C1", 92, 100, 1, minutes(20)))
    spec.when(propose("A", "W1", -8, at=10)).then_refused("superseded")
    spec.heard(propose("A", "W2", -5, at=30), approve("A", "W2"))
    spec.when(propose("A", "W3", -5, at=30)).then_refused("superseded")
    # Nor does a count of before the snapshot, or one whose book was read before it was booked.
    spec.when(count("A", "C2", 87, 92, 3, minutes(25))).then_refused("superseded")
    spec.when(count("A", "C2", 87, 92, 2, minutes(40))).then_refused("book_changed")
    assert sku(spec, "A").on_hand == {"N1": 87}


def test_a_snapshot_that_was_held_against_other_books() -> None:
    spec = hundred()
    spec.when(propose("A", "W1", -8, at=40, position=9)).then_refused("unknown_position")
    # Read at 1; then a count of before its moment is told, and books the same.
    spec.heard(count("A", "C1", 92, 100, 1, minutes(20)))
    spec.when(propose("A", "W1", -8, at=40, position=1)).then_refused("book_changed")
    spec.when(propose("A", "W1", -8, at=40, position=2)).then_types(AdjustmentProposed)


def test_what_is_older_does_not_take_the_place_of_what_is_newer() -> None:
    spec = hundred().heard(propose("A", "W2", -10, at=30))
    spec.when(propose("A", "W1", -9, at=20)).then_refused("superseded")
    spec.when(propose("A", "W3", -9, at=30)).then_refused("superseded")
    spec.when(propose("A", "W1", 0, at=20)).then_refused("no_change")
    spec.when(count("A", "C1", 50, 100, 1, minutes(20))).then_refused("superseded")
    # One that is small enough to be booked is; what waits does not know of it.
    spec.when(count("A", "C1", 92, 100, 1, minutes(20))).then_one(CountRecorded, outcome="booked")
    assert waiting(spec) == ["W2"]
    spec.when(approve("A", "W2")).then_refused("superseded")
    assert sku(spec, "A").on_hand == {"N1": 92}


def test_what_a_feed_tells_of_its_node_closes_what_waits_there() -> None:
    spec = stocked().heard(feed(), told("A", 100), propose("A", "W1", -10, node="V1"))
    spec.when(told("A", 90, stated=1), at=minutes(1)).then_types(DifferenceSuperseded, StockReported)
    assert waiting(spec) == []
    assert sku(spec, "A").on_hand == {"V1": 90}


def test_a_rejected_count_leaves_what_is_doubted_as_it_is() -> None:
    spec = hundred().heard(SuspectStock(sku="A", node="N1"), count("A", "C1", 50, 100, 2, minutes(30)))
    spec.when(approve("A", "C1", yes=False)).then_one(DifferenceSettled, movements=())
    assert supply(spec, "A").units("suspect", "N1") == 100


def test_what_is_approved_of_a_shelf_answers_picks_that_found_nothing_there_before() -> None:
    """As a count does: else a rebuild, which may fold the pick after it, would know of none."""
    spec = hundred().heard(accepted("o1", ("A", 5)), routed("o1", 1, N1=(line(1, "A", 5),)))
    spec.heard(shorted("o1", 1, "N1", line(1, "A", 5)))
    assert len(supply(spec, "A").short_picks["N1"]) == 1
    spec.heard(propose("A", "W1", -3, at=HOUR, position=sku(spec, "A").position))
    spec.when(approve("A", "W1")).then_types(DifferenceSettled)
    assert supply(spec, "A").short_picks == {}
