"""Partitions side by side in time: what stages published about an order at about one time comes together.

So an order is in memory while it moves, and few orders are at once, however long the history. Only a matter
of memory and speed: each partition stays in its order, whatever its records' times are.
"""

from collections.abc import Iterable, Mapping, Sequence

from libs.runtime.wire import Record


class InStep:
    """Takes each partition's records as they come, gives those that no other partition lags behind."""

    def __init__(self, ends: Mapping[tuple[str, int], int]) -> None:
        """`ends`: the offset after the last record that is to come, by partition."""
        self._ends = {place: end for place, end in ends.items() if end > 0}
        self._held: dict[tuple[str, int], list[Record]] = {place: [] for place in self._ends}
        self._coming = set(self._ends)

    @property
    def done(self) -> bool:
        """Everything has been given."""
        return not self._held

    @property
    def lagging(self) -> Sequence[tuple[str, int]]:
        """Whose next records the others wait for."""
        return [place for place in self._coming if not self._held[place]]

    def held(self, place: tuple[str, int]) -> int:
        """How many records of a partition wait for others; none of one that has come whole."""
        return len(self._held[place]) if place in self._coming else 0

    def add(self, place: tuple[str, int], records: Iterable[Record]) -> bool:
        """The next records of a partition; whether it has come whole. What lies beyond its end is dropped."""
        end, held = self._ends[place], self._held[place]
        held += [record for record in records if record.offset < end]
        if held and held[-1].offset + 1 >= end:
            self._coming.discard(place)
        return place not in self._coming

    def take(self) -> list[Record]:
        """What may go: all up to the time that every partition has come to."""
        if self.lagging:
            return []
        reached = min((self._held[place][-1].timestamp_ms for place in self._coming), default=None)
        given: list[Record] = []
        for place, held in list(self._held.items()):
            count = len(held) if reached is None else _up_to(held, reached)
            given += held[:count]
            if count == len(held) and place not in self._coming:
                del self._held[place]
            else:
                self._held[place] = held[count:]
        return given


def _up_to(records: Sequence[Record], time_ms: int) -> int:
    """How many come before the first that is later."""
    for count, record in enumerate(records):
        if record.timestamp_ms > time_ms:
            return count
    return len(records)
