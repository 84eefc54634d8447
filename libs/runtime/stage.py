"""What a stage tells the runtime about itself: what it hears, how it decides, what it keeps.

A stage's trade lives in `services/<stage>/domain.py` as pure functions. `Stage` carries them here; the
loop, the relay and the recovery know nothing else of a stage.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson
from pydantic import BaseModel, TypeAdapter

from libs.events.contract import Contract, Event
from libs.events.envelope import Envelope
from libs.events.lean import Lean, lean
from libs.events.timer import Timer
from libs.runtime.log import Sums

Part = Any
"""What is stored of one stream: the stage's own frozen dataclass."""
State = Any
"""What the decider sees: one part, or several composed."""
PassesOver = Mapping[type[Event], Collection[str]]
"""Of events that a stage hears: the fields that it has no use for."""
_ALL: PassesOver = {}
Row = tuple[str, tuple[Any, ...]]
"""A table's name and the values of one row of it."""


def _nothing(*_: Any) -> tuple[Any, ...]:
    return ()


def _none(*_: Any) -> None:
    return None


def dump_part(part: Part) -> bytes:
    """A part as JSON, as its stage's adapter reads it; the adapter's own dump costs three times as much.

    It is copied, as what orjson gives back keeps all of the buffer that it was written into: 8 kB a part, for
    as long as a batch and the one behind it are in hand.
    """
    dumped = orjson.dumps(part, default=_plain, option=orjson.OPT_NON_STR_KEYS)
    return b"".join((dumped, b""))  # of two pieces, as one alone would be the same again


def _plain(value: object) -> object:
    if isinstance(value, BaseModel):
        return value.__dict__
    if isinstance(value, frozenset | set):
        return sorted(value)
    raise TypeError(f"{type(value).__name__} has no place in a stage's state")


@dataclass(frozen=True)
class Composed:
    """States that are made of the parts of several streams, and change with any of them."""

    told_with: Callable[[str, bytes], Collection[str]]
    """Of a stream and its part's JSON: the streams of such states that this part makes with others."""
    made_of: Callable[[str, bytes], Collection[str]]
    """Of such a stream and its part: the other streams that its state is made of."""
    read: Callable[[str, Mapping[str, tuple[int, bytes]]], tuple[Contract, int] | None]
    """Such a stream, and by stream version and part of all that it is made of, itself among them, as a state
    and its version; None where nobody is to be told."""


@dataclass(frozen=True)
class StateTopic:
    """What a stage tells of its streams."""

    topic: str
    prefix: str
    """Of the streams that are told of, such as `sku/`."""
    read: Callable[[str, int, bytes], tuple[Contract, Iterable[str]] | None]
    """A stream, its version and its part's JSON as a state, and names of timers that it wants, due now; None
    where nobody is to be told."""
    touched: Callable[[Event], Iterable[str]]
    """Streams of the prefix that an event of the stage may have changed."""
    composed: Composed | None = None
    """Some of its states are made of several streams; `read` answers None for these."""


@dataclass(frozen=True)
class Stage:
    """One stage. Simple stages have one part a decision: their home stream's. `one_stream` builds those."""

    name: str
    hears: frozenset[str]
    """Foreign event types that it reacts to. Its own commands come from the catalogue."""
    sources: tuple[str, ...]
    """Stages whose events topics it reads."""
    decide: Callable[[State, Envelope[Contract], datetime], list[Event]]
    evolve: Callable[[State, Event], State]
    empty: Callable[[str], Part]
    """Initial part of a stream."""
    adapter: Callable[[str], TypeAdapter[Any]]
    """How a stream's part is written down and read."""
    compose: Callable[[str, Mapping[str, Part]], State]
    decompose: Callable[[State], Mapping[str, Part]]
    finishes: tuple[str, ...] = ()
    """Sources whose events finish what those of the others begin; while many wait, nothing is begun."""
    waits_for: str = ""
    """The stage behind it that it does not outrun: while that one is far behind, its commands wait."""
    lean: Lean = field(default_factory=dict)
    """Reads the heard events that carry what the stage has no use for, without that."""
    single: bool = False
    """The state is the home stream's part itself; compose and decompose are not asked."""
    more_streams: Callable[[Envelope[Contract], Part], Sequence[str]] = _nothing
    """Further streams that an input needs, given its home stream's part; locked in key order."""
    leads_on: str = "\x00"
    """Prefix of the streams that several lanes change and whose own part names further streams. They are read
    once without a lock to learn these; only their own lane may change which they are."""
    leads_on_for: frozenset[type[Contract]] = frozenset()
    """Inputs for which that is so of any stream."""
    leads_on_timers: frozenset[str] = frozenset()
    """Timers for which it is so too, by name."""
    shared: frozenset[str] = frozenset()
    """Streams that are read without a lock unless they are the home stream: configuration."""
    beside: frozenset[str] = frozenset()
    """Of the shared streams, those that what is new needs: read together with it, without a query more."""
    timers: Callable[[Event, datetime], Iterable[Timer]] = _nothing
    rows: Callable[[Envelope[Event]], Iterable[Row]] = _nothing
    sums: Callable[[Envelope[Event], Sums], None] = _none
    """Adds what an event adds to tables of sums, in place: it is called for every event of a batch."""
    row_tables: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Append-only tables that `rows` fills: name → columns."""
    sum_tables: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = field(default_factory=dict)
    """Tables of sums that `sums` adds to: name → (key columns, quantity columns)."""
    tables_call: tuple[str, tuple[str, ...]] = ("", ())
    """A function of its database that writes some of these tables, and which: an array of rows of each. A
    small batch that touches no other is then one statement."""
    owes: Callable[[Event], str | None] = _none
    """Id of an effect in the outside world that the event asks for."""
    settles: Callable[[Event], str | None] = _none
    """Id of the effect that the event reports the outcome of."""
    positions: Callable[[Event], Iterable[tuple[str, int]]] = _nothing
    """Of streams that several lanes change: (stream, place) of each numbered change that the event makes.
    Places count from 1 without a gap; a rebuild applies the lanes' events in their order."""
    states: StateTopic | None = None
    """What it tells of its streams on a compacted topic."""

    @property
    def topic(self) -> str:
        return events_topic(self.name)

    @property
    def topics(self) -> tuple[str, ...]:
        """Everything that it reads: its commands, then the events of its sources."""
        return (commands_topic(self.name), *(events_topic(source) for source in self.sources))


