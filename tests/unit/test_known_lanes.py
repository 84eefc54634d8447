"""What a process knows of its lanes without asking: as its last batch in each left them, and no longer."""

from dataclasses import replace

from libs.runtime.known_lanes import KnownLanes
from libs.runtime.log import Lane, Parked, Writes
from libs.runtime.planning import Known
from tests.log.test_log import row

MARK = ("orderlog/intake", 0)
READ = Known({0: Lane(3, 5, 9), 1: Lane(2, 1, 1)}, {MARK: 7}, {}, {})


def known() -> KnownLanes:
    lanes = KnownLanes()
    lanes.read(READ)
    return lanes


def test_a_lane_is_where_the_last_batch_left_it() -> None:
    lanes = known()
    heard = row(9, origin="heard")
    lanes.moved(Writes(rows=[row(5), row(6), heard], high_water={MARK: 8, ("orderlog/routing", 1): 1}))
    assert lanes.under({0: 3, 1: 2}) == Known(
        {0: Lane(3, 7, 10), 1: Lane(2, 1, 1)}, {MARK: 8, ("orderlog/routing", 1): 1}, {}, {}
    )
    assert lanes.under({1: 2}) == Known({1: Lane(2, 1, 1)}, {("orderlog/routing", 1): 1}, {}, {})


def test_what_a_plan_counts_is_its_own_until_it_is_committed() -> None:
    lanes = known()
    planned = lanes.under({0: 3})
    assert planned is not None
    planned.high_water[MARK] = 8
    assert lanes.under({0: 3}) == Known({0: Lane(3, 5, 9)}, {MARK: 7}, {}, {})


def test_another_epoch_another_lane_and_a_failure_are_asked_for() -> None:
    lanes = known()
    assert lanes.under({0: 4}) is None
    assert lanes.under({0: 3, 2: 1}) is None
    lanes.forget()
    assert lanes.under({0: 3}) is None


def test_a_lane_with_something_parked_is_asked_for_each_time() -> None:
    lanes = known()
    assert lanes.nothing_parked([0, 1])
    lanes.moved(Writes(parked=[Parked(1, "acme/o-1", "t", 1, 3, "failed", "why")]))
    assert lanes.under({1: 2}) is None
    assert lanes.under({0: 3}) is not None
    assert not lanes.nothing_parked([0, 1])
    lanes.read(replace(READ, waiting={"acme/o-1": 1}))
    assert lanes.under({0: 3}) is None
    lanes.read(READ)
    assert lanes.under({0: 3, 1: 2}) is not None
