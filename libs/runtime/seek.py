"""How a loop tells its subscription to read on elsewhere."""

from collections.abc import Mapping


class Seek(Exception):
    """Read on from these offsets: the batch was not for this owner, or not in order."""

    def __init__(self, offsets: Mapping[tuple[str, int], int]) -> None:
        super().__init__(str(dict(offsets)))
        self.offsets = dict(offsets)
