"""What must hold once a run has come to rest, whatever happened in it."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from typing import NamedTuple
from uuid import UUID

from libs.events.amendments import OrderAmended
from libs.events.catalogue import decode
from libs.events.changes import HoldPlaced, PlaceHold
from libs.events.contract import Event
from libs.events.fulfillment import FulfillmentReleased
from libs.events.ids import partition_key
from libs.events.intake import (
    CancelOrder,
    HoldReleased,
    OrderAccepted,
    OrderCancellationRequested,
    OrderClosed,
    OrderHeld,
    ReleaseHold,
)
from libs.events.promise import PromiseExpired, PromiseReleased, ReleasePromise
from libs.runtime import wire
from libs.runtime.digest import memory_digest
from libs.runtime.log import WAITING, LogRow
from libs.runtime.parking import told_state
from libs.runtime.reading import Input, command_digest, read
from libs.runtime.refusals import reused_id
from libs.runtime.stage import Stage
from libs.runtime.wire import Record
from services.console.records import UnreadableEvent
from services.console.records import read as console_read
from services.inventory.proof import prove
from tests.flow import oracle
from tests.flow.terms import released_by_others
from tests.flow.world import STAGES, TENANT
from tests.sim.console import TOPICS, ConsoleDatabase
from tests.sim.people import Sent
from tests.sim.world import LANES, Scene


class Violation(NamedTuple):
    """A guarantee that did not hold."""

    guarantee: str
    message: str


INVENTORY, ROUTING, REST = STAGES[1], STAGES[2], (STAGES[0], *STAGES[3:])
_REBUILT = [stage for other in REST for stage in (INVENTORY, ROUTING, other)]
"""Stages of several streams first of all; the others' snapshots are held to their log anyway."""


def violations(scene: Scene) -> list[Violation]:
    """Everything that is wrong with a run that is over; empty when all holds."""
    found = [Violation("no lane halts", why) for why in scene.halts_now()]
    if scene.restless:
        found.append(Violation("the stages come to rest", scene.restless))
    for guarantee, broken in _CHECKS.items():
        try:
            found += [Violation(guarantee, message) for message in broken(scene)]
        except AssertionError as error:
            found.append(Violation(guarantee, str(error) or "an assertion failed"))
        except Exception as error:  # the logs are so broken that a check cannot read them
            found.append(Violation(guarantee, f"{type(error).__name__}: {error}"))
    return found


def _one_end(scene: Scene) -> Iterator[str]:
    """Every accepted order is in exactly one terminal state; nothing is accepted or released twice."""
    said: dict[type[Event], Counter[str]] = defaultdict(Counter)
    for event in scene.books.events(OrderAccepted, OrderClosed, FulfillmentReleased):
        name = getattr(event, "fulfillment_order_id", "") or event.stream
        said[type(event)][name] += 1
    for kind, names in said.items():
        yield from (f"{kind.TYPE} of {name} {count} times" for name, count in names.items() if count > 1)
    for order_id in said[OrderAccepted].keys() - said[OrderClosed].keys():
        yield f"order {order_id} was accepted and is still open"


def _ledger(scene: Scene) -> Iterator[str]:
    """No bucket below zero at any prefix; positions without a gap; sums equal balances."""
    oracle.ledger_holds(scene.books)
    return iter(())


def _topics(scene: Scene) -> Iterator[str]:
    """Each lane's topic, repeats dropped, is its log."""
    oracle.topics_are_the_logs(scene.books)
    return iter(())


def _chains(scene: Scene) -> Iterator[str]:
    """Each lane's hash chain is one, from log and topic, and leads to every head stored or anchored."""
    oracle.chains_are_one(scene.books)
    return iter(())


def _folds(scene: Scene) -> Iterator[str]:
    """Snapshots are folds of the log; one stage, another each seed, is rebuilt from the topics alone."""
    books = scene.books
    oracle.snapshots_are_the_folds(books)
    stage = _REBUILT[scene.plan.seed % len(_REBUILT)]
    rebuilt = memory_digest(oracle.rebuilt_log(books, stage), stage)
    if rebuilt != memory_digest(books.logs[stage.name], stage):
        yield f"{stage.name} is not what its topics say"


