"""What the projector keeps of orders between batches: only what nobody else can have changed since."""

from services.console.facts import State
from services.console.projection import OrderKey
from services.console.recent import RecentOrders, Stand
from services.console.stored import Written, write_state


def stand(offset: int, table: int = 1) -> Stand:
    return frozenset({("oms.intake.events", offset, table)})


def order(number: int, events: int = 1) -> tuple[OrderKey, Written]:
    return OrderKey("acme", f"o-{number}"), write_state(State(events=events))


def test_what_was_written_is_known_as_long_as_the_lane_stands_there() -> None:
    recent = RecentOrders()
    recent.keep(0, recent.of(0, stand(0)), stand(1), [order(1)])
    assert recent.of(0, stand(1)).orders == dict([order(1)])
    assert recent.of(0, stand(2)).orders == {}
    assert recent.of(0, stand(1)).orders == {}, "what was dropped does not come back"


def test_another_table_that_stands_there_is_another_one() -> None:
    recent = RecentOrders()
    recent.keep(0, recent.of(0, stand(0)), stand(1), [order(1)])
    assert recent.of(0, stand(1, table=2)).orders == {}


def test_lanes_are_apart() -> None:
    recent = RecentOrders()
    recent.keep(0, recent.of(0, stand(0)), stand(1), [order(1)])
    recent.keep(1, recent.of(1, stand(5)), stand(6), [order(2)])
    assert recent.of(1, stand(7)).orders == {}
    assert recent.of(0, stand(1)).orders == dict([order(1)])


def test_of_two_batches_that_overlap_the_earlier_one_keeps_nothing() -> None:
    recent = RecentOrders()
    first = recent.of(0, stand(0))
    second = recent.of(0, stand(1))  # the first has committed, and has not got round to saying so
    recent.keep(0, second, stand(2), [order(1, events=2)])
    recent.keep(0, first, stand(1), [order(1, events=1)])
    assert recent.of(0, stand(2)).orders == dict([order(1, events=2)])


def test_those_written_longest_ago_are_forgotten() -> None:
    recent = RecentOrders(orders_max=3)
    recent.keep(0, recent.of(0, stand(0)), stand(1), [order(1), order(2), order(3)])
    recent.keep(0, recent.of(0, stand(1)), stand(2), [order(1, events=2), order(4)])
    assert recent.of(0, stand(2)).orders == dict([order(3), order(1, events=2), order(4)])
