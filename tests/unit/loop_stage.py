"""A stage that says what it was asked, and a log in memory that is disturbed: for lives of a stage's loop."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import NamedTuple

import orjson

from libs.events.contract import Contract, Event
from libs.events.envelope import Envelope
from libs.events.fulfillment import CancellationDeclined
from libs.events.intake import CancelOrder, OrderClosed
from libs.events.record import record
from libs.events.timer import Timer, TimerDue
from libs.runtime.log import Lane, TimerRow, Unavailable, Writes
from libs.runtime.memory_log import MemoryLog
from libs.runtime.stage import one_stream

BROKEN: set[str] = set()
"""Labels of inputs, and names of timers, at which the decision fails."""


@record
class Seen:
    """How often something was decided."""

    times: int = 0


class Decided(NamedTuple):
    """One event of the log: what it answers, and the timer that it asks for."""

    stream: str
    label: str
    at: datetime
    asks: tuple[str, str, datetime] | None


def decide(state: Seen, heard: Envelope[Contract], at: datetime) -> list[Event]:
    """Says what it was asked. A ring of `again` asks for `one` of the same stream, at once."""
    body = heard.body
    if isinstance(body, TimerDue):
        label = f"ring {body.name}"
        said = f"{label}|{heard.stream}|one|0" if body.name == "again" else label
        failed = body.name in BROKEN
    else:
        assert isinstance(body, CancelOrder | CancellationDeclined)
        said = body.reason
        failed = said.partition("|")[0] in BROKEN
    if failed:
        raise RuntimeError("broken")
    return [OrderClosed(order_id=heard.stream, outcome="lost", reason=said)]


def timers(event: Event, at: datetime) -> list[Timer]:
    assert isinstance(event, OrderClosed)
    asks = _asks(event.reason, at)
    return [] if asks is None else [Timer(*asks)]


def _asks(said: str, at: datetime) -> tuple[str, str, datetime] | None:
    _, *asked = said.split("|")
    return (asked[0], asked[1], at + timedelta(minutes=int(asked[2]))) if asked else None


STAGE = one_stream(
    "intake",
    hears_types=(CancellationDeclined,),
    state=Seen,
    initial=Seen(),
    decide=decide,
    evolve=lambda state, event: replace(state, times=state.times + 1),
    timers=timers,
)


class DisturbedLog(MemoryLog):
    """Tells what was committed, in order; may be cut off at a commit, or let another in behind the reading
    of what is due."""

    def __init__(self) -> None:
        super().__init__()
        self.cut: str | None = None
        self.between: Callable[[], Awaitable[None]] | None = None
        self.said: list[Decided] = []

    async def due(self, lanes: Sequence[int], now: datetime, limit: int) -> list[TimerRow]:
        found, between = await super().due(lanes, now, limit), self.between
        if found and between is not None:
            self.between = None
            await between()
        return found

    async def commit(self, writes: Writes, lanes: Mapping[int, Lane], assumed: Mapping[str, int]) -> None:
        cut, self.cut = self.cut, None
        if cut == "before":
            raise Unavailable("cut off before the commit")
        await super().commit(writes, lanes, assumed)
        if cut == "after":
            raise Unavailable("cut off after the commit")

    def _apply(self, writes: Writes) -> None:
        super()._apply(writes)
        for row in writes.rows:
            if row.type == OrderClosed.TYPE:
                said = orjson.loads(row.payload)["reason"]
                asks = _asks(said, min(row.at, row.recorded_at))
                self.said.append(Decided(row.stream, said.partition("|")[0], row.at, asks))
