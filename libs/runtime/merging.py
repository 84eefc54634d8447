"""Several feeds as one, in an order that each of them has already."""

import heapq
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, TypeVar

T = TypeVar("T")


async def merged(feeds: Sequence[AsyncIterator[T]], key: Callable[[T], Any]) -> AsyncIterator[T]:
    """What the feeds bring, by `key`, and by the feed's place where that is equal; one of each is held.

    A feed that is out of order stays in its own: nothing in it is turned around.
    """
    heap: list[tuple[Any, int, T]] = []
    for place, feed in enumerate(feeds):
        if (first := await anext(feed, None)) is not None:
            heap.append((key(first), place, first))
    heapq.heapify(heap)
    while heap:
        _, place, found = heap[0]
        yield found
        following = await anext(feeds[place], None)
        if following is None:
            heapq.heappop(heap)
        else:
            heapq.heapreplace(heap, (key(following), place, following))
