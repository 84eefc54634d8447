"""The audit on real Kafka and PostgreSQL: database, topic and file agree, until somebody changes one."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson
import psycopg
import pytest

from libs.runtime.settings import settings
from tests.e2e.stacks import Stack
from tests.e2e.test_recover import stop
from tests.e2e.test_replicas import ends_of

pytestmark = pytest.mark.e2e
OURS = "SELECT min(seq) FROM log WHERE lane = %s AND tenant = %s AND origin = 'decided'"
LANE = "SELECT lane FROM log WHERE tenant = %s AND stream = 'sku/MUG-0' AND origin = 'decided' LIMIT 1"
CHANGE = """
    UPDATE log SET payload = replace(payload::text, '"LON"', '"LIV"')::json
    WHERE lane = %s AND seq = %s AND origin = 'decided' RETURNING event_id"""
KEPT = "CREATE TEMP TABLE kept AS SELECT * FROM log WHERE lane = %s AND seq >= %s AND origin = 'decided'"
CUT = "DELETE FROM log WHERE lane = %s AND seq >= %s AND origin = 'decided'"
ENDS_AT = "UPDATE lane SET next_decided = %s WHERE lane = %s"


def receive(stack: Stack, tenant: str, count: int) -> None:
    deliveries = [("stock", "receive", f"MUG-{number % 3}", "LON", "5") for number in range(count)]
    stack.each(*deliveries, tenant=tenant)


def parts(stack: Stack, *arguments: str) -> dict[str, Any]:
    """Where a proof fails first."""
    result = stack.run("prove", "log", *arguments, "--json")
    assert result.returncode == 1, result.stderr
    told = orjson.loads(result.stdout.splitlines()[-1])
    assert told["ok"] is False
    first: dict[str, Any] = told["first"]
    return first


@contextmanager
def put_back(lane: int, seq: int, last: int) -> Iterator["psycopg.Connection[Any]"]:
    """Inventory's database as its owner, who may change what is append-only; in the end the lane is what it
    was, from `seq` to `last`."""
    with psycopg.connect(settings().dsn("inventory"), autocommit=True) as database:
        database.execute(KEPT, (lane, seq))
        database.execute("ALTER TABLE log DISABLE TRIGGER log_append_only")
        try:
            yield database
        finally:
            database.execute(CUT, (lane, seq))
            database.execute("INSERT INTO log SELECT * FROM kept")
            database.execute(ENDS_AT, (last + 1, lane))
            database.execute("ALTER TABLE log ENABLE TRIGGER log_append_only")


def test_what_is_changed_in_a_database_or_cut_off_it_is_named(stack: Stack, tmp_path: Path) -> None:
    export, tenant = str(tmp_path / "inventory.ndjson.gz"), f"audited-{uuid4().hex[:8]}"
    place = ("--name", "London", "--country", "GB", "--lat", "51.5", "--lon", "-0.1")
    stack.json("nodes", "define", "LON", *place, "--tenant", tenant)
    try:
        receive(stack, tenant, 4)
        before = ends_of("inventory")
        stop(stack, ["inventory"])  # which anchors what there is
        stack.json("up")
        receive(stack, tenant, 2)
        [inventory] = stack.json("prove", "log", "inventory")["stages"]
        for lane, one in inventory["lanes"].items():
            assert one["anchored_up_to"] >= before[int(lane)], "what came before the stop"
            assert one["events"]["database"] == one["events"]["topic"]
            assert one["heads"]["database"] == one["heads"]["topic"]
        ends = ends_of("inventory")
        assert sum(ends.values()) >= sum(before.values()) + 2
        exported = stack.json("log", "export", "inventory", export)
        assert exported["events"] == sum(ends.values())
        assert stack.json("prove", "log", "--file", export, "--from", "topic", "--from", "database")["ok"]
        assert stack.json("prove", "no-oversell", "--file", export)["ok"]
        assert stack.json("prove", "log")["ok"], "every stage"
        stop(stack, ["inventory"])  # nobody is to decide anything in a lane whose end is cut off
        is_named(stack, export, tenant)
        assert stack.json("prove", "log", "inventory")["ok"], "it is again what it was"
    finally:
        stack.json("up")


def is_named(stack: Stack, export: str, tenant: str) -> None:
    with psycopg.connect(settings().dsn("inventory")) as database:
        [(lane,)] = database.execute(LANE, (tenant,)).fetchall()
        [(seq,)] = database.execute(OURS, (lane, tenant)).fetchall()
    last = ends_of("inventory")[lane]
    assert seq < last, "it was received again"
    with put_back(lane, seq, last) as database:
        [(event_id,)] = database.execute(CHANGE, (lane, seq)).fetchall()
        changed = parts(stack, "inventory")
        assert (changed["lane"], changed["sequence"]) == (lane, seq)
        assert (changed["event_id"], changed["kind"]) == (str(event_id), "differs")
        assert parts(stack, "inventory", "--from", "database")["kind"] == "anchor"
        assert parts(stack, "--file", export, "--from", "database")["sequence"] == seq
        assert stack.json("prove", "log", "inventory", "--from", "topic")["ok"], "the topic is as it was"
        database.execute(CUT, (lane, last))
        database.execute(ENDS_AT, (last, lane))
        cut = [at for at in all_parts(stack) if at["kind"] == "cut"]
        assert (cut[0]["lane"], cut[0]["sequence"], cut[0]["source"]) == (lane, last, "database")


def all_parts(stack: Stack) -> list[dict[str, Any]]:
    result = stack.run("prove", "log", "inventory", "--json")
    found: list[dict[str, Any]] = orjson.loads(result.stdout.splitlines()[-1])["stages"][0]["partings"]
    return found
