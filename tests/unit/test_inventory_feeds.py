"""Feeds of vendors, 3PLs and stores as sentences: packs, buffers, age, order, and feeds that shrink."""

from datetime import timedelta

import pytest

from libs.events.conditions import Condition
from libs.events.contract import Contract
from libs.events.feeds import (
    AmendFeed,
    ApproveFeedRun,
    FeedDefined,
    FeedRetired,
    FeedRunApproved,
    FeedRunOpened,
    FeedStale,
    ReportStock,
    RetireFeed,
    StockReported,
)
from libs.events.inventory import (
    ReservationBroken,
    StockAllocated,
    StockBackordered,
    StockPegged,
    StockReceived,
    StockReserved,
)
from libs.events.policy import BackordersCalled, DefineReservationPolicies, PolicyRule
from libs.events.reach import ReachChanged
from libs.events.stocktaking import SuspectStock
from libs.events.supply import SupplyRulesDefined
from libs.events.timer import Timer
from services.inventory import domain
from tests.spec import NOON, Spec, given
from tests.unit.inventory_stage import sku
from tests.unit.inventory_supply import count, feed, minutes, move, moves, rules, run, supply, told
from tests.unit.inventory_trade import accepted, cancelled, due, line, receive, routed


def fed(**terms: int) -> Spec:
    return given(domain).heard(feed(**terms))


def test_packs_become_units_and_the_buffer_is_withheld() -> None:
    spec = fed(buffer_units=5, buffer_percent=10, stale_minutes=60)
    spec.when(told("A", 12, pack_size=10)).then(
        StockReported(
            sku="A",
            feed="acme",
            node="V1",
            mode="full",
            told=120,
            withheld=12,
            stated_at=NOON,
            stale_at=minutes(60),
            check_at=minutes(60),
            movements=(
                moves("A", 1, 120, "supplier", "vendor", "V1"),
                moves("A", 2, 108, "vendor", "on_hand", "V1"),
            ),
        )
    )
    assert sku(spec, "A").free == 108
    spec.when(told("A", 3, stated=1), at=minutes(1)).then_one(StockReported, told=3, withheld=3)
    assert sku(spec, "A").free == 0


def test_what_orders_have_is_among_what_is_told() -> None:
    spec = fed().heard(told("A", 10), accepted("o1", ("A", 4)), routed("o1", 1, V1=(line(1, "A", 4),)))
    spec.when(told("A", 9, stated=1), at=minutes(1)).then_types(StockReported)
    assert sku(spec, "A").on_hand == {"V1": 5}
    assert sku(spec, "A").allocated == {"V1": 4}


@pytest.mark.parametrize("apart", ["quarantine", "damaged"])
def test_what_was_set_aside_at_the_node_is_among_what_is_told(apart: Condition) -> None:
    spec = fed().heard(told("A", 10), move("A", 4, "on_hand", apart, "V1"))
    spec.when(told("A", 10, stated=1), at=minutes(1)).then_one(StockReported, movements=(), withheld=0)
    spec.heard(told("A", 7, stated=2), at=minutes(2))
    assert sku(spec, "A").on_hand == {"V1": 3}
    assert supply(spec, "A").held == {apart: {"V1": 4}}
    spec.heard(told("A", 3, stated=3), at=minutes(3))  # they have not scrapped what we know to be there
    assert (sku(spec, "A").on_hand, supply(spec, "A").held) == ({}, {apart: {"V1": 4}})


def test_a_feed_of_sellable_units_leaves_out_what_was_set_aside() -> None:
    spec = given(domain).heard(
        feed(sellable_only=True), told("A", 10), move("A", 4, "on_hand", "damaged", "V1")
    )
    spec.heard(told("A", 6, stated=1), at=minutes(1))
    assert (sku(spec, "A").on_hand, supply(spec, "A").held) == ({"V1": 6}, {"damaged": {"V1": 4}})


def test_what_is_doubted_stays_so_and_is_no_more_than_is_told() -> None:
    spec = fed().heard(told("A", 8), SuspectStock(sku="A", node="V1"))
    spec.heard(told("A", 9, stated=1), at=minutes(1))
    assert (sku(spec, "A").on_hand, supply(spec, "A").held) == ({"V1": 1}, {"suspect": {"V1": 8}})
    spec.heard(told("A", 5, stated=2), at=minutes(2))
    assert (sku(spec, "A").on_hand, supply(spec, "A").held) == ({}, {"suspect": {"V1": 5}})


