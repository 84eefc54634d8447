"""What must hold of every world that has come to rest, whatever happened in it."""

from collections import Counter, defaultdict
from collections.abc import Coroutine
from typing import cast

from libs.events.catalogue import decode
from libs.events.contract import Event
from libs.events.fulfillment import FulfillmentReleased
from libs.events.intake import OrderAccepted, OrderClosed
from libs.events.inventory import NETWORK, SOURCES
from libs.runtime.audit import DATABASE, TOPIC, Audit, Known, Lane, audit
from libs.runtime.audit_stage import anchor_known, database_rows, each_once, topic_rows
from libs.runtime.digest import memory_digest
from libs.runtime.log import LogRow, Mark
from libs.runtime.memory_log import MemoryLog
from libs.runtime.refold import Missing, Refold
from libs.runtime.replay_order import Causes, LaneOrder, LaneStand, own_context
from libs.runtime.stage import ANCHORS_TOPIC, Stage
from libs.runtime.wire import Record
from services.inventory.ledger import movements
from services.inventory.stock import AnyMovement
from tests.flow.world import STAGES, TENANT, World


def check(world: World, *, all_closed: bool = True) -> None:
    """Every guarantee that can be read off the logs: ledger, lanes, topics, terminal states."""
    ledger_holds(world)
    no_event_has_anothers_id(world)
    topics_are_the_logs(world)
    chains_are_one(world)
    snapshots_are_the_folds(world)
    topics_rebuild_the_logs(world)
    accepted = [event.order_id for event in world.events(OrderAccepted) if isinstance(event, OrderAccepted)]
    closed = Counter(event.order_id for event in world.events(OrderClosed) if isinstance(event, OrderClosed))
    assert len(accepted) == len(set(accepted)), "an order was accepted twice"
    assert all(count == 1 for count in closed.values()), "an order was closed twice"
    if all_closed:
        assert set(accepted) <= set(closed), "an accepted order is still open"
    released = [
        event.fulfillment_order_id
        for event in world.events(FulfillmentReleased)
        if isinstance(event, FulfillmentReleased)
    ]
    assert len(released) == len(set(released)), "work was released twice"


def no_event_has_anothers_id(world: World) -> None:
    """Ids are unique over all stages."""
    ids = Counter(row.event_id for stage in STAGES for row in _decided(world, stage.name))
    assert not [id_ for id_, count in ids.items() if count > 1], "events share an id"


def balances(world: World, tenant: str = TENANT) -> dict[tuple[str, str, str], int]:
    """(sku, node, bucket) → units, from the movements in inventory's log."""
    sums: dict[tuple[str, str, str], int] = defaultdict(int)
    for row in _decided(world, "inventory"):
        if row.tenant == tenant:
            for movement in _movements(row):
                sums[movement.sku, movement.node, movement.source] -= movement.quantity
                sums[movement.sku, movement.node, movement.target] += movement.quantity
    return {key: units for key, units in sums.items() if units}


def ledger_holds(world: World) -> None:
    """No bucket below zero at any position of any SKU; positions without a gap; sums equal balances."""
    by_sku: dict[tuple[str, str], list[tuple[int, str, str, str, int]]] = defaultdict(list)
    for row in _decided(world, "inventory"):
        for move in _movements(row):
            entry = (move.position, move.node, move.source, move.target, move.quantity)
            by_sku[row.tenant, move.sku].append(entry)
    sums: dict[tuple[object, ...], int] = {}
    for (tenant, sku), moves in by_sku.items():
        moves.sort()
        assert [move[0] for move in moves] == list(range(1, len(moves) + 1)), f"{sku}: positions have a gap"
        held: dict[tuple[str, str], int] = defaultdict(int)
        for position, node, source, target, quantity in moves:
            held[node, source] -= quantity
            held[node, target] += quantity
            covered = source in SOURCES or held[node, source] >= 0
            assert covered, f"{sku}: {source} below zero at {position}"
        on_hand = sum(units for (_, bucket), units in held.items() if bucket == "on_hand")
        promised = held[NETWORK, "reserved"] + held[NETWORK, "held"]
        assert promised <= on_hand, f"{sku}: more promised than there is"
        sums |= {
            (tenant, sku, node, bucket): units
            for (node, bucket), units in held.items()
            if units and bucket not in SOURCES
        }
    stored = world.logs["inventory"].table_sums.get("balance", {})
    assert {key: row[0] for key, row in stored.items() if row[0]} == sums, "balances are not their sums"


def topics_are_the_logs(world: World) -> None:
    """Each lane's records, repeats dropped, are the decided rows of its log: in order, without a gap."""
    for stage in STAGES:
        log = world.logs[stage.name]
        seen: dict[int, list[bytes]] = defaultdict(list)
        for record in world.broker.all(stage.topic):
            sequence = int(dict(record.headers)["ce_sequence"])
            assert sequence <= len(seen[record.partition]) + 1, "the topic has a hole"
            if sequence == len(seen[record.partition]) + 1:
                seen[record.partition].append(record.value or b"")
        for lane in range(world.broker.partitions):
            logged = [row.payload for row in log.rows.get((lane, "decided"), [])]
            assert seen[lane] == logged, f"{stage.name} lane {lane}: topic and log differ"


def chains_are_one(world: World) -> None:
    """Each lane's hash chain is the same from its log and from its topic, and leads to every head that was
    stored or anchored."""
    for stage in STAGES:
        found = _at_once(audit(stage.name, _to_audit(world, stage)))
        assert not found.partings, f"{stage.name}: {found.partings[0]}"


