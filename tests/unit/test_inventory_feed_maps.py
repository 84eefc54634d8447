"""A feed in its own words: its map, and rows that name their SKUs."""

import re

import pytest

from libs.events.contract import Contract
from libs.events.feed_maps import FeedSkuMapped, MapFeedSku, StockTold, TellStock
from libs.events.feeds import AmendFeed, FeedStale, RetireFeed, StockReported
from libs.events.inventory import ReservationBroken, StockPegged
from libs.events.items import DefineItem
from libs.events.reach import ReachChanged
from libs.events.timer import Timer
from services.inventory import domain
from services.inventory.feed_skus import THEIRS_MAX
from tests.spec import NOON, Spec, given
from tests.unit.inventory_page import PAGE
from tests.unit.inventory_stage import sku
from tests.unit.inventory_supply import feed, maps, minutes, rules, run, supply, tells, told
from tests.unit.inventory_trade import accepted, due
from tests.unit.inventory_world import known

TAKE_UP = due("sku/A", "told")


def mapped(*inputs: Contract, **terms: object) -> Spec:
    return given(domain).heard(feed(mapped=True, **terms), *inputs)


def test_a_row_in_their_words_is_brought_to_ours_and_taken_up_by_the_sku() -> None:
    spec = mapped(buffer_units=5, stale_minutes=60)
    spec.when(maps("X-1", "A", 12)).then(
        FeedSkuMapped(feed="acme", theirs="X-1", map_version=1, sku="A", pack_size=12)
    )
    spec.when(tells("X-1", 4)).then(
        StockTold(
            feed="acme",
            theirs="X-1",
            sku="A",
            node="V1",
            mode="full",
            packs=4,
            pack_size=12,
            per=1,
            map_version=1,
            told=48,
            stated_at=NOON,
            stale_at=minutes(60),
            number=1,
        )
    )
    assert spec.answer is not None
    assert domain.timers(spec.answer.events[0], NOON) == [Timer("sku/A", "told", NOON)]
    spec.when(TAKE_UP).then_one(StockReported, told=48, withheld=5, stated_at=NOON, rows=1)
    assert sku(spec, "A").free == 43
    spec.when(TAKE_UP).then_nothing()
    spec.when(tells("X-1", -1, stated=1, mode="delta"), at=minutes(1)).then_one(StockTold, told=36)
    spec.heard(TAKE_UP, at=minutes(1))
    assert sku(spec, "A").free == 31


def test_several_of_theirs_are_summed_and_as_old_as_the_oldest() -> None:
    spec = mapped(maps("EACH", "A"), maps("CASE", "A", 12), stale_minutes=60)
    spec.heard(tells("EACH", 5), tells("CASE", 2), TAKE_UP)
    assert sku(spec, "A").free == 29
    spec.heard(tells("EACH", 3, stated=30), at=minutes(30))
    spec.when(TAKE_UP, at=minutes(30)).then_one(StockReported, told=27, stated_at=NOON, stale_at=minutes(60))
    spec.when(due("sku/A", "feeds"), at=minutes(60)).then_types(FeedStale)
    assert sku(spec, "A").free == 0
    spec.heard(tells("CASE", 2, stated=61), TAKE_UP, at=minutes(61))
    assert sku(spec, "A").free == 27


def test_the_same_figure_told_anew_is_as_young_as_its_row() -> None:
    spec = mapped(maps("X-1", "A"), stale_minutes=60).heard(tells("X-1", 4), TAKE_UP)
    spec.heard(tells("X-1", 4, stated=50), at=minutes(50))
    spec.when(TAKE_UP, at=minutes(50)).then_one(StockReported, movements=(), stale_at=minutes(110))
    spec.when(due("sku/A", "feeds"), at=minutes(60)).then_nothing()


def test_pieces_of_what_is_kept_by_the_dozen_come_out_whole_or_not_at_all() -> None:
    spec = mapped(maps("PIECE", "A", 1, per=12))
    spec.when(tells("PIECE", 30)).then_refused("not_whole")
    spec.when(tells("PIECE", 36)).then_one(StockTold, told=3)
    spec.when(tells("PIECE", 4, stated=1, pack_size=6), at=minutes(1)).then_one(StockTold, told=24, per=1)


