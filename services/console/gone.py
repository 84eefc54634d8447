"""Which orders were written and let go of, as bits of a Bloom filter: a megabyte where a set takes a hundred.

It may take an order for one of them that is none (who looks it up then finds nothing), never the other way.
"""

from collections.abc import Iterable

_BITS_PER_EVENT = 4
"""An order has four events or more: sixteen bits and two probes let one in 70 pass that should not."""
_BITS_MIN = 1 << 16


class Gone:
    """Of a history of about so many events."""

    def __init__(self, events: int) -> None:
        self._size = max(_BITS_MIN, events * _BITS_PER_EVENT)
        self._bits = bytearray(self._size // 8 + 1)

    def update(self, keys: Iterable[object]) -> None:
        for key in keys:
            for place in self._places(key):
                self._bits[place >> 3] |= 1 << (place & 7)

    def __contains__(self, key: object) -> bool:
        return all(self._bits[place >> 3] & 1 << (place & 7) for place in self._places(key))

    def _places(self, key: object) -> tuple[int, int]:
        found = hash(key)
        return found % self._size, (found >> 17) * 0x9E3779B1 % self._size
