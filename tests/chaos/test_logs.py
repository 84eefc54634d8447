"""What is on the topics and in the logs: replayed from 0, poisoned, raised at, tampered with."""

import asyncio
import time
from collections.abc import Callable, Mapping

import asyncpg
import psycopg
import pytest

from libs.events.catalogue import encode
from libs.events.envelope import Envelope
from libs.events.ids import partition_key
from libs.events.intake import CancelOrder, OrderClosed, SubmitOrder
from libs.runtime import wire
from libs.runtime.digest import database_digest
from libs.runtime.kafka import KafkaPublisher
from libs.runtime.settings import STAGES, settings
from libs.runtime.stage import commands_topic, events_topic
from tests.chaos.conftest import Case
from tests.chaos.oracle import at_rest, stages
from tests.chaos.processes import Processes
from tests.chaos.shop import Shop, eventually, fetch
from tests.e2e.stacks import Stack
from tests.e2e.test_poison import PAYLOADS

pytestmark = pytest.mark.chaos
PLENTY = {"TEA": 1000, "BAD": 1000}
Headers = list[tuple[str, bytes]]


async def digests() -> dict[str, str]:
    """What each stage's database says, as one hash."""
    found = {}
    for stage in stages():
        connection = await asyncpg.connect(settings().dsn(stage.name))
        try:
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                found[stage.name] = await database_digest(connection, stage)
        finally:
            await connection.close()
    return found


