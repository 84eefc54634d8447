"""The batch planner: inputs in arrival order, decided purely, into one set of writes.

It owns nothing and waits for nothing. What it needs has been loaded and locked before; where a decision turns
out to need a stream that was not, the batch is cut before that input and the rest is planned next.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from asyncpg.pgproto.pgproto import UUID as FastUUID

from libs.events.catalogue import encode
from libs.events.contract import Contract, Event
from libs.events.envelope import Envelope
from libs.events.ids import event_id_bytes, partition_key
from libs.runtime.in_hand import InHand
from libs.runtime.log import EffectRow, Handled, Lane, LogRow, Origin, Parked, TimerRow, Writes
from libs.runtime.parking import Place, parked, queued, reason_of, told, told_row
from libs.runtime.reading import Discarded, Input, Item, Refusable, Unheard, Unusable, rung
from libs.runtime.refusals import refusal, reused_id
from libs.runtime.stage import Part, Stage


class SkippedSequence(Exception):
    """A sender's lane has a hole: something published was not delivered. The partition must stop."""


@dataclass(slots=True)
class Known:
    """What the transaction loaded for the batch."""

    lanes: dict[int, Lane]
    high_water: dict[tuple[str, int], int]
    waiting: dict[str, int]
    """How many records wait under each key that has one parked."""
    handled: dict[tuple[str, UUID], bytes]


