"""Folds a stage again from what its own topic and the topics it hears say; pure.

What the planner writes while it decides, this writes from what was decided: log rows, parts, tables, timers,
effects, handled commands, high-water marks. A heard event counts as heard when it changes the state, exactly
as there. Lanes are independent but for streams that several of them change: `Stage.positions` orders those.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from libs.events.catalogue import encode
from libs.events.contract import Contract, Event
from libs.events.envelope import Envelope
from libs.events.ids import partition_key, ring_id
from libs.events.parked import OfParkedRecord
from libs.runtime.complaint import Complaint
from libs.runtime.in_hand import Held, InHand
from libs.runtime.log import EffectRow, Handled, LogRow, Origin, Parked, Snapshot, TimerRow, Writes
from libs.runtime.replay_order import Heard, Hungry, LaneOrder, Own
from libs.runtime.stage import Part, Stage

_COMPARE = "Compare the topic with the stage's log: an event in it was changed or is missing."


class Missing(Exception):
    """The next step needs streams that are not in hand: `give` them."""

    def __init__(self, keys: list[str]) -> None:
        super().__init__(", ".join(keys))
        self.keys = keys


class Refold:
    """`advance` until it says that nothing is left; `finish` now and then, and write what it returns."""

    def __init__(self, stage: Stage, lanes: Iterable[LaneOrder], lane_of: Callable[[str], int]) -> None:
        self._stage, self._lane_of = stage, lane_of
        self.lanes = list(lanes)
        self._hand = InHand(stage)
        self._next_heard = {order.lane: 1 for order in self.lanes}
        self._positions: dict[str, int] = {}
        self._timers: dict[tuple[str, str], TimerRow] = {}
        self._handled: dict[tuple[str, UUID], Handled] = {}
        self._timer_names: set[str] = set()
        self._writes = Writes()
        self._steps = 0

    @property
    def held(self) -> int:
        """How many parts are in hand."""
        return len(self._hand)

    @property
    def rows(self) -> int:
        """How many log rows the next `finish` will return."""
        return len(self._writes.rows)

    def advance(self, rows_max: int) -> set[tuple[str, int]]:
        """Fold what can be; the partitions that more is needed of, none at the end or at `rows_max`.

        Raises Missing. Complaint: no lane can go on, for a numbered change of a stream is nowhere.
        """
        while True:
            steps, hungry, waiting = self._steps, set[tuple[str, int]](), list[str]()
            for order in self.lanes:
                try:
                    waiting += self._run(order, rows_max)
                except Hungry as need:
                    hungry.add((need.topic, order.lane))
            if hungry or self.rows >= rows_max or self.done:
                return hungry
            if steps == self._steps:
                raise Complaint(
                    f"The events of {self._stage.name} do not fit together: {'; '.join(waiting)}.",
                    _COMPARE,
                )

    @property
    def done(self) -> bool:
        return all(order.done for order in self.lanes)

    def wanted(self) -> list[str]:
        """Keys of the streams that what was offered will need, as far as can be told, and are not in hand.

        Ask again after they were given: a home stream may name others.
        """
        wanted: dict[str, None] = {}
        for order in self.lanes:
            for envelope in order.fresh:
                if isinstance(envelope.body, OfParkedRecord):
                    continue  # its stream has no part
                key = partition_key(envelope.tenant, envelope.stream)
                keys = self._others(envelope, self._held(key).part) if self._hand.has(key) else [key]
                wanted |= dict.fromkeys(other for other in keys if not self._hand.has(other))
        if not wanted:
            for order in self.lanes:
                order.fresh.clear()
        return list(wanted)

    def give(self, keys: Iterable[str], found: Mapping[str, Snapshot]) -> None:
        """Parts as written before; those that were not found are empty."""
        self._hand.learn({key: found.get(key, Snapshot(0, b"")) for key in keys})

    def finish(self, *, forget: bool) -> Writes:
        """What there is to write since the last time. With `forget`, no part stays in hand."""
        writes, self._writes = self._writes, Writes()
        self._hand.write(writes)
        writes.handled, self._handled = list(self._handled.values()), {}
        for order in self.lanes:
            for source, sequence in order.high_water.items():
                writes.high_water[source, order.lane] = sequence
        if forget:
            self._hand = InHand(self._stage)
            for order in self.lanes:
                order.fresh = list(order.waiting())
        return writes

    def timers(self) -> dict[tuple[str, str], TimerRow]:
        """Timers asked for and not known to be answered. One that was, by nothing, will be again."""
        return self._timers

    def _run(self, order: LaneOrder, rows_max: int) -> list[str]:
        """Fold a lane as far as it goes; what it waits for, if it waits. Raises Hungry, Missing."""
        while self.rows < rows_max:
            heard = order.heard()
            if heard is not None:
                if heard.envelope is not None:
                    self._fold_heard(order.lane, heard, heard.envelope)
                _, block = order.take()
                if heard.envelope is None:
                    self._handle(order, heard, block)
            elif (own := order.own()) is not None and isinstance(own.envelope.body, OfParkedRecord):
                self._tell(order.lane, own, own.envelope.body)
                order.take_own(own.envelope.at)
            elif own is not None:
                stream = self._out_of_place(own)
                if stream:
                    return [
                        f"lane {order.lane} sequence {order.applied + 1} is not the next change of {stream}"
                    ]
                order.take_own(self._fold_own(order, own))
            else:
                break
            self._steps += 1
        return []

    def _out_of_place(self, own: Own) -> str:
        """The stream in whose order it is not this event's turn."""
        seen: set[str] = set()
        for stream, number in self._stage.positions(own.envelope.body):
            if stream not in seen:
                key = partition_key(own.envelope.tenant, stream)
                if number != self._positions.get(key, 0) + 1:
                    return stream
                seen.add(stream)
        return ""

    def _fold_heard(self, lane: int, found: Heard, heard: Envelope[Contract]) -> None:
        body, key = heard.body, found.key
        assert isinstance(body, Event)
        parts = self._parts(key, heard)
        state = self._stage.compose(heard.stream, parts)
        try:
            after = self._stage.evolve(state, body)
        except Exception as error:
            # It failed when it was heard, too, and waits for a person: nothing is dropped.
            why = f"folding it failed: {type(error).__name__}: {error}"[:1000]
            at = (lane, key, found.topic, lane, found.offset)
            self._writes.parked.append(Parked(*at, "failed", why, heard.tenant, body.TYPE))
            return
        if self._keep(heard, parts, after):
            sequence = self._next_heard[lane]
            self._next_heard[lane] = sequence + 1
            row = self._row(
                "heard", lane, sequence, self._next_version(key), heard, body.VERSION, encode(body)
            )
            place = {"source": heard.source, "lane": heard.lane, "sequence": heard.sequence}
            self._writes.rows.append(replace(row, context={**row.context, **place}))

    def _fold_own(self, order: LaneOrder, own: Own) -> datetime:
        """Fold it; the time that it was decided by, as far as the topics tell."""
        envelope = own.envelope
        key = partition_key(envelope.tenant, envelope.stream)
        parts = self._parts(key, envelope)
        state = self._stage.compose(envelope.stream, parts)
        at = order.decided_at(own) or self._answered(key, envelope) or envelope.at
        try:
            after = self._stage.evolve(state, envelope.body)
        except Exception as error:
            raise Complaint(
                f"{envelope.source} lane {order.lane} sequence {envelope.sequence} ({envelope.body.TYPE} of "
                f"{key}) cannot follow what came before it: {type(error).__name__}: {error}.",
                _COMPARE,
            ) from error
        self._keep(envelope, parts, after)
        version = self._next_version(key)
        row = self._row("decided", order.lane, envelope.sequence, version, envelope, own.version, own.payload)
        self._writes.rows.append(replace(row, at=at))
        for stream, number in self._stage.positions(envelope.body):
            self._positions[partition_key(envelope.tenant, stream)] = number
        self._follow_up(key, replace(envelope, at=at), envelope.at)
        return at

    def _tell(self, lane: int, own: Own, event: OfParkedRecord) -> None:
        """Of a parked record: it changes nothing, and says itself which row of its stream it is."""
        envelope = own.envelope
        row = self._row("decided", lane, envelope.sequence, event.turn, envelope, own.version, own.payload)
        self._writes.rows.append(row)

    def _follow_up(self, key: str, out: Envelope[Event], recorded_at: datetime) -> None:
        """Timers, effects and table rows that an event brought with it."""
        stage, writes, event = self._stage, self._writes, out.body
        for timer in stage.timers(event, min(out.at, recorded_at)):
            timer_key = partition_key(out.tenant, timer.stream)
            row = TimerRow(self._lane_of(timer_key), timer_key, timer.name, timer.due_at)
            self._timers[timer_key, timer.name] = row
            self._timer_names.add(timer.name)
        owed, settled = stage.owes(event), stage.settles(event)
        if owed is not None:
            writes.owed[owed] = EffectRow(out.lane, owed, key)
        if settled is not None:
            writes.settled.add(settled)
        for table, values in stage.rows(out):
            writes.table_rows.setdefault(table, []).append(values)
        stage.sums(out, writes.table_sums)

    def _answered(self, key: str, own: Envelope[Event]) -> datetime | None:
        """When the timer was due that an own event answers, if it is one's; it is no longer outstanding."""
        for name in self._timer_names:
            timer = self._timers.get((key, name))
            if timer is None:
                continue
            # Before ADR 0013 a ring had the timer's own id, whatever its place in the log.
            rings = (ring_id(timer.id, self._stage.name, own.lane, own.sequence), timer.id)
            if own.causation_id in rings:
                return self._timers.pop((key, name)).due_at
        return None

    def _handle(self, order: LaneOrder, command: Heard, block: tuple[int, int] | None) -> None:
        first, last = block or (order.applied + 1, order.applied)
        handled = Handled(command.tenant, command.id, command.digest, order.lane, first, last - first + 1)
        self._handled.setdefault((command.tenant, command.id), handled)

    def _others(self, envelope: Envelope[Contract], home: Part) -> list[str]:
        if self._stage.single:
            return []
        streams = self._stage.more_streams(envelope, home)
        return [partition_key(envelope.tenant, stream) for stream in streams if stream != envelope.stream]

    def _parts(self, key: str, envelope: Envelope[Contract]) -> dict[str, Part]:
        """Home part and those that the event needs beside it. Raises Missing."""
        if not self._hand.has(key):
            raise Missing([key])
        held = self._held(key)
        others = self._others(envelope, held.part)
        missing = [other for other in others if not self._hand.has(other)]
        if missing:
            raise Missing(missing)
        more = {other.partition("/")[2]: self._held(other).part for other in others}
        return {envelope.stream: held.part, **more}

    def _held(self, key: str) -> Held:
        return self._hand.hold(key, self._lane_of(key))

    def _keep(self, envelope: Envelope[Contract], parts: dict[str, Part], state: object) -> bool:
        """Note which parts the fold changed; True when any did."""
        after = {envelope.stream: state} if self._stage.single else self._stage.decompose(state)
        changed = False
        for stream, part in after.items():
            if part is not parts[stream]:
                held = self._held(partition_key(envelope.tenant, stream))
                held.part, held.changed, changed = part, True, True
                held.version += stream != envelope.stream
        return changed

    def _next_version(self, key: str) -> int:
        """Of a stream's row that is about to be written."""
        held = self._held(key)
        held.version += 1
        held.changed = True
        return held.version

    def _row(
        self,
        origin: Origin,
        lane: int,
        sequence: int,
        stream_version: int,
        envelope: Envelope[Contract],
        version: int,
        payload: bytes,
    ) -> LogRow:
        context = {
            "actor": envelope.actor,
            "reason": envelope.reason,
            "causationid": str(envelope.causation_id),
            "correlationid": str(envelope.correlation_id),
            "traceparent": envelope.traceparent,
        }
        return LogRow(
            lane,
            origin,
            sequence,
            envelope.id,
            envelope.tenant,
            envelope.stream,
            stream_version,
            envelope.body.TYPE,
            version,
            payload,
            context,
            envelope.at,
            envelope.at,
        )