def execute(stage: str, *statements: str) -> None:
    with psycopg.connect(settings().dsn(stage), autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


async def test_12_everything_is_read_again(case: Case, processes: Processes, chaos_stack: Stack) -> None:
    """replay from 0: identical digests"""
    async with case.shop(PLENTY | {"RARE": 20}) as shop:
        await shop.order_many([[("TEA", 1), ("RARE" if n % 2 else "BAD", 1)] for n in range(100)])
        await shop.served()
        await at_rest()
        before = await digests()
        await processes.stop(*STAGES)
        for stage in STAGES:
            execute(stage, "UPDATE consumed SET next_offset = 0")
            case.fault()
        await processes.up()
        await at_rest()
        case.recovered()
        assert await digests() == before
    for which in ("all", "console"):
        rebuilt = await asyncio.to_thread(
            chaos_stack.json, "rebuild", which, "--verify", timeout_seconds=240.0
        )
        assert rebuilt["match"] is True


def changed(name: str, value: bytes) -> Callable[[Headers], Headers]:
    return lambda headers: [(found, value if found == name else was) for found, was in headers]


def without(name: str) -> Callable[[Headers], Headers]:
    return lambda headers: [(found, was) for found, was in headers if found != name]


PARKED: Mapping[str, Callable[[Headers], Headers]] = {
    "no tenant": without("ce_tenant"),
    "no id": without("ce_id"),
    "another stream": changed("ce_subject", b"another"),
    "an endless version": changed("ce_typeversion", b"9" * 5000),
    "a time before time": changed("ce_time", b"0001-01-01T00:00:00+23:59"),
    "a NUL in a cause": changed("ce_causationid", b"\x00"),
    "not UTF-8": changed("ce_type", b"\xff\xfe"),
}
REFUSED: Mapping[str, Callable[[Headers], Headers]] = {
    "a newer version": changed("ce_typeversion", b"99"),
    "an unknown type": changed("ce_type", b"oms.intake.fly"),
}


async def poison(
    shop: Shop, publisher: KafkaPublisher, command: SubmitOrder, headers: Callable[[Headers], Headers],
    value: bytes | None = None,
) -> None:  # fmt: skip
    """Put an unusable record under the order's key."""
    id_ = shop.new_id()
    envelope: Envelope[SubmitOrder] = Envelope(
        id_, shop.tenant, command.stream, command, command.placed_at, "chaos", "", id_, id_, "chaos"
    )
    key = partition_key(shop.tenant, command.stream).encode()
    found = headers(list(wire.headers(envelope)))
    message = (key, encode(command) if value is None else value, found, int(time.time() * 1000))
    await publisher.send(commands_topic("intake"), shop.lane(command.stream), message)


async def test_16_poison_of_each_kind(case: Case, chaos_stack: Stack) -> None:
    """poison of each kind: refused by name or parked once, other keys go on"""
    publisher = KafkaPublisher(settings(), "chaos")
    [last] = await fetch("intake", "SELECT coalesce(max(id), 0) AS id FROM parked")
    async with case.shop(PLENTY) as shop:
        for headers in PARKED.values():
            command = shop.submission(str(len(shop.orders)), [("TEA", 1)])
            await poison(shop, publisher, command, headers)
            case.fault()
            await shop.order([("TEA", 1)])
        refused: list[tuple[Callable[[Headers], Headers], bytes | None]] = [
            *((headers, None) for headers in REFUSED.values()),
            *((without("nothing"), value) for value, _ in PAYLOADS.values()),
        ]
        for number, (headers, value) in enumerate(refused):
            other = shop.submission(f"refused-{number}", [("TEA", 1)])
            await poison(shop, publisher, other, headers, value)
            case.fault()
        await publisher.stop()
        await shop.order_many([[("TEA", 1)]] * 50)
        await shop.served()
        await shop.until(lambda: shop.count_refused("intake"), len(refused))
        rows = await fetch("intake", _PARKED_SINCE, last["id"])
        assert [(row["code"], row["state"]) for row in rows] == [("bad_headers", "parked")] * len(PARKED)
        assert len({row["key"] for row in rows}) == len(PARKED), "each under a key of its own"
        for row in rows:
            await asyncio.to_thread(chaos_stack.json, "parked", "discard", f"intake:{row['id']}")


_PARKED_SINCE = "SELECT id, key, code, state FROM parked WHERE id > $1 ORDER BY id"
_PARKED = 'SELECT id, "offset", code, state FROM parked WHERE key = $1 ORDER BY id'


_RAISES = """
    CREATE FUNCTION raises() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF NEW.payload::text LIKE '%"BAD"%' THEN RAISE EXCEPTION 'on purpose'; END IF; RETURN NEW; END $$;
    CREATE TRIGGER raises BEFORE INSERT ON log FOR EACH ROW EXECUTE FUNCTION raises();
    CREATE FUNCTION parks_nothing() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'nor this'; END $$;
    CREATE TRIGGER parks_nothing BEFORE INSERT ON parked FOR EACH ROW EXECUTE FUNCTION parks_nothing()"""
_PARKS = "DROP TRIGGER parks_nothing ON parked; DROP FUNCTION parks_nothing()"
_RAISES_NO_MORE = "DROP TRIGGER raises ON log; DROP FUNCTION raises()"
_OFFSET = "SELECT next_offset FROM consumed WHERE topic = $1 AND partition = $2"


async def test_17_a_decision_that_raises(case: Case, processes: Processes, chaos_stack: Stack) -> None:
    """a handler that raises in a batch: the offset stays; its key is parked once and in order"""
    async with case.shop(PLENTY) as shop:
        await at_rest()
        await asyncio.to_thread(execute, "inventory", _RAISES)
        case.fault()
        bad = await shop.order([("BAD", 1)])
        place = (events_topic("intake"), shop.lane(bad))
        [before] = await fetch("inventory", _OFFSET, *place)
        for times in (1, 3):
            await processes.tells("inventory", times, "batch failed, it waits")
            [now] = await fetch("inventory", _OFFSET, *place)
            assert now == before, "nothing was passed over"
        await shop.order_many([[("TEA", 1)]] * 40)
        await asyncio.to_thread(execute, "inventory", _PARKS)
        await shop.served(40)
        key = partition_key(shop.tenant, bad)
        await shop.send("intake", CancelOrder(order_id=bad))
        await shop.until(lambda: _parked_under(key), 2)
        rows = await fetch("inventory", _PARKED, key)
        assert [(row["code"], row["state"]) for row in rows] == [("failed", "parked"), ("queued", "queued")]
        await asyncio.to_thread(execute, "inventory", _RAISES_NO_MORE)
        case.fault(0)
        name = f"inventory:{rows[0]['id']}"
        await asyncio.to_thread(chaos_stack.json, "parked", "replay", name)


async def _parked_under(key: str) -> int:
    return len(await fetch("inventory", _PARKED, key))


_RESERVED = """
    SELECT lane, seq, payload::text AS payload FROM log
    WHERE tenant = $1 AND origin = 'decided' AND type = 'oms.inventory.stock_reserved' LIMIT 1"""


async def test_20_a_tampered_row_and_a_skipped_sequence(
    case: Case, processes: Processes, chaos_stack: Stack
) -> None:
    """a tampered log row: its lane halts until it is put right; a skipped sequence: its lane halts"""
    async with case.shop(PLENTY) as shop:
        await shop.order_many([[("TEA", 1)]] * 20)
        await shop.served()
        await at_rest()
        [row] = await fetch("inventory", _RESERVED, shop.tenant)
        with pytest.raises(psycopg.errors.RaiseException, match="append-only"):
            await asyncio.to_thread(execute, "inventory", "UPDATE log SET tenant = 'x'")
        await processes.stop("inventory")  # which anchors what there is
        _write(row, row["payload"].replace('"quantity":1', '"quantity":9'))
        case.fault()
        assert any("oms.inventory.events" in found for found in await case.books_anew().differences())
        done = await asyncio.to_thread(chaos_stack.run, "rebuild", "inventory", "--verify")
        assert done.returncode == 1, done.stdout + done.stderr
        at_once = {"ORDERLOG_SCRUB_SHARE": "1"}
        async with processes.child("inventory", settings().postgres_port, **at_once) as child:
            says = f"of lane {row['lane']} was changed since it was published"
            await eventually(lambda: child.has_logged(says), "the lane is halted")
            await shop.order_many([[("TEA", 1)]] * 20)
            _write(row, row["payload"])
            await eventually(lambda: child.has_logged("halted lane is tried again"), "it is taken up again")
            await shop.served()
        await processes.up()
        done = await asyncio.to_thread(chaos_stack.run, "rebuild", "inventory", "--verify")
        assert done.returncode == 0, done.stdout + done.stderr
    case.also(await _skip(case, processes))


def _write(row: asyncpg.Record, payload: str) -> None:
    """Change a row as somebody with the owner's rights could."""
    with psycopg.connect(settings().dsn("inventory")) as connection:
        connection.execute("ALTER TABLE log DISABLE TRIGGER log_append_only")
        connection.execute(
            "UPDATE log SET payload = %s WHERE lane = %s AND origin = 'decided' AND seq = %s",
            (payload, row["lane"], row["seq"]),
        )
        connection.execute("ALTER TABLE log ENABLE TRIGGER log_append_only")


async def _skip(case: Case, processes: Processes) -> int:
    """Publish an event of intake whose predecessor never was: the lane stays halted, nobody orders after.
    How many orders got through all the same: those of other lanes, and what was through before."""
    shop, publisher = Shop(PLENTY), KafkaPublisher(settings(), "chaos")
    try:
        await shop.open()
        order = await shop.order([("TEA", 1)])
        await shop.served()
        await at_rest()
        lane = shop.lane(order)
        [last] = await fetch("intake", _LAST, lane)
        accepted = shop.submission("0", [("TEA", 1)])
        id_ = shop.new_id()
        closed = OrderClosed(order_id=order, outcome="delivered")
        event: Envelope[OrderClosed] = Envelope(
            id_, shop.tenant, order, closed, accepted.placed_at, "", "", id_, id_, "orderlog/intake",
            lane, last["seq"] + 2,
        )  # fmt: skip
        message = (partition_key(shop.tenant, order).encode(), encode(closed), wire.headers(event), 1)
        await publisher.send(events_topic("intake"), lane, message)
        case.fault()
        await processes.halts("inventory", lane, "a hole")
        await shop.order_many([[("TEA", 1)]] * 39)
        elsewhere = sum(shop.lane(id_) != lane for id_ in shop.orders)
        await shop.served(elsewhere + 1)
        case.recovered()
        return elsewhere + 1
    finally:
        await shop.close()
        await publisher.stop()


_LAST = "SELECT next_decided - 1 AS seq FROM lane WHERE lane = $1"