class Planner:
    """Plans one batch: `take` each item in order, then `finish`; then perhaps the next, which begins where
    this one ends: `proceed`."""

    def __init__(
        self,
        stage: Stage,
        known: Known,
        hand: InHand,
        lane_of: Callable[[str], int],
        recorded_at: datetime,
    ) -> None:
        self._stage, self._known, self.hand, self._lane_of = stage, known, hand, lane_of
        self._recorded_at = recorded_at
        self._next = {lane: [found.next_decided, found.next_heard] for lane, found in known.lanes.items()}
        self._source = f"orderlog/{stage.name}"
        self.writes = Writes()
        self._asked: dict[int, tuple[Part, list[str]]] = {}
        """By input: the home part it was asked for, and what that made it need."""
        self._needed: list[str] = []
        """Streams of the item that `can_take` was last asked about."""
        self.stood_on: dict[str, int] = {}
        """Streams that the batch's decisions were given beside their home, and the version of each before."""

    def proceed(self, recorded_at: datetime) -> None:
        """Begin the next batch, on what this one leaves."""
        self._recorded_at = recorded_at
        self.writes = Writes()
        self._asked.clear()
        self.stood_on = {}

    def learn(self, handled: Mapping[tuple[str, UUID], bytes]) -> None:
        """Commands that were decided before, and committed."""
        self._known.handled = {**handled, **self._known.handled}

    def lanes(self) -> dict[int, Lane]:
        """Where the lanes stand, as far as this is planned."""
        return {lane: Lane(self._known.lanes[lane].epoch, *place) for lane, place in self._next.items()}

    def home(self, item: Input) -> Part:
        """The part of an input's home stream, as far as this batch has folded it."""
        return self.hand.hold(item.key, item.lane).part

    def needed(self, item: Input, home: Part) -> list[str]:
        """Keys of the streams, other than its home, that an input's decision needs."""
        heard = item.envelope
        asked = self._asked.get(id(item))
        if asked is not None and asked[0] is home:
            return asked[1]
        streams = self._stage.more_streams(heard, home)
        found = [partition_key(heard.tenant, stream) for stream in streams if stream != heard.stream]
        self._asked[id(item)] = home, found
        return found

    def can_take(self, item: Item) -> bool:
        """False when a decision needs a stream that has not been loaded: cut the batch here."""
        if not isinstance(item, Input) or self._stage.single:
            return True
        self._needed = self.needed(item, self.home(item))
        if not all(map(self.hand.has, self._needed)):
            return False
        for key in self._needed:
            if key not in self.stood_on:
                self.stood_on[key] = self.hand.version(key)
        return True

    def take(self, item: Item, place: Place) -> None:
        """Decide one item, after `can_take` said yes.

        Raises SkippedSequence; any other exception is a fault of the decider.
        """
        match item:
            case Unheard():
                if place.parked is None:
                    self._is_new(item.source, item.lane, item.sequence)
            case Unusable():
                again = place.parked is not None or not item.sequence
                if again or self._is_new(item.source, item.lane, item.sequence):
                    self._park(item, place)
            case Refusable():
                self._refuse(item, place)
            case Input():
                self._input(item, place)
            case Discarded():
                assert place.parked is not None, "only what is parked is discarded"
        if place.parked is not None:
            self._unpark(place.parked, item)

    def finish(self) -> Writes:
        """The writes, with a snapshot of each part that the batch changed."""
        self.hand.write(self.writes)
        return self.writes

    def _input(self, item: Input, place: Place) -> None:
        heard = item.envelope
        if (
            item.kind == "event"
            and place.parked is None
            and not self._is_new(heard.source, item.lane, heard.sequence)
        ):
            return
        if self._queues(item, place):
            return
        if item.kind == "command":
            if self._repeated(heard, item.digest, item.lane):
                return
            first = self._next[item.lane][0]
            self._decide(item)
            rows = self._next[item.lane][0] - first
            self.writes.handled.append(Handled(heard.tenant, heard.id, item.digest, item.lane, first, rows))
        elif item.kind == "timer":
            self._decide(rung(item, self._stage.name, self._next[item.lane][0]))
        else:
            self._decide(item)

    def _decide(self, item: Input) -> None:
        stage, heard = self._stage, item.envelope
        parts = {heard.stream: self.home(item)}
        if not stage.single:
            for key in self._needed:
                parts[key.partition("/")[2]] = self.hand.hold(key, self._lane_of(key)).part
        state = stage.compose(heard.stream, parts)
        if item.kind == "event":
            assert isinstance(heard.body, Event)
            folded = stage.evolve(state, heard.body)
            if folded is not state and self._keep(item, parts, folded):
                self._log("heard", item.lane, item.key, heard, item.raw)
                state = folded
        for index, event in enumerate(stage.decide(state, heard, heard.at)):
            state = stage.evolve(state, event)
            self._keep(item, parts, state)
            self._emit(item.lane, item.key, heard, event, self._event_id(heard.id, index))

    def _keep(self, item: Input, parts: dict[str, Part], state: object) -> bool:
        """Note which parts the fold changed; True when any did."""
        stage, tenant = self._stage, item.envelope.tenant
        after = {item.envelope.stream: state} if stage.single else stage.decompose(state)
        changed = False
        for stream, part in after.items():
            if part is not parts[stream]:
                parts[stream] = part
                held = self.hand.hold(partition_key(tenant, stream), item.lane)
                held.part, held.changed, changed = part, True, True
                if stream != item.envelope.stream:
                    held.version += 1
        return changed

    def _event_id(self, cause: UUID, index: int) -> UUID:
        """`libs.events.ids.event_id`, of a class that is written to text and to the database in C."""
        id_: UUID = FastUUID(event_id_bytes(cause, self._stage.name, index))
        return id_

    def _emit(self, lane: int, key: str, heard: Envelope[Contract], event: Event, id_: UUID) -> None:
        assert event.stream == heard.stream, f"{event.TYPE} belongs to {event.stream}, not {heard.stream}"
        out: Envelope[Event] = Envelope(
            id_,
            heard.tenant,
            heard.stream,
            event,
            heard.at,
            heard.actor,
            heard.reason,
            heard.id,
            heard.correlation_id,
            self._source,
            lane,
            self._next[lane][0],
            heard.traceparent,
        )
        self._log("decided", lane, key, out)
        self._follow_up(key, out)

    def _follow_up(self, key: str, out: Envelope[Event]) -> None:
        """Timers, effects and table rows that an event brings with it."""
        stage, writes, event = self._stage, self.writes, out.body
        # A sender whose clock runs ahead must not put off what is due at once.
        for timer in stage.timers(event, min(out.at, self._recorded_at)):
            timer_key = partition_key(out.tenant, timer.stream)
            row = TimerRow(self._lane_of(timer_key), timer_key, timer.name, timer.due_at)
            writes.timers[timer_key, timer.name] = row
        owed, settled = stage.owes(event), stage.settles(event)
        if owed is not None:
            writes.owed[owed] = EffectRow(out.lane, owed, key)
        if settled is not None:
            writes.settled.add(settled)
        for table, values in stage.rows(out):
            writes.table_rows.setdefault(table, []).append(values)
        stage.sums(out, writes.table_sums)

    def _log(
        self, origin: Origin, lane: int, key: str, envelope: Envelope[Contract], raw: bytes = b""
    ) -> None:
        held = self.hand.hold(key, lane)
        held.version += 1
        held.changed = True
        place = 0 if origin == "decided" else 1
        seq = self._next[lane][place]
        self._next[lane][place] = seq + 1
        context: dict[str, object] = {
            "actor": envelope.actor,
            "reason": envelope.reason,
            "causationid": str(envelope.causation_id),
            "correlationid": str(envelope.correlation_id),
            "traceparent": envelope.traceparent,
        }
        if origin == "heard":
            context |= {"source": envelope.source, "lane": envelope.lane, "sequence": envelope.sequence}
        body = envelope.body
        self.writes.rows.append(
            LogRow(
                lane,
                origin,
                seq,
                envelope.id,
                envelope.tenant,
                envelope.stream,
                held.version,
                body.TYPE,
                body.VERSION,
                raw or encode(body),
                context,
                envelope.at,
                self._recorded_at,
            )
        )

    def _is_new(self, source: str, lane: int, sequence: int) -> bool:
        """Whether an event of a sender's lane has not been heard before; counts it when so."""
        heard_up_to = self._known.high_water.get((source, lane), 0)
        if sequence <= heard_up_to:
            return False
        if sequence != heard_up_to + 1:
            raise SkippedSequence(
                f"{source} lane {lane}: sequence {heard_up_to + 1} expected, {sequence} found: a hole"
            )
        self._known.high_water[source, lane] = self.writes.high_water[source, lane] = sequence
        return True

    def _repeated(self, heard: Envelope[Contract], digest: bytes, lane: int) -> bool:
        """Whether a command was decided before; another one under its id is refused."""
        before = self._known.handled.get((heard.tenant, heard.id))
        if before is None:
            self._known.handled[heard.tenant, heard.id] = digest
            return False
        if before != digest:
            self._answer_reuse(heard, digest, lane)
        self.writes.repeated.append((heard.tenant, heard.id))
        return True

    def _answer_reuse(self, heard: Envelope[Contract], digest: bytes, lane: int) -> None:
        """Refuse a command whose id was used for another; told once per different payload."""
        alias = reused_id(heard.id, digest)
        if (heard.tenant, alias) in self._known.handled:
            return
        self._known.handled[heard.tenant, alias] = digest
        self.writes.handled.append(Handled(heard.tenant, alias, digest, lane, self._next[lane][0], 1))
        refused = refusal(
            heard.stream,
            heard.id,
            heard.body.TYPE,
            "command_id_reused",
            "This command id (Idempotency-Key) was used before for a different command.",
            "Send it again under a new id.",
        )
        self._emit(
            lane,
            partition_key(heard.tenant, heard.stream),
            heard,
            refused,
            self._event_id(alias, 0),
        )

    def _refuse(self, item: Refusable, place: Place) -> None:
        if self._queues(item, place):
            return
        found = item.found
        refused = refusal(
            found.stream,
            found.id,
            found.type,
            item.code,
            item.reason,
            "correct the command and send it again under a new id",
        )
        heard = found.envelope(refused)
        if not self._repeated(heard, item.digest, item.lane):
            first = self._next[item.lane][0]
            self._emit(item.lane, item.key, heard, refused, self._event_id(heard.id, 0))
            self.writes.handled.append(Handled(found.tenant, found.id, item.digest, item.lane, first, 1))

    def _queues(self, item: Input | Refusable, place: Place) -> bool:
        """Park behind an earlier record of the same key, unless this is that record, replayed."""
        if place.parked is not None or place.offset < 0 or item.key not in self._known.waiting:
            return False
        self._wait(queued(item, place))
        return True

    def _park(self, item: Unusable, place: Place) -> None:
        if place.parked is None:
            self._wait(parked(item, place))

    def _wait(self, row: Parked) -> None:
        self._known.waiting[row.key] = self._known.waiting.get(row.key, 0) + 1
        self.writes.parked.append(self._tell(row))

    def _unpark(self, row: Parked, item: Item) -> None:
        """What became of a parked record that was to be decided again. One that waits no more, for that was
        done before, is fenced when it is written."""
        self._known.waiting.setdefault(row.key, 1)
        if isinstance(item, Unusable):
            row = replace(row, state="parked", code=item.code, reason=reason_of(item))
        else:
            self._known.waiting[row.key] -= 1
            row = replace(row, state="discarded" if isinstance(item, Discarded) else "replayed")
        self.writes.unparked[row.id] = self._tell(row)

    def _tell(self, row: Parked) -> Parked:
        """Write in the log how a record that was parked stands now."""
        sequence = self._next[row.lane][0]
        self._next[row.lane][0] = sequence + 1
        row, waiting = told(row, sequence), self._known.waiting[row.key]
        self.writes.rows.append(told_row(self._stage.name, row, sequence, waiting, self._recorded_at))
        return row


def keys_of(items: Sequence[Item]) -> list[str]:
    """Home keys that a batch touches, in key order."""
    return sorted({item.key for item in items if isinstance(item, Input | Refusable)})
