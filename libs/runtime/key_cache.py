"""Keys of data subjects that were read lately, in the memory of one process."""

from collections.abc import Callable

from libs.runtime.privacy import SubjectKey


class KeyCache:
    """Keys by (tenant, subject, generation), each for `seconds` from when its reading began. Bounded."""

    def __init__(self, seconds: float, size: int, now: Callable[[], float]) -> None:
        self._seconds = seconds
        self._size = size
        self._now = now
        self._keys: dict[tuple[str, str, int], tuple[float, SubjectKey]] = {}

    def __len__(self) -> int:
        return len(self._keys)

    def get(self, place: tuple[str, str, int]) -> SubjectKey | None:
        held = self._keys.get(place)
        if held is None:
            return None
        if held[0] <= self._now():
            del self._keys[place]
            return None
        return held[1]

    def put(self, place: tuple[str, str, int], key: SubjectKey, read_at: float) -> None:
        """The oldest makes room when it is full."""
        self._keys.pop(place, None)
        while len(self._keys) >= self._size:
            del self._keys[next(iter(self._keys))]
        self._keys[place] = (read_at + self._seconds, key)

    def drop(self, tenant: str, subject: str) -> None:
        for place in [place for place in self._keys if place[:2] == (tenant, subject)]:
            del self._keys[place]
