"""Feeds that are merged: all there, each in its own order, all in the common one where each feed is."""

from collections.abc import AsyncIterator, Sequence

from hypothesis import given
from hypothesis import strategies as st

from libs.runtime.merging import merged

Feeds = list[list[int]]


async def feed(place: int, values: Sequence[int]) -> AsyncIterator[tuple[int, int]]:
    for value in values:
        yield value, place


async def together(feeds: Feeds) -> list[tuple[int, int]]:
    sources = [feed(place, values) for place, values in enumerate(feeds)]
    return [one async for one in merged(sources, lambda one: one[0])]


@given(st.lists(st.lists(st.integers(0, 9).map(int), max_size=6).map(sorted), max_size=5))
async def test_ordered_feeds_come_in_order_the_first_feed_first_where_two_are_equal(feeds: Feeds) -> None:
    expected = sorted((value, place) for place, values in enumerate(feeds) for value in values)
    assert await together(feeds) == expected


@given(st.lists(st.lists(st.integers(0, 9), max_size=6), max_size=5))
async def test_a_feed_that_is_out_of_order_keeps_its_own(feeds: Feeds) -> None:
    found = await together(feeds)
    assert [[value for value, at in found if at == place] for place in range(len(feeds))] == feeds
