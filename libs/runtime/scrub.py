"""Scrubbing: the log read once more, lane by lane, against the heads that were written down of it.

What was published stands under a hash chain (docs/audit.md), and nothing else looks at it again: a row that
somebody with the owner's rights changes, or that a disk loses, would be found only by who audits. So each
process reads its lanes again in the background, from anchor to anchor, and once it is through, from the
beginning. A lane that does not lead to what is anchored is distrusted: nothing more is decided in it, until
it leads there again.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import structlog

from libs.events.chain import beginning, link
from libs.runtime.log import Anchor, Log, Unavailable
from libs.runtime.relay import message

logger = structlog.get_logger()
_ROWS_AT_ONCE = 500
_BETWEEN_ROUNDS_SECONDS = 10.0


class Keeper(Protocol):
    """Who decides in lanes."""

    @property
    def owned(self) -> Sequence[int]:
        """The lanes of this process."""

    def distrust(self, lane: int, why: str) -> None:
        """Decide nothing more in a lane that this process owns."""

    def trust(self, lane: int) -> None:
        """Its log is as it was published."""


@dataclass(slots=True)
class _Lane:
    """How far a lane was read in this round: up to event `seq`, which leads to `head`; `start` is where the
    anchor before ends, and `end` the one that is read towards."""

    seq: int
    head: bytes
    start: tuple[int, bytes]
    end: Anchor | None = None
    round: int = 0
    """How often it was read to its last anchor."""
    amiss: bool = False


class Scrub:
    """Of one process of a stage: `run` is its task."""

    def __init__(self, stage: str, log: Log, keeper: Keeper) -> None:
        self._stage, self._source = stage, f"orderlog/{stage}".encode()
        self._log, self._keeper = log, keeper
        self._lanes: dict[int, _Lane] = {}
        self._looks_again = False

    async def run(self, share: float) -> None:
        """Read for ever, and rest after each turn, so that it takes this share of a core at most; 0: none."""
        loop = asyncio.get_running_loop()
        while share:
            began, more = loop.time(), False
            try:
                more = await self.turn()
            except Unavailable as error:
                logger.warning("the log is read again later", error=str(error))
            rest = (loop.time() - began) * (1 / share - 1)
            await asyncio.sleep(rest if more else max(rest, _BETWEEN_ROUNDS_SECONDS))

    async def turn(self) -> bool:
        """Read some rows of a lane of ours: of one that was read through least often, or, every other time,
        of one that is amiss. Whether more is to be read in this round. Raises Unavailable."""
        owned = sorted(self._keeper.owned)
        self._lanes = {lane: self._lanes.get(lane) or self._begun(lane) for lane in owned}
        if not self._lanes:
            return False
        self._looks_again = not self._looks_again
        amiss = [number for number, lane in self._lanes.items() if lane.amiss]
        whole = [number for number, lane in self._lanes.items() if not lane.amiss]
        looks_again = amiss and (self._looks_again or not whole)
        number = min(amiss if looks_again else whole, key=self._round)
        lane = self._lanes[number]
        try:
            lane.end = lane.end or await self._log.next_anchor(number, lane.seq)
            if lane.end is None:
                self._lanes[number] = self._begun(number, lane.round + 1, amiss=lane.amiss)
            else:
                await self._read_on(number, lane, lane.end)
        except Unavailable:
            raise
        except Exception as error:
            logger.error("a lane cannot be read again", stage=self._stage, lane=number, exc_info=error)
            self._back(lane)
            lane.round += 1  # the others are read meanwhile
        rounds = {lane.round for lane in self._lanes.values()}
        return len(rounds) > 1 or any(lane.seq for lane in self._lanes.values())

    def _round(self, lane: int) -> int:
        return self._lanes[lane].round

    def _begun(self, lane: int, round_: int = 0, *, amiss: bool = False) -> _Lane:
        head = beginning(self._stage, lane)
        return _Lane(0, head, (0, head), None, round_, amiss)

    async def _read_on(self, number: int, lane: _Lane, end: Anchor) -> None:
        rows = await self._log.unpublished(number, lane.seq, min(_ROWS_AT_ONCE, end.seq - lane.seq))
        for row in rows:
            if row.seq != lane.seq + 1:
                break
            try:
                key, value, headers, _ = message(row, self._source)
            except (AttributeError, LookupError, TypeError, ValueError):  # nobody could have published this
                self._broken(number, lane, f"event {row.seq} of lane {number} was changed")
                return
            lane.seq, lane.head = row.seq, link(lane.head, key, headers, value)
        if lane.seq < end.seq and rows and rows[-1].seq == lane.seq:
            return
        if lane.seq < end.seq:
            self._broken(number, lane, f"event {lane.seq + 1} of lane {number} is missing in the log")
        elif lane.head != end.head:
            first = lane.start[0] + 1
            self._broken(number, lane, f"an event from {first} to {end.seq} of lane {number} was changed")
        else:
            lane.start, lane.end = (lane.seq, lane.head), None
            if lane.amiss:
                lane.amiss = False
                self._keeper.trust(number)

    def _broken(self, number: int, lane: _Lane, why: str) -> None:
        """Say so, and read the same again: it may be put right."""
        self._back(lane)
        lane.amiss = True
        self._keeper.distrust(number, f"{why} since it was published: orderlog prove log {self._stage}")

    @staticmethod
    def _back(lane: _Lane) -> None:
        lane.seq, lane.head = lane.start
        lane.end = None
