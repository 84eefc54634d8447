"""A part as JSON takes the memory of its bytes, and no more: thousands of them are in hand at a time."""

import tracemalloc

from libs.runtime.stage import dump_part
from services.inventory.stock import SkuPart

PARTS = 1_000


def test_a_part_in_hand_takes_the_memory_of_its_bytes() -> None:
    part = SkuPart(position=5, on_hand={"LON": 5})
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    kept = [dump_part(part) for _ in range(PARTS)]
    taken = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert taken < 2 * sum(map(len, kept))
