"""The hash chains of the lanes that a relay owns (`libs.events.chain`): as far as they are known, in memory.

A head depends on nothing but the lane's log, so whoever computes it finds the same. What was published while
a chain was behind (a log from before there were chains, a database made anew) is read from the log later.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import orjson

from libs.events.chain import beginning, link
from libs.runtime.log import Anchor, Mark

Links = Iterable[tuple[bytes, bytes, list[tuple[str, bytes]], int]]
"""Events of a lane in sequence, as they are published: key, value, headers, timestamp."""


@dataclass(slots=True)
class _Chain:
    """One lane's: the head after event `seq`; the last one that was anchored, 0 for one not known of."""

    seq: int
    head: bytes
    anchored: int = 0


class LaneChains:
    """The chains of one process of a stage. No I/O."""

    def __init__(self, stage: str) -> None:
        self._stage = stage
        self._chains: dict[int, _Chain] = {}

    def own(self, lane: int, mark: Mark) -> None:
        """Go on where the lane's mark says, or at its beginning."""
        self._chains[lane] = _Chain(mark.chained, mark.head or beginning(self._stage, lane))

    def disown(self, lane: int) -> None:
        self._chains.pop(lane, None)

    def seq(self, lane: int) -> int:
        """How far the chain of a lane is known."""
        return self._chains[lane].seq

    def behind(self, published: Mapping[int, int]) -> list[int]:
        """Lanes whose chain ends before what is published of them."""
        return [lane for lane, seq in published.items() if self._chains[lane].seq < seq]

    def extend(self, lane: int, first: int, events: Links) -> None:
        """Events of a lane from sequence `first` on. What the chain has is passed over; where they do not
        reach it, or the lane is another's, it stays as it is."""
        chain = self._chains.get(lane)
        if chain is None:
            return
        last, head = chain.seq, chain.head
        for seq, (key, value, headers, _) in enumerate(events, first):
            if seq == last + 1:
                last, head = seq, link(head, key, headers, value)
        chain.seq, chain.head = last, head

    def mark(self, lane: int, published: int) -> Mark:
        """What to store of a lane."""
        chain = self._chains[lane]
        return Mark(published, chain.seq, chain.head) if chain.seq else Mark(published)

    @property
    def moved(self) -> bool:
        """Whether a head moved since it was anchored, or was never by this process."""
        return any(chain.seq > chain.anchored for chain in self._chains.values())

    def unanchored(self, at: datetime) -> list[Anchor]:
        """The heads that moved."""
        return [
            Anchor(lane, chain.seq, chain.head, at)
            for lane, chain in sorted(self._chains.items())
            if chain.seq > chain.anchored
        ]

    def anchored(self, anchors: Sequence[Anchor]) -> None:
        """These are written down."""
        for anchor in anchors:
            if anchor.lane in self._chains:
                self._chains[anchor.lane].anchored = anchor.seq


def anchor_message(stage: str, anchor: Anchor) -> tuple[bytes, bytes, list[tuple[str, bytes]], int]:
    """An anchor as it is published (docs/audit.md)."""
    value = {
        "stage": stage,
        "lane": anchor.lane,
        "sequence": anchor.seq,
        "head": anchor.head.hex(),
        "at": anchor.at.isoformat(),
    }
    key = f"{stage}/{anchor.lane}".encode()
    headers = [("content-type", b"application/json")]
    return key, orjson.dumps(value), headers, int(anchor.at.timestamp() * 1000)
