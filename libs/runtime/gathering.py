"""How far apart a stage's polls are: a batch of one costs nearly what one of fifty does."""

_AT_ONCE = 5
"""Polls that may follow one another at once: as many as one order brings."""
_REST_TO_WORK = 2.0
"""Polls are at least so many times as far apart as a batch takes: what waits meanwhile comes together."""
_SMOOTHED = 4
"""Batches over which the time that one takes is averaged."""


class Gathering:
    """Spaces polls by virtual scheduling, as in ITU-T I.371, appendix I. All times are a loop's seconds.

    A stage with little to do takes what comes a few milliseconds apart, and one that shares a full processor
    takes longer for each batch, and so gathers more for the next.
    """

    def __init__(self, least: float, most: float) -> None:
        """Polls are to be `least` to `most` seconds apart, on average."""
        self._least, self._most = least, most
        self._due = 0.0
        """When the next poll would be due, were all as far apart as they shall be."""
        self._takes = 0.0

    def took(self, seconds: float) -> None:
        """A batch took so long."""
        self._takes += (seconds - self._takes) / _SMOOTHED

    def rest(self, now: float, *, awaited: bool = False) -> float:
        """Seconds to wait before the poll that is about to be made, which counts as made: 0 or less, none.

        `awaited`: somebody waits for what comes; polls are `least` seconds apart then.
        """
        every = min(self._least, self._most) if awaited else self._every()
        self._due = max(self._due, now - (_AT_ONCE - 1) * every)
        rest, self._due = self._due - now, self._due + every
        return rest

    def _every(self) -> float:
        return min(max(_REST_TO_WORK * self._takes, self._least), self._most)