def _to_audit(world: World, stage: Stage) -> dict[int, Lane]:
    log = world.logs[stage.name]

    async def read(topic: str, partition: int, offset: int) -> list[Record]:
        return world.broker.read((topic, partition), offset, 1_000)

    lanes = {}
    for lane in range(world.broker.partitions):
        mark, end = log.marks.get(lane, Mark(0)), len(log.rows.get((lane, "decided"), ()))
        known = [Known(mark.chained, mark.head, "relay")] if mark.chained else []
        known += [Known(one.seq, one.head, "table") for one in log.anchors.values() if one.lane == lane]
        for record in world.broker.read((ANCHORS_TOPIC, lane), 0, 1_000_000):
            if (anchor := anchor_known(stage, lane, record.value)) is not None:
                known.append(anchor)
        rows = {
            DATABASE: database_rows(log, stage, lane, end),
            TOPIC: topic_rows(
                stage, read, lane, len(world.broker.read((stage.topic, lane), 0, 1_000_000)), [0]
            ),
        }
        at_least = {DATABASE: (end, "lane"), TOPIC: (mark.published, "relay")}
        lanes[lane] = Lane(rows, each_once(known), at_least)
    return lanes


def _at_once(audit_: Coroutine[None, None, Audit]) -> Audit:
    """What a coroutine over memory comes to: it has nothing to wait for."""
    try:
        audit_.send(None)
    except StopIteration as over:
        return cast(Audit, over.value)
    raise AssertionError("it waits for something")


def snapshots_are_the_folds(world: World) -> None:
    """Each stored part is what folding the stage's own log makes of nothing."""
    for stage in STAGES:
        parts: dict[str, object] = {}
        for row in in_stream_order(world, stage.name):
            home = f"{row.tenant}/{row.stream}"
            event = decode(row.type, row.version, row.payload)
            if stage.single:
                parts[home] = stage.evolve(parts.get(home, stage.empty(row.stream)), event)  # type: ignore[arg-type]
        for key, snapshot in world.logs[stage.name].parts.items():
            if stage.single and snapshot.part:
                stored = stage.adapter(key.partition("/")[2]).validate_json(snapshot.part)
                assert stored == parts[key], f"{stage.name} {key}: the snapshot is not the fold"


def topics_rebuild_the_logs(world: World) -> None:
    """Folding a stage's topics from nothing gives its parts, its tables, its digest."""
    for stage in STAGES:
        live, rebuilt = world.logs[stage.name], rebuilt_log(world, stage)
        assert _parts(stage, live) == _parts(stage, rebuilt), f"{stage.name}: the parts are not the fold"
        for table in stage.sum_tables:
            assert live.table_sums.get(table) == rebuilt.table_sums.get(table), f"{table} is not the fold"
        assert memory_digest(live, stage) == memory_digest(rebuilt, stage), f"{stage.name}: digests differ"


def stands(world: World, stage: Stage) -> dict[int, LaneStand]:
    """How far each lane of a stage has come."""
    log = world.logs[stage.name]
    return {
        lane: LaneStand(
            len(log.rows.get((lane, "decided"), ())),
            {topic: at for (topic, number), at in log.consumed.items() if number == lane},
            {(row.topic, row.offset): row.state for row in log.parked_rows if row.partition == lane},
        )
        for lane in range(world.broker.partitions)
    }


def rebuilt_log(world: World, stage: Stage) -> MemoryLog:
    """A log folded from the broker's topics, up to where the stage stands."""
    orders = []
    for lane, stand in stands(world, stage).items():
        own = world.broker.read((stage.topic, lane), 0, 1_000_000)
        causes = Causes()
        for record in own:
            found = own_context(stage, record)
            if found is not None and len(causes) < found.sequence <= stand.last_decided:
                causes.add(found.id, found.causation_id)
        causes.seal()
        order = LaneOrder(stage, lane, stand, causes)
        for topic in (stage.topic, *stand.offsets):
            for record in world.broker.read((topic, lane), 0, 1_000_000):
                order.offer(record)
        orders.append(order)
    refold = Refold(stage, orders, world.lane_of)
    while not refold.done:
        try:
            assert not refold.advance(1_000_000), "all topics were offered whole"
        except Missing as missing:
            refold.give(missing.keys, {})
    writes, log = refold.finish(forget=True), MemoryLog()
    for row in writes.rows:
        log.rows.setdefault((row.lane, row.origin), []).append(row)
    log.parts = {key: snapshot for key, (_, snapshot) in writes.parts.items()}
    log.table_rows, log.table_sums = writes.table_rows, writes.table_sums
    return log


def _parts(stage: Stage, log: MemoryLog) -> dict[str, object]:
    return {
        key: stage.adapter(key.partition("/")[2]).validate_json(snapshot.part)
        for key, snapshot in log.parts.items()
        if snapshot.part
    }


def in_stream_order(world: World, stage: str) -> list[LogRow]:
    """All rows of a stage's log, both origins, each stream's in its order."""
    rows = [row for lane in world.logs[stage].rows.values() for row in lane]
    return sorted(rows, key=lambda row: (row.tenant, row.stream, row.stream_version))


def _decided(world: World, stage: str) -> list[LogRow]:
    return [row for row in in_stream_order(world, stage) if row.origin == "decided"]


def _movements(row: LogRow) -> tuple[AnyMovement, ...]:
    event = decode(row.type, row.version, row.payload)
    assert isinstance(event, Event)
    return tuple(movements(event))
