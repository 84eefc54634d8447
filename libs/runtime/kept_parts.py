"""Parts that a process keeps decoded between batches, by version, so that it need not read them again."""

from collections.abc import Iterable, Mapping
from itertools import islice, takewhile

from libs.runtime.stage import Part

Kept = Mapping[str, tuple[int, Part]]
"""Version and part, by key."""
KEPT_SECONDS = 30.0
"""How long a part is kept at least that nobody touches; twice as long at most, while somebody calls `age`."""
_MARK = ""
"""Where the parts begin, in the order of their touches, that were touched since `age` last looked. No key."""


class KeptParts:
    """Parts as last committed, by key; the least recently touched are forgotten first.

    An order is touched for as long as something happens to it. What was kept beyond that took tens of
    megabytes of a stage after a month.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.held: dict[str, tuple[int, Part]] = {}
        self._ages_at = 0.0

    def of(self, keys: Iterable[str]) -> dict[str, tuple[int, Part]]:
        """Those that are kept; they stay so for who has asked, whatever is forgotten meanwhile."""
        return {key: self.held[key] for key in keys if key in self.held}

    def versions(self, keys: Iterable[str]) -> dict[str, int]:
        return versions(self.of(keys))

    def forget(self) -> None:
        """All of them: a transaction failed, or a lane was claimed; others may have written since."""
        self.held.clear()

    def age(self, now: float) -> None:
        """Forget what was not touched for KEPT_SECONDS; `now` in seconds of any steady clock. Cheap; to be
        called every second or so."""
        if now < self._ages_at:
            return
        self._ages_at = now + KEPT_SECONDS
        if _MARK in self.held:
            for key in list(takewhile(lambda key: key != _MARK, self.held)):
                del self.held[key]
            del self.held[_MARK]
        self.held[_MARK] = (0, None)

    def remember(self, parts: Kept) -> None:
        """Only what has been committed, or was read in a transaction that was."""
        for key, part in parts.items():
            self.held.pop(key, None)
            self.held[key] = part
        for key in list(islice(self.held, max(0, len(self.held) - self._limit))):
            del self.held[key]


def versions(kept: Kept) -> dict[str, int]:
    """The versions of parts that are kept."""
    return {key: version for key, (version, _) in kept.items()}
