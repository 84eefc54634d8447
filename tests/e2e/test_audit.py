"""The audit on real Kafka and PostgreSQL: database, topic and file agree, until somebody changes one."""

from pathlib import Path
from typing import Any

import orjson
import psycopg
import pytest

from libs.runtime.settings import settings
from tests.e2e.stacks import Stack, own_stack

pytestmark = pytest.mark.e2e
TENANT = "audited"
CHANGE = """
    UPDATE log SET payload = replace(payload::text, '"LON"', '"LIV"')::json
    WHERE lane = %s AND seq = %s AND origin = 'decided' RETURNING event_id"""
CUT = "DELETE FROM log WHERE lane = %s AND seq = %s AND origin = 'decided'"


def receive(stack: Stack, count: int) -> None:
    for number in range(count):
        stack.json("stock", "receive", f"MUG-{number % 3}", "LON", "5", "--tenant", TENANT)


def parts(stack: Stack, *arguments: str) -> dict[str, Any]:
    """Where a proof fails first."""
    result = stack.run("prove", "log", *arguments, "--json")
    assert result.returncode == 1, result.stderr
    told = orjson.loads(result.stdout.splitlines()[-1])
    assert told["ok"] is False
    first: dict[str, Any] = told["first"]
    return first


def test_what_is_changed_in_a_database_or_cut_off_it_is_named(tmp_path: Path) -> None:
    export = str(tmp_path / "inventory.ndjson.gz")
    place = ("--name", "London", "--country", "GB", "--lat", "51.5", "--lon", "-0.1")
    with own_stack() as stack:
        stack.json("nodes", "define", "LON", *place, "--tenant", TENANT)
        receive(stack, 4)
        stack.json("down")  # a graceful stop anchors what there is
        stack.json("up", timeout_seconds=300.0)
        receive(stack, 2)
        [inventory] = stack.json("prove", "log", "inventory")["stages"]
        anchored = {lane: one["anchored_up_to"] for lane, one in inventory["lanes"].items()}
        assert sum(anchored.values()) == 4, "what came before the stop"
        for one in inventory["lanes"].values():
            assert one["events"]["database"] == one["events"]["topic"]
            assert one["heads"]["database"] == one["heads"]["topic"]
        exported = stack.json("log", "export", "inventory", export)
        assert exported["events"] == 6
        assert stack.json("prove", "log", "--file", export, "--from", "topic", "--from", "database")["ok"]
        assert stack.json("prove", "no-oversell", "--file", export)["ok"]
        assert stack.json("prove", "log")["ok"], "every stage"
        lane = max(anchored, key=lambda at: anchored[at])
        last = inventory["lanes"][lane]["events"]["database"]
        with psycopg.connect(settings().dsn("inventory"), autocommit=True) as database:
            database.execute("ALTER TABLE log DISABLE TRIGGER log_append_only")
            [(event_id,)] = database.execute(CHANGE, (lane, 1)).fetchall()
            changed = parts(stack, "inventory")
            assert (changed["lane"], changed["sequence"]) == (int(lane), 1)
            assert (changed["event_id"], changed["kind"]) == (str(event_id), "differs")
            assert parts(stack, "inventory", "--from", "database")["kind"] == "anchor"
            assert parts(stack, "--file", export, "--from", "database")["sequence"] == 1
            assert stack.json("prove", "log", "inventory", "--from", "topic")["ok"], "the topic is as it was"
            database.execute(CUT, (lane, last))
            database.execute("UPDATE lane SET next_decided = %s WHERE lane = %s", (last, lane))
        cut = [at for at in all_parts(stack) if at["kind"] == "cut"]
        assert (cut[0]["lane"], cut[0]["sequence"], cut[0]["source"]) == (int(lane), last, "database")


def all_parts(stack: Stack) -> list[dict[str, Any]]:
    result = stack.run("prove", "log", "inventory", "--json")
    found: list[dict[str, Any]] = orjson.loads(result.stdout.splitlines()[-1])["stages"][0]["partings"]
    return found