def events_topic(stage: str) -> str:
    return f"oms.{stage}.events"


def commands_topic(stage: str) -> str:
    return f"oms.{stage}.commands"


ANCHORS_TOPIC = "oms.anchors"
"""Heads of every stage's lanes (docs/audit.md); partition p holds those of lanes p."""


def hears(types: Iterable[type[Event]]) -> tuple[frozenset[str], tuple[str, ...]]:
    """Types by name, and the stages that publish them, from the event classes a domain lists."""
    names = frozenset(event.TYPE for event in types)
    return names, tuple(sorted({name.split(".")[1] for name in names}))


def _only(home: str, parts: Mapping[str, Part]) -> State:
    return parts[home]


def _no_parts(_: State) -> Mapping[str, Part]:
    raise AssertionError("a stage of one stream has nothing to decompose")


def one_stream(
    name: str,
    *,
    hears_types: Iterable[type[Event]],
    state: type[Any],
    initial: State,
    decide: Callable[[Any, Envelope[Any], datetime], list[Event]],
    evolve: Callable[[Any, Event], Any],
    passes_over: PassesOver = _ALL,
    timers: Callable[[Event, datetime], Iterable[Timer]] = _nothing,
    owes: Callable[[Event], str | None] = _none,
    settles: Callable[[Event], str | None] = _none,
    waits_for: str = "",
) -> Stage:
    """A stage whose decisions need nothing but their own stream."""
    names, sources = hears(hears_types)
    adapter: TypeAdapter[Any] = TypeAdapter(state)
    return Stage(
        name=name,
        hears=names,
        sources=sources,
        decide=decide,
        evolve=evolve,
        empty=lambda _: initial,
        adapter=lambda _: adapter,
        compose=_only,
        decompose=_no_parts,
        single=True,
        lean=lean(passes_over),
        timers=timers,
        owes=owes,
        settles=settles,
        waits_for=waits_for,
    )


def many_streams(
    name: str,
    *,
    hears_types: Iterable[type[Event]],
    part_type: Callable[[str], type[Any]],
    empty: Callable[[str], Part],
    more_streams: Callable[[Envelope[Any], Part], Sequence[str]],
    compose: Callable[[str, Mapping[str, Any]], State],
    decompose: Callable[[Any], Mapping[str, Part]],
    decide: Callable[[Any, Envelope[Any], datetime], list[Event]],
    evolve: Callable[[Any, Event], Any],
    passes_over: PassesOver = _ALL,
    **more: Any,
) -> Stage:
    """A stage whose decisions need several streams; `part_type` tells what is stored of a stream."""
    names, sources = hears(hears_types)
    adapters: dict[type[Any], TypeAdapter[Any]] = {}

    def adapter(stream: str) -> TypeAdapter[Any]:
        kind = part_type(stream)
        if kind not in adapters:
            adapters[kind] = TypeAdapter(kind)
        return adapters[kind]

    return Stage(
        name=name,
        hears=names,
        sources=sources,
        decide=decide,
        evolve=evolve,
        empty=empty,
        adapter=adapter,
        compose=compose,
        decompose=decompose,
        more_streams=more_streams,
        lean=lean(passes_over),
        **more,
    )
