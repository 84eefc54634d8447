"""Parts that a process keeps decoded between batches, by version, so that it need not read them again."""

from collections.abc import Iterable, Mapping
from itertools import islice

from libs.runtime.stage import Part


class KeptParts:
    """Parts as last committed, by key; the least recently touched are forgotten first."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.held: dict[str, tuple[int, Part]] = {}

    def versions(self, keys: Iterable[str]) -> dict[str, int]:
        return {key: self.held[key][0] for key in keys if key in self.held}

    def forget(self) -> None:
        """All of them: a transaction failed, or a lane was claimed; others may have written since."""
        self.held.clear()

    def remember(self, parts: Mapping[str, tuple[int, Part]]) -> None:
        """Only what has been committed, or was read in a transaction that was."""
        for key, part in parts.items():
            self.held.pop(key, None)
            self.held[key] = part
        for key in list(islice(self.held, max(0, len(self.held) - self._limit))):
            del self.held[key]