def _no_oversell(scene: Scene) -> Iterator[str]:
    rows = [row for lane in range(LANES) for row in _decided(scene, "inventory", lane)]
    proof = prove(rows)
    if proof.violation:
        yield f"{proof.violation.type} lane {proof.violation.lane}: {proof.violation.message}"
    elif proof.open_units:
        yield f"{proof.open_units} units are still promised or allocated, though every order is closed"


def _each_command_once(scene: Scene) -> Iterator[str]:
    """Every command id has one outcome, and each other use of it one refusal."""
    causes: dict[str, Counter[str]] = defaultdict(Counter)
    for stage in STAGES:
        for lane in range(LANES):
            for row in _decided(scene, stage.name, lane):
                causes[stage.name][str(row.context["causationid"])] += 1
    uses: dict[tuple[str, str], list[Sent]] = defaultdict(list)
    for sent in scene.people.sent:
        uses[sent.stage, str(sent.envelope.id)].append(sent)
    for (name, id_), sents in uses.items():
        database, command = scene.databases[name], sents[0].envelope
        outcome = database.outcome(TENANT, command.id)
        if outcome is None:
            yield f"{command.body.TYPE} {command.stream}: command {id_} was never decided"
            continue
        digests = {_digest(scene, sent) for sent in sents}
        reuses = [database.outcome(TENANT, reused_id(command.id, digest)) for digest in digests]
        others = sum(refused.rows for refused in reuses if refused)
        what = f"{command.body.TYPE} {command.stream}: command {id_}"
        if others != len(digests) - 1:
            yield f"{what} is the id of {len(digests)} commands, {others} were refused"
        if causes[name][id_] != outcome.rows + others:
            yield f"{what} answered by {causes[name][id_]} events, not {outcome.rows + others}"


def _digest(scene: Scene, sent: Sent) -> bytes:
    """As the stage tells repeats from other commands."""
    stage = next(stage for stage in STAGES if stage.name == sent.stage)
    key, headers = partition_key(TENANT, sent.envelope.stream), wire.headers(sent.envelope)
    record = Record("x.commands", scene.lane_of(key), 0, key.encode(), sent.payload, headers)
    item = read(stage, record, record_bytes_max=1_000_000, lane_of=scene.lane_of)
    assert isinstance(item, Input)
    return item.digest


def _each_event_once(scene: Scene) -> Iterator[str]:
    """No event is decided or heard twice by a stage, and no timer rings more often than it was asked for."""
    for stage in STAGES:
        log = scene.databases[stage.name]
        rows = [row for held in log.rows.values() for row in held]
        ids = Counter((row.origin, row.event_id) for row in rows)
        for row in rows:
            if ids.pop((row.origin, row.event_id), 1) > 1:
                yield f"{stage.name} {row.origin} {row.type} of {row.stream} twice"
        yield from (f"{stage.name}: {what}, which had rung before" for what in log.timers_rung_again)


def _one_owner(scene: Scene) -> Iterator[str]:
    """Nobody writes to a lane that another has claimed since."""
    for name, database in scene.databases.items():
        yield from (f"{name}: {what}, which was another's by then" for what in database.overruled)


def _no_deadlock(scene: Scene) -> Iterator[str]:
    """Locks are taken in one order everywhere, so nobody waits in a ring."""
    for name, database in scene.databases.items():
        yield from (f"{name}: {ring}" for ring in database.deadlocks)


def _nothing_unheard(scene: Scene) -> Iterator[str]:
    """Each stage has heard each lane of its sources to the end of the sender's log."""
    for stage in STAGES:
        for source in stage.sources:
            for lane in range(LANES):
                heard = scene.databases[stage.name].heard_up_to(f"orderlog/{source}", lane)
                said = len(_decided(scene, source, lane))
                if heard != said:
                    yield f"{stage.name} heard {source} lane {lane} up to {heard} of {said}"


