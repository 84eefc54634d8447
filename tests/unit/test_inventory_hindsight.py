"""What was told late: the proof holds in the order in which it was known, and says what hindsight shows."""

from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from libs.events.inventory import StockReserved
from services.inventory.hindsight import look
from services.inventory.past import Asked, Stood, totals
from services.inventory.proof import prove
from tests.log.stock_history import History
from tests.spec import NOON
from tests.unit.inventory_trade import accepted, adjust, line, receive, routed
from tests.unit.inventory_world import TENANT

KEY = (TENANT, "A")


def at(hour: int) -> datetime:
    return NOON + timedelta(hours=hour - 12)


def test_a_promise_of_units_that_were_not_there_is_told_with_what_told_it() -> None:
    """Ten came, nine were promised at 14:00; at 17:00 it is told that four had broken at 13:00. Six had come
    at 16:00."""
    history = History()
    history.tell(receive("A", 10), at(12))
    history.tell(accepted("o1", ("A", 9)), at(14))
    history.tell(receive("A", 6), at(16))
    (told,) = history.tell(adjust("A", -4), at(17), at(13))
    proof = prove(history.log)
    assert (proof.holds, proof.backdated, proof.told_late) == (True, 1, frozenset({KEY}))
    (found,) = look(history.log, proof.told_late)
    promise = next(row for row in history.log if row.type == StockReserved.TYPE)
    assert (found.bucket, found.units, found.since, found.until) == ("promised", 3, at(14), at(16))
    assert (found.lane, found.seq, found.event_id) == (promise.lane, promise.seq, str(promise.event_id))
    adjusted = next(row for row in history.log if row.type == told.TYPE)
    assert (found.told_by, found.told_at) == (str(adjusted.event_id), at(17))


def test_a_shelf_that_was_emptied_before_it_was_filled_is_told() -> None:
    history = History()
    history.tell(receive("A", 5), at(12))
    history.tell(accepted("o1", ("A", 5)), at(13))
    history.tell(routed("o1", 1, N1=(line(1, "A", 5),)), at(14))
    history.tell(receive("A", 5), at(15))
    history.tell(adjust("A", -5), at(16), at(13))
    found = look(history.log, {KEY})
    assert [(one.node, one.bucket, one.units, one.since, one.until) for one in found] == [
        ("*", "promised", 5, at(13), at(15)),
        ("N1", "on_hand", 5, at(14), at(15)),
    ]


def test_what_is_told_in_time_shows_nothing() -> None:
    history = History()
    history.tell(receive("A", 5), at(12), at(11))
    history.tell(accepted("o1", ("A", 5)), at(13))
    proof = prove(history.log)
    assert proof.told_late == {KEY}
    assert look(history.log, proof.told_late) == []
    assert prove(History().log).told_late == frozenset()


@given(
    st.lists(
        st.tuples(st.sampled_from(("receive", "adjust", "order")), st.integers(1, 6), st.integers(0, 90)),
        max_size=25,
    )
)
def test_every_moment_that_lacks_units_lies_in_a_finding_and_no_other(
    acts: list[tuple[str, int, int]],
) -> None:
    """Held against a sum over all movements, at each moment at which anything changed."""
    history, moment = History(), NOON
    for number, (act, units, ago) in enumerate(acts):
        moment += timedelta(minutes=5)
        effective = moment - timedelta(minutes=ago)
        if act == "order":
            history.tell(accepted(f"o{number}", ("A", units)), moment)
        else:
            body = receive("A", units) if act == "receive" else adjust("A", -units)
            history.tell(body, moment, effective)
    proof = prove(history.log)
    assert proof.holds
    found = [one for one in look(history.log, {KEY}) if one.bucket == "promised"]
    for minutes in range(-90, 5 * len(acts) + 5):
        asked = Asked("A", NOON + timedelta(minutes=minutes))
        short = totals(Stood(asked, 0, 0, history.units(asked)))["short"]
        during = [
            one for one in found if one.since <= asked.at and (one.until is None or asked.at < one.until)
        ]
        assert bool(short) == bool(during), minutes
        assert all(short <= one.units for one in during)