def test_less_than_is_promised_breaks_the_youngest_and_more_serves_who_waits() -> None:
    spec = fed().heard(told("A", 10), accepted("o1", ("A", 8)))
    spec.when(told("A", 5, stated=1), at=minutes(1)).then_types(ReservationBroken, StockReported)
    spec.when(told("A", 3, stated=2, mode="delta"), at=minutes(2)).then_types(StockReported, StockPegged)
    assert sku(spec, "A").on_hand == {"V1": 8}


def test_what_is_too_old_is_promised_no_more_and_what_was_promised_stays() -> None:
    spec = fed(stale_minutes=60).heard(told("A", 10), accepted("o1", ("A", 4)))
    spec.at = minutes(60)
    event, reach = spec.when(due("sku/A", "feeds")).events
    assert isinstance(reach, ReachChanged)
    assert event == FeedStale(
        sku="A",
        feed="acme",
        node="V1",
        stated_at=NOON,
        movements=(moves("A", 4, 6, "on_hand", "vendor", "V1"),),
    )
    assert sku(spec, "A").free == 0
    spec.when(due("sku/A", "feeds")).then_nothing()
    spec.after(minutes=1).when(told("A", 10, stated=61)).then_types(StockReported, ReachChanged)
    assert sku(spec, "A").free == 6


GIVEN_BACK = [
    [cancelled("o1", line(1, "A", 4))],
    [routed("o1", 1, V1=(line(1, "A", 4),)), cancelled("o1", line(1, "A", 4))],
]


def silent(*before: Contract, retired: bool = False) -> Spec:
    """A feed went silent, or was retired, when an order had 4 of its 10 units."""
    spec = fed(stale_minutes=60).heard(told("A", 10), accepted("o1", ("A", 4)), *before)
    if retired:
        return spec.heard(RetireFeed(feed="acme"), due("sku/A", "feed_retired"))
    spec.at = minutes(60)
    return spec.heard(due("sku/A", "feeds"))


@pytest.mark.parametrize("retired", [False, True])
@pytest.mark.parametrize("inputs", GIVEN_BACK)
def test_what_is_given_back_where_nobody_tells_any_more_is_promised_to_nobody(
    inputs: list[Contract], retired: bool
) -> None:
    spec = silent(*inputs[:-1], retired=retired).heard(inputs[-1])
    assert sku(spec, "A").on_hand == {"V1": 4}
    spec.when(accepted("o2", ("A", 1))).then_types(StockBackordered)
    spec.when(due("sku/A", "free")).then_nothing()
    spec.when(receive("A", 2)).then_types(StockReceived, StockPegged)
    spec.when(accepted("o3", ("A", 2))).then_types(StockBackordered)


def test_what_was_promised_where_nobody_tells_any_more_is_still_allocated() -> None:
    spec = silent()
    spec.when(routed("o1", 1, V1=(line(1, "A", 4),))).then_one(StockAllocated, frees=None)


def test_who_waits_has_what_was_kept_for_units_that_were_allocated_where_nobody_tells_any_more() -> None:
    spec = silent().heard(receive("A", 4))
    spec.when(accepted("o2", ("A", 3))).then_types(StockBackordered)
    [event] = spec.when(routed("o1", 1, V1=(line(1, "A", 4),))).events
    assert list(domain.timers(event, NOON)) == [Timer("sku/A", "free", NOON)]
    [pegged] = spec.when(due("sku/A", "free")).events
    assert isinstance(pegged, StockPegged)
    assert [(claim.order_id, claim.quantity) for claim in pegged.claims] == [("o2", 3)]


def test_who_wants_all_or_nothing_is_called_for_them() -> None:
    spec = silent(DefineReservationPolicies(rules=(PolicyRule(policy="all_or_nothing"),)))
    spec.heard(receive("A", 4))
    spec.when(accepted("o2", ("A", 3))).then_types(StockBackordered)
    [event] = spec.when(routed("o1", 1, V1=(line(1, "A", 4),))).events
    assert list(domain.timers(event, NOON)) == [Timer("sku/A", "free", NOON)]
    spec.when(due("sku/A", "free")).then_types(BackordersCalled)
    spec.when(due("o2", "claims")).then_one(StockReserved)