def _nothing_parked(scene: Scene) -> Iterator[str]:
    """What nobody can read is parked, once; else only what a stage failed at, and what came behind it."""
    parked = [(stage, row) for stage in scene.databases for row in scene.databases[stage].parked_rows]
    places = Counter((stage, row.topic, row.partition, row.offset) for stage, row in parked)
    for place, count in places.items():
        if count > 1:
            yield f"{place} is parked {count} times"
    keys = {(stage, row.key) for stage, row in parked if row.code == "failed"}
    for stage, row in parked:
        expected = scene.failing[stage].at_fault if row.code == "failed" else row.code == "queued"
        if row.code != "bad_headers" and not (expected and (stage, row.key) in keys):
            yield f"{stage} parked {row.type} of {row.key}: {row.code}, {row.reason}"
        elif row.code != "bad_headers" and row.state != "replayed":
            yield f"{stage} has left {row.type} of {row.key} {row.state}"
    unreadable = sum(row.code == "bad_headers" for _, row in parked)
    if unreadable < scene.people.unreadable:
        yield f"{scene.people.unreadable} records cannot be read, {unreadable} are parked"


def _parked_told(scene: Scene) -> Iterator[str]:
    """Of each record that was ever parked the log tells, as often as its row says, and last how it stands."""
    for stage, database in scene.databases.items():
        told: dict[str, list[str]] = defaultdict(list)
        for lane in range(LANES):
            for row in _decided(scene, stage, lane):
                if state := told_state(row.type):
                    told[row.stream].append(state)
        for parked in database.parked_rows:
            states = told.pop(f"parked/{parked.lane}-{parked.told_seq}", [])
            if len(states) != parked.told or states[-1:] != [parked.state]:
                yield f"{stage} tells of {parked.key} {states}, it is {parked.state} at turn {parked.told}"
        for stream in told:
            yield f"{stage} tells of {stream}, which is not parked"


def _queue_of_parked(scene: Scene) -> Iterator[str]:
    """The queue of exceptions holds each key under which records wait, with how many, and no other."""
    waits = Counter(
        (stage, row.lane, row.key)
        for stage, database in scene.databases.items()
        for row in database.parked_rows
        if row.state in WAITING
    )
    shown = {key[1:]: item.waiting for key, item in scene.read_side.parked.items() if item.waiting}
    for item in waits.keys() | shown.keys():
        if waits[item] != shown.get(item, 0):
            yield f"{waits[item]} records wait under {item}, the queue has {shown.get(item, 0)}"


def _in_order(scene: Scene) -> Iterator[str]:
    """What a key's records say is decided in the order of its topic, parked or not."""
    for stage in STAGES:
        database = scene.databases[stage.name]
        for lane in range(LANES):
            yield from _commands_in_order(scene, stage, lane)
            heard: dict[tuple[str, object], int] = {}
            for row in database.rows.get((lane, "heard"), []):
                place, sequence = (row.stream, row.context["source"]), int(str(row.context["sequence"]))
                if heard.get(place, 0) >= sequence:
                    yield f"{stage.name} heard {row.type} {sequence} of {row.stream} after {heard[place]}"
                heard[place] = sequence


def _commands_in_order(scene: Scene, stage: Stage, lane: int) -> Iterator[str]:
    topic, database = stage.topics[0], scene.databases[stage.name]
    came: dict[tuple[UUID, bytes], str] = {}
    for record in scene.broker.read((topic, lane), 0, 1_000_000):
        headers = dict(record.headers)
        if record.key != b"?":
            digest = command_digest(headers["ce_type"].decode(), record.value or b"")
            came.setdefault((UUID(headers["ce_id"].decode()), digest), (record.key or b"").decode())
    at: dict[str, int] = {}
    for (id_, digest), key in came.items():
        found = database.handled_as(TENANT, id_, digest)
        if found is not None:
            if found.first_seq < at.get(key, 0):
                yield f"{stage.name} decided command {id_} of {key} before one that came before it"
            at[key] = found.first_seq


