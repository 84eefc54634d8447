"""Inventory with the world around it, in memory: lanes, timers, parts, and a log that can be proven.

It takes inputs as the stage loop does, and recounts every unit from the movements alone, so that what the
decisions believe can be held against it.
"""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeVar
from uuid import UUID, uuid5
from zlib import crc32

from libs.events.catalogue import encode
from libs.events.contract import Contract, Event
from libs.events.envelope import Envelope
from libs.events.ids import event_id
from libs.events.inventory import SOURCES
from libs.events.timer import Timer, TimerDue
from services.inventory import domain, ledger
from services.inventory.domain import Part
from tests.spec import NOON

Body = TypeVar("Body", bound=Contract)
TENANT = "acme"
LANES = 3
NOBODY = UUID(int=0)
_INPUTS = UUID("4f0c8f6a-0d0f-5a55-8c0e-1f9f5f0f7a11")


@dataclass(frozen=True, slots=True)
class Logged:
    """A published row, as the proof reads it."""

    lane: int
    seq: int
    event_id: UUID
    tenant: str
    type: str
    version: int
    payload: bytes
    recorded_at: datetime


def lane_of(stream: str) -> int:
    return crc32(stream.encode()) % LANES


@dataclass
class World:
    """Inventory and everything it has been told."""

    now: datetime = NOON
    parts: dict[str, Part] = field(default_factory=dict)
    log: list[Logged] = field(default_factory=list)
    """In the order of recording."""
    folded: list[tuple[str, Event]] = field(default_factory=list)
    """(stream, event) of everything that was logged, heard or own."""
    timers: dict[tuple[str, str], Timer] = field(default_factory=dict)
    balance: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """Units by SKU, node and bucket."""
    promise: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Units by SKU, on hand, or reserved and held."""
    _sequence: Counter[int] = field(default_factory=Counter)
    _inputs: int = 0

    def take(self, body: Contract) -> list[Event]:
        """One input, a second after the last one; returns the events that answer it."""
        self.now += timedelta(seconds=1)
        self._inputs += 1
        heard = self._envelope(uuid5(_INPUTS, str(self._inputs)), body)
        home = body.stream
        part = self.parts.get(home, domain.empty(home))
        streams = dict.fromkeys((home, *domain.more_streams(heard, part)))
        state = domain.compose(home, {s: self.parts.get(s, domain.empty(s)) for s in streams})
        if isinstance(body, Event):
            before, state = state, domain.evolve(state, body)
            if state is not before:
                self.folded.append((home, body))
        events = domain.decide(state, heard, self.now)
        for index, event in enumerate(events):
            assert event.stream == home
            state = domain.evolve(state, event)
            self._record(self._envelope(event_id(heard.id, "inventory", index), event))
        self.parts |= domain.decompose(state)
        return events

    def due(self, timer: Timer) -> list[Event]:
        """Let one reminder come due, at its time or later."""
        self.now = max(self.now, timer.due_at)
        del self.timers[timer.stream, timer.name]
        return self.take(TimerDue(timer_stream=timer.stream, name=timer.name))

    def recorded_at(self, lane: int) -> datetime:
        """What the clock of a lane's process says."""
        return self.now

    def _record(self, out: Envelope[Event]) -> None:
        event, lane = out.body, lane_of(out.stream)
        self._sequence[lane] += 1
        place = (lane, self._sequence[lane], out.id, TENANT)
        row = Logged(*place, event.TYPE, event.VERSION, encode(event), self.recorded_at(lane))
        self.log.append(row)
        self.folded.append((out.stream, event))
        for timer in domain.timers(event, out.at):
            self.timers[timer.stream, timer.name] = timer
        for move in ledger.movements(event):
            self.balance[move.sku, move.node, move.source] -= move.quantity
            assert move.source in SOURCES or self.balance[move.sku, move.node, move.source] >= 0, (
                f"{move.source} of {move.sku} at {move.node} falls below zero with {event!r}"
            )
            self.balance[move.sku, move.node, move.target] += move.quantity
            for bucket, delta in ((move.source, -move.quantity), (move.target, move.quantity)):
                if bucket in ledger.PROMISED:
                    self.promise[move.sku, "on_hand" if bucket == "on_hand" else "reserved"] += delta
        for move in ledger.movements(event):
            assert 0 <= self.promise[move.sku, "reserved"] <= self.promise[move.sku, "on_hand"], (
                f"more of {move.sku} is promised than on hand with {event!r}"
            )

    def _envelope(self, id_: UUID, body: Body) -> Envelope[Body]:
        return Envelope(id_, TENANT, body.stream, body, self.now, "world", "", id_, id_, "world")


def known(parts: dict[str, Part]) -> dict[str, Part]:
    """Those of which anything is known."""
    return {stream: part for stream, part in parts.items() if part != domain.empty(stream)}


def fold(events: list[tuple[str, Event]]) -> dict[str, Part]:
    """The parts, from the log alone, in any order of lanes."""
    parts: dict[str, Part] = {}
    for home, event in events:
        heard = Envelope(NOBODY, TENANT, home, event, NOON, "", "", NOBODY, NOBODY, "log")
        streams = dict.fromkeys((home, *domain.more_streams(heard, parts.get(home, domain.empty(home)))))
        state = domain.compose(home, {s: parts.get(s, domain.empty(s)) for s in streams})
        parts |= domain.decompose(domain.evolve(state, event))
    return known(parts)