def test_what_is_mapped_elsewhere_is_not_theirs_any_more() -> None:
    spec = mapped(maps("X-1", "A"), maps("X-2", "A")).heard(tells("X-1", 10), tells("X-2", 4), TAKE_UP)
    spec.heard(accepted("o1", ("A", 12)))
    spec.when(maps("X-1", "B")).then_one(FeedSkuMapped, map_version=2, before="A", number=2)
    assert spec.answer is not None
    assert domain.timers(spec.answer.events[0], NOON) == [Timer("sku/A", "told", NOON)]
    spec.when(TAKE_UP).then_types(ReservationBroken, StockReported)
    assert sku(spec, "A").on_hand == {"V1": 4}
    spec.heard(tells("X-1", 10), due("sku/B", "told"))  # of the same moment: it is another SKU's now
    assert sku(spec, "B").on_hand == {"V1": 10}
    spec.heard(maps("X-2", None), TAKE_UP)
    assert sku(spec, "A").on_hand == {}
    spec.when(tells("X-2", 4, stated=1), at=minutes(1)).then_refused("unmapped_sku")
    spec.heard(maps("X-2", "A"), tells("X-2", 4, stated=1), TAKE_UP, at=minutes(1))
    assert sku(spec, "A").on_hand == {"V1": 4}


def test_a_corrected_pack_size_holds_from_the_next_row_which_may_be_the_same_again() -> None:
    spec = mapped(maps("X-1", "A", 10)).heard(tells("X-1", 3), TAKE_UP)
    spec.when(maps("X-1", "A", 12)).then_one(FeedSkuMapped, before=None, number=None)
    spec.when(TAKE_UP).then_nothing()
    assert sku(spec, "A").free == 30
    spec.when(tells("X-1", 1, stated=1, mode="delta"), at=minutes(1)).then_refused("no_full_feed")
    spec.heard(tells("X-1", 3), TAKE_UP)
    assert sku(spec, "A").free == 36


def test_a_map_is_amended_entry_by_entry_and_says_nothing_twice() -> None:
    spec = mapped()
    spec.when(maps("X-1", None)).then_nothing()
    spec.when(maps("X-1", "A", 6)).then_types(FeedSkuMapped)
    spec.when(maps("X-1", "A", 6)).then_nothing()
    spec.when(maps("X-1", "A", 6, per=5)).then_one(FeedSkuMapped, map_version=2)
    spec.when(maps("X/1", "A")).then_one(FeedSkuMapped, map_version=1)


@pytest.mark.parametrize(
    ("row", "code"),
    [
        (tells("X-1", 10), "already_reported"),
        (tells("X-1", 9), "told_twice"),
        (tells("X-1", 9, stated=-1), "superseded"),
        (tells("X-1", -11, stated=1, mode="delta"), "negative_stock"),
        (tells("X-2", 1, mode="delta"), "no_full_feed"),
        (tells("x-1", 1), "unmapped_sku"),
        (tells("X-1", 1, stated=99), "effective_in_future"),
        (tells("X-1", 1, stated=1, run_id="R9"), "unknown_run"),
        (tells("X-2", 1_000_000, pack_size=100_000), "too_many_units"),
        (tells("X-1", 1).model_copy(update={"feed": "nobody"}), "unknown_feed"),
        (told("A", 1, stated=1), "feed_is_mapped"),
        (maps("X-1", "A").model_copy(update={"feed": "nobody"}), "unknown_feed"),
    ],
)
def test_each_refusal_moves_nothing(row: Contract, code: str) -> None:
    spec = mapped(maps("X-1", "A"), maps("X-2", "A")).heard(tells("X-1", 10), TAKE_UP)
    before = known(spec.parts)
    spec.when(row, at=minutes(5)).then_refused(code)
    assert known(spec.parts) == before


def test_refusals_of_our_sku_are_told_to_the_row() -> None:
    spec = mapped(maps("X-1", "A"), maps("X-2", "B")).heard(rules(new_skus=False))
    spec.when(tells("X-1", 1)).then_refused("unknown_sku")
    spec.heard(rules(), DefineItem(sku="B", lot_controlled=True))
    spec.when(tells("X-2", 1)).then_refused("lot_required")
    spec.heard(run("R1", 1000)).at = minutes(1)
    spec.heard(run("R2", 1, stated=1)).when(tells("X-1", 1, stated=1, run_id="R2")).then_refused("feed_held")


