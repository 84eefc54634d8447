"""Where the lanes stand that this process owns, as its own batches left them: they need not be read again.

Nobody but a lane's owner moves it on, so what a batch left is what the next one finds, until the lane is
claimed by another; and that is seen when the next one is written. Of a lane in which records are parked
nothing is kept: people decide of those, through any process.
"""

from collections.abc import Iterable, Mapping

from libs.runtime.log import Lane, Writes
from libs.runtime.log_rows import lane_ends
from libs.runtime.planning import Known


class KnownLanes:
    """By lane, what comes next in it, and the last sequence heard of each source."""

    def __init__(self) -> None:
        self._lanes: dict[int, tuple[Lane, dict[str, int]]] = {}

    def forget(self) -> None:
        """All of them: a transaction failed, or a lane was claimed."""
        self._lanes.clear()

    def nothing_parked(self, lanes: Iterable[int]) -> bool:
        """Whether no record of these lanes is parked."""
        return all(lane in self._lanes for lane in lanes)

    def under(self, epochs: Mapping[int, int]) -> Known | None:
        """What a batch must know of these lanes, by their owner's epochs; None where one must be read."""
        known = Known({}, {}, {}, {})
        for number, epoch in epochs.items():
            lane, heard = self._lanes.get(number, (None, {}))
            if lane is None or lane.epoch != epoch:
                return None
            known.lanes[number] = lane
            known.high_water |= {(source, number): sequence for source, sequence in heard.items()}
        return known

    def read(self, known: Known) -> None:
        """These were just read, and are locked."""
        for number, lane in known.lanes.items():
            self._lanes.pop(number, None)
            if not known.waiting:
                self._lanes[number] = lane, {}
        for (source, number), sequence in known.high_water.items():
            if number in self._lanes:
                self._lanes[number][1][source] = sequence

    def moved(self, writes: Writes) -> None:
        """A batch was committed."""
        for number, decided, heard in zip(*lane_ends(writes.rows), strict=True):
            if number in self._lanes:
                lane, marks = self._lanes[number]
                following = decided or lane.next_decided, heard or lane.next_heard
                self._lanes[number] = Lane(lane.epoch, *following), marks
        for (source, number), sequence in writes.high_water.items():
            if number in self._lanes:
                self._lanes[number][1][source] = sequence
        for parked in writes.parked:
            self._lanes.pop(parked.lane, None)