@pytest.mark.parametrize(
    "told_again",
    [
        told("A", 7, stated=61),
        receive("A", 3, "V1"),
        move("A", 1, "quarantine", "on_hand", "V1"),
        count("A", "C1", 4, 4, 6, minutes(61), "V1"),
    ],
)
def test_whoever_tells_of_the_node_makes_what_is_there_promisable(told_again: Contract) -> None:
    spec = silent(move("A", 1, "on_hand", "quarantine", "V1")).heard(cancelled("o1", line(1, "A", 4)))
    assert sku(spec, "A").offered == 0
    spec.heard(told_again, at=minutes(61))
    assert sku(spec, "A").offered == sku(spec, "A").on_hand["V1"] >= 4
    assert sku(spec, "A").untrusted is None


def test_a_silent_feed_closes_no_node_at_which_nobody_has_units() -> None:
    spec = fed(stale_minutes=60).heard(told("A", 10))
    spec.when(due("sku/A", "feeds"), at=minutes(60)).then_types(FeedStale)


def test_what_arrives_too_old_is_not_promised() -> None:
    spec = fed(stale_minutes=60)
    reported, stale = spec.when(told("A", 10), at=minutes(90)).events
    assert isinstance(reported, StockReported)
    assert (reported.withheld, reported.check_at, stale.TYPE) == (10, None, FeedStale.TYPE)
    assert sku(spec, "A").free == 0


def test_what_arrives_too_old_makes_nothing_promisable_that_was_given_back() -> None:
    spec = silent().heard(cancelled("o1", line(1, "A", 4)))
    spec.when(told("A", 10, stated=5), at=minutes(70)).then_types(StockReported, FeedStale)
    assert (sku(spec, "A").offered, sku(spec, "A").untrusted) == (0, ("V1",))


def test_the_reminder_is_for_the_feed_that_ages_first() -> None:
    spec = fed(stale_minutes=60).heard(feed(feed="other", node="V2", stale_minutes=10))
    spec.heard(told("A", 1))
    [event] = spec.when(told("A", 1).model_copy(update={"feed": "other"})).events
    assert list(domain.timers(event, NOON)) == [Timer("sku/A", "feeds", minutes(10))]
    spec.at = minutes(10)
    [event] = spec.when(due("sku/A", "feeds")).events
    assert list(domain.timers(event, NOON)) == [Timer("sku/A", "feeds", minutes(60))]


@pytest.mark.parametrize(
    ("row", "code"),
    [
        (told("A", 10), "already_reported"),
        (told("A", 9), "told_twice"),
        (told("A", 9, stated=-1), "superseded"),
        (told("A", -1, stated=1, mode="delta").model_copy(update={"feed": "nobody"}), "unknown_feed"),
        (told("A", -11, stated=1, mode="delta"), "negative_stock"),
        (told("A", -1, stated=1), "negative_stock"),
        (told("B", 1, mode="delta"), "no_full_feed"),
        (told("A", 1, stated=99), "effective_in_future"),
        (told("A", 1, stated=1, run_id="R9"), "unknown_run"),
        (told("A", 1_000_000, stated=1, pack_size=100_000), "too_many_units"),
    ],
)
def test_each_refusal_moves_nothing(row: ReportStock, code: str) -> None:
    spec = fed().heard(told("A", 10))
    before = spec.parts["sku/A"]
    spec.when(row, at=minutes(5)).then_refused(code)
    assert spec.parts["sku/A"] == before


def test_any_order_of_a_feeds_rows_ends_with_the_latest() -> None:
    first, second = told("A", 10), told("A", 4, stated=1)
    one, other = fed(), fed()
    for row in (first, second):
        one.heard(row, at=minutes(5))
    for row in (second, first):
        other.heard(row, at=minutes(5))
    assert sku(one, "A").on_hand == sku(other, "A").on_hand == {"V1": 4}
    assert supply(one, "A").feeds == supply(other, "A").feeds


# Runs of full feeds -------------------------------------------------------------------------------------


def test_a_feed_that_shrinks_to_a_tenth_waits_for_a_person() -> None:
    spec = fed()
    spec.when(run("R1", 1000)).then_types(FeedRunOpened)
    spec.heard(told("A", 1000, run_id="R1"))
    spec.at = NOON + timedelta(hours=1)
    spec.when(run("R2", 100, stated=1)).then_one(FeedRunOpened, held=True, units_before=1000)
    spec.when(told("A", 100, stated=1, run_id="R2")).then_refused("feed_held")
    assert sku(spec, "A").free == 1000
    # Held against the last run that was taken, not against the one that was not.
    spec.when(run("R3", 99, stated=2)).then_one(FeedRunOpened, held=True, units_before=1000)
    approval = ApproveFeedRun(feed="acme", run_id="R3")
    spec.when(ApproveFeedRun(feed="acme", run_id="R2")).then_refused("unknown_run")
    spec.when(approval).then_types(FeedRunApproved)
    spec.when(approval).then_nothing()
    spec.when(told("A", 99, stated=2, run_id="R3")).then_types(StockReported)
    spec.when(run("R4", 10, stated=3)).then_one(FeedRunOpened, held=False, units_before=99)