def test_a_feed_gets_a_map_and_is_without_it_again() -> None:
    spec = given(domain).heard(feed(), told("A", 8), maps("X-1", "A"))
    spec.when(tells("X-1", 3, stated=1), at=minutes(1)).then_refused("feed_not_mapped")
    spec.heard(AmendFeed(feed="acme", mapped=True), tells("X-1", 3, stated=1), TAKE_UP, at=minutes(1))
    assert sku(spec, "A").free == 3, "what a row of ours told was replaced"
    spec.heard(AmendFeed(feed="acme", mapped=False), told("A", 8, stated=2), TAKE_UP, at=minutes(2))
    assert sku(spec, "A").free == 8


def test_a_retired_feed_takes_no_rows_and_no_entries() -> None:
    spec = mapped(maps("X-1", "A")).heard(tells("X-1", 3))
    spec.heard(RetireFeed(feed="acme"))
    spec.when(TAKE_UP).then_nothing()
    spec.when(tells("X-1", 3, stated=1), at=minutes(1)).then_refused("feed_retired")
    spec.when(maps("X-1", "B")).then_refused("feed_retired")


def test_one_of_ours_is_not_ever_so_many_of_theirs() -> None:
    spec = mapped()
    for number in range(THEIRS_MAX):
        spec.heard(maps(f"X-{number}", "A"), tells(f"X-{number}", 1))
    spec.heard(maps("more", "A")).when(tells("more", 1)).then_refused("too_many_theirs")
    spec.when(tells("X-0", 2, stated=1), at=minutes(1)).then_one(StockTold, told=2)
    spec.heard(TAKE_UP, at=minutes(1))
    assert sku(spec, "A").free == THEIRS_MAX + 1


def test_two_feeds_of_one_sku_are_taken_up_in_one_turn_and_who_waits_is_served_once() -> None:
    spec = mapped(feed(feed="other", node="V2", mapped=True), maps("X-1", "A"), stale_minutes=60)
    spec.heard(
        MapFeedSku(feed="other", theirs="Y", sku="A"), tells("X-1", 2), TAKE_UP, accepted("o1", ("A", 2))
    )
    spec.heard(due("sku/A", "feeds"), at=minutes(60)).heard(accepted("o2", ("A", 5)), at=minutes(61))
    spec.heard(tells("X-1", 5, stated=62), at=minutes(62))
    spec.heard(TellStock(feed="other", theirs="Y", packs=3, stated_at=minutes(62)), at=minutes(62))
    events = spec.when(TAKE_UP, at=minutes(62)).events
    assert [type(event) for event in events] == [
        *(StockReported, ReachChanged, StockPegged),
        *(StockReported, StockPegged),
    ]
    pegged = [event for event in events if isinstance(event, StockPegged)]
    assert [claim.quantity for event in pegged for claim in event.claims] == [3, 2]
    numbers = [change.number for event in (events[1], *pegged) for change in event.queue]  # type: ignore[attr-defined]
    assert numbers == sorted(set(numbers))
    assert sku(spec, "A").free == 1


def test_an_entry_is_of_one_feed() -> None:
    spec = mapped(maps("X-1", "A")).heard(feed(feed="other", node="V2", mapped=True))
    spec.when(TellStock(feed="other", theirs="X-1", packs=1, stated_at=NOON)).then_refused("unmapped_sku")
    assert "other" not in supply(spec.heard(tells("X-1", 1)), "A").their_stock


def test_the_example_of_the_page_is_what_is_decided() -> None:
    table = PAGE.partition("A worked example: of `acme`")[2].partition("\n#")[0]
    rows = re.findall(r"^\| `[^|]*\|([\d |]+)\|$", table, re.MULTILINE)
    shown = [[int(cell) for cell in row.split("|")] for row in rows]
    spec, found = mapped(maps("EACH", "A"), maps("CASE", "A", 12), buffer_units=2), list[list[int]]()
    for minute, body in enumerate(
        (tells("EACH", 5), tells("CASE", 2), tells("EACH", 3, 2), maps("CASE", "B"))
    ):
        spec.heard(body, TAKE_UP, at=minutes(minute))
        known_ = supply(spec, "A")
        found.append([known_.feeds["acme"].units, sku(spec, "A").free, known_.units("vendor", "V1")])
    assert found == shown