def _each_command_answered(scene: Scene) -> Iterator[str]:
    """Who sent a command can be told what came of it, by events that it caused; silence is for what asks
    again what was done."""
    for sent in scene.people.sent:
        command, database = sent.envelope, scene.databases[sent.stage]
        found = database.handled_as(TENANT, command.id, _digest(scene, sent))
        if found is None:
            continue
        rows = database.rows.get((found.lane, "decided"), [])[found.first_seq - 1 :][: found.rows]
        if len(rows) < found.rows or any(row.context["causationid"] != str(command.id) for row in rows):
            yield f"{command.body.TYPE} {command.stream}: command {command.id} is given another's answer"
        done = _ALREADY.get(command.body.TYPE, ())
        if not rows and not any(
            row.stream == command.stream and row.type in done
            for row in _decided(scene, sent.stage, found.lane)
        ):
            yield f"{command.body.TYPE} {command.stream}: command {command.id} was decided and not answered"


_ALREADY = {
    CancelOrder.TYPE: (OrderCancellationRequested.TYPE, OrderClosed.TYPE),
    PlaceHold.TYPE: (HoldPlaced.TYPE, OrderHeld.TYPE),
    ReleaseHold.TYPE: (HoldReleased.TYPE,),
    ReleasePromise.TYPE: (PromiseReleased.TYPE, PromiseExpired.TYPE),
}
"""Commands that are decided in silence where something says that it is done."""


def _as_amended(scene: Scene) -> Iterator[str]:
    """No node is given work of an amended order by the terms that it had before."""
    for lane in range(LANES):
        rows = _decided(scene, "fulfillment", lane)
        wanted = [row for row in rows if row.type in (OrderAmended.TYPE, FulfillmentReleased.TYPE)]
        events = [decode(row.type, row.version, row.payload) for row in wanted]
        yield from released_by_others(event for event in events if isinstance(event, Event))


def _projections(scene: Scene) -> Iterator[str]:
    """The read models are what one fold of the logs, lane by lane, makes of nothing."""
    live, again = scene.read_side, ConsoleDatabase()
    for topic in TOPICS:
        for lane in range(LANES):
            found = [console_read(record) for record in scene.broker.read((topic, lane), 0, 1_000_000)]
            again.apply([event for event in found if not isinstance(event, UnreadableEvent)])
    if live.unreadable:
        yield f"{len(live.unreadable)} events could not be projected: {live.unreadable[0]}"
    for key in sorted(live.states.keys() | again.states.keys()):
        if live.states.get(key) != again.states.get(key):
            yield f"the read model of order {key.order_id} is not its refold"
    if sorted(live.timeline) != sorted(again.timeline):
        yield "the timeline is not its refold"
    yield from (f"somebody moved {what}" for what in live.overruled)
    for name in ("balances", "reservations", "heard"):
        if getattr(live, name) != getattr(again, name):
            yield f"the read model's {name} are not their refold"


def _decided(scene: Scene, stage: str, lane: int) -> list[LogRow]:
    return scene.databases[stage].rows.get((lane, "decided"), [])


_CHECKS: dict[str, Callable[[Scene], Iterator[str]]] = {
    "every accepted order ends once": _one_end,
    "the ledger holds": _ledger,
    "topics are the logs": _topics,
    "hash chains are one": _chains,
    "states are folds of the log": _folds,
    "nothing oversold, each reservation resolved once": _no_oversell,
    "each command has one outcome": _each_command_once,
    "each command is answered": _each_command_answered,
    "each key in order": _in_order,
    "each event once": _each_event_once,
    "each lane has one owner": _one_owner,
    "nobody waits in a ring": _no_deadlock,
    "nothing unheard": _nothing_unheard,
    "parked is what must be, once": _nothing_parked,
    "of each parked record the log tells": _parked_told,
    "the queue holds what is parked": _queue_of_parked,
    "amended orders go where they should": _as_amended,
    "projections equal their refold": _projections,
}