def test_runs_have_an_order_too() -> None:
    spec = fed().heard(run("R1", 10, stated=1), at=minutes(5))
    spec.when(run("R1", 10, stated=1), at=minutes(5)).then_nothing()
    spec.when(run("R0", 10, stated=0), at=minutes(5)).then_refused("superseded")
    spec.when(run("R2", 10, stated=9), at=minutes(5)).then_refused("in_the_future")
    given(domain).when(run("R1", 10)).then_refused("unknown_feed")


def test_a_node_has_one_feed() -> None:
    spec = fed()
    spec.when(feed(feed="other")).then_refused("node_has_feed")
    spec.when(feed(buffer_units=3)).then_types(FeedDefined)
    spec.heard(feed(node="V2")).when(feed(feed="other")).then_types(FeedDefined)


def test_rules_and_feeds_are_stated_whole() -> None:
    spec = given(domain)
    spec.when(feed()).then_types(FeedDefined)
    spec.when(feed()).then_nothing()
    spec.when(rules(nodes=("N1",))).then_one(SupplyRulesDefined, version=1)
    spec.when(rules(nodes=("N1",))).then_nothing()
    spec.when(feed(node="V9")).then_refused("unknown_node")
    spec.when(rules()).then_one(SupplyRulesDefined, version=2)
    spec.when(feed(node="V9")).then_types(FeedDefined)


def test_a_feed_is_amended_field_by_field() -> None:
    spec = fed(buffer_units=2, stale_minutes=60)
    spec.when(AmendFeed(feed="acme", buffer_units=5)).then_one(FeedDefined)
    [event] = spec.when(AmendFeed(feed="acme", kind="3pl", sellable_only=True)).events
    assert isinstance(event, FeedDefined)
    assert event.definition.model_dump() == {
        "feed": "acme",
        "node": "V1",
        "kind": "3pl",
        "buffer_units": 5,
        "buffer_percent": 0,
        "stale_minutes": 60,
        "sellable_only": True,
        "mapped": False,
    }
    spec.when(AmendFeed(feed="acme", buffer_units=5)).then_nothing()
    spec.when(AmendFeed(feed="acme", buffer_units=0)).then_types(FeedDefined)
    spec.heard(feed(feed="other", node="V2"))
    spec.when(AmendFeed(feed="acme", node="V2")).then_refused("node_has_feed")
    spec.when(AmendFeed(feed="nobody", buffer_units=1)).then_refused("unknown_feed")


def test_a_retired_feed_is_heard_no_more_and_what_it_told_is_not_promised() -> None:
    spec = fed().heard(told("A", 10), accepted("o1", ("A", 4)), run("R1", 10))
    spec.when(RetireFeed(feed="acme", reason="It ended.")).then_types(FeedRetired)
    spec.when(RetireFeed(feed="acme")).then_nothing()
    stale, _ = spec.when(due("sku/A", "feed_retired")).events
    assert isinstance(stale, FeedStale)
    assert (stale.feed, stale.retired) == ("acme", True)
    assert sku(spec, "A").free == 0
    assert sku(spec, "A").on_hand == {"V1": 4}, "what was promised stays"
    spec.when(due("sku/A", "feed_retired")).then_nothing()
    spec.when(told("A", 12, stated=1), at=minutes(1)).then_refused("feed_retired")
    spec.when(run("R2", 10, stated=1), at=minutes(1)).then_refused("feed_retired")
    spec.when(AmendFeed(feed="acme", buffer_units=1)).then_refused("feed_retired")
    spec.when(RetireFeed(feed="nobody")).then_refused("unknown_feed")


def test_another_feed_may_tell_of_the_node_of_one_that_was_retired() -> None:
    spec = fed().heard(RetireFeed(feed="acme"))
    spec.when(feed(feed="other")).then_types(FeedDefined)
    spec.when(feed()).then_refused("node_has_feed")


def test_a_retired_feed_that_is_defined_anew_tells_again() -> None:
    spec = fed().heard(told("A", 10), RetireFeed(feed="acme"), due("sku/A", "feed_retired"))
    spec.when(feed()).then_types(FeedDefined)
    spec.heard(told("A", 10, stated=1), at=minutes(1))
    assert sku(spec, "A").free == 10
