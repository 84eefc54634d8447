"""Checks that no switch of `tests.sim.sabotage` is seen by first can fail, too: runs, changed by hand."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count
from random import Random

import orjson
import pytest

from libs.events.amendments import OrderAmended
from libs.events.fulfillment import FulfillmentReleased
from libs.events.inventory import StockReceived
from libs.runtime.log import LogRow
from tests.flow.world import TENANT
from tests.sim.loop import SimLoop
from tests.sim.process import Process
from tests.sim.run import simulate
from tests.sim.verdict import violations
from tests.sim.world import LANES, Plan, Scene

Change = Callable[[Scene], None]
BALANCE = (TENANT, "TEA", "LON", "on_hand")


def scene_of(seed: int) -> Scene:
    """A seed without a fault, at rest."""
    plan = Plan(seed, faults_most=0)
    loop = SimLoop(Random(f"steps {seed}"))  # type: ignore[abstract]  # what has no use here is missing
    scene = Scene(plan, loop)
    loop.run(scene.play(), 86_400.0, 1_000_000)
    loop.end()
    return scene


@pytest.fixture
def scene() -> Scene:
    found = scene_of(3)
    assert violations(found) == []
    return found


def rows_of(scene: Scene, stage: str, type_: str) -> Iterator[tuple[list[LogRow], int, LogRow]]:
    """A stage's decided rows of a type, each with the list that holds it and its place there."""
    for lane in range(LANES):
        held = scene.databases[stage].rows.get((lane, "decided"), [])
        yield from ((held, place, row) for place, row in enumerate(held) if row.type == type_)


def told_otherwise(row: LogRow, **changed: object) -> LogRow:
    return replace(row, payload=orjson.dumps(orjson.loads(row.payload) | changed))


def a_balance_drifts(scene: Scene) -> None:
    scene.databases["inventory"].table_sums["balance"][BALANCE][0] += 1


def a_balance_comes_from_nowhere(scene: Scene) -> None:
    scene.databases["inventory"].table_sums["balance"][TENANT, "TEA", "LON", "damaged"] = [1]


def less_was_received(scene: Scene) -> None:
    """Of what was taken out later."""
    for held, place, row in rows_of(scene, "inventory", StockReceived.TYPE):
        [movement] = orjson.loads(row.payload)["movements"]
        held[place] = told_otherwise(row, movements=[movement | {"quantity": 1}])


def a_movement_is_missing(scene: Scene) -> None:
    held, place, _ = next(rows_of(scene, "inventory", StockReceived.TYPE))
    del held[place]


def records_change_places(scene: Scene) -> None:
    records = scene.broker._records["oms.inventory.events", 0]
    first, second = records[:2]
    records[:2] = replace(second, offset=0), replace(first, offset=1)


def a_record_is_gone(scene: Scene) -> None:
    records = next(of for (topic, _), of in scene.broker._records.items() if topic == "oms.intake.events")
    del records[-1]


def a_record_says_something_else(scene: Scene) -> None:
    records = scene.broker._records["oms.routing.events", 0]
    records[0] = replace(records[0], value=b"{}")


def log_and_topic_are_changed_alike(scene: Scene) -> None:
    """By somebody who may write to both, and not to what was anchored."""
    held, place, row = next(rows_of(scene, "inventory", StockReceived.TYPE))
    held[place] = told_otherwise(row, node="DUB")
    records = scene.broker._records["oms.inventory.events", row.lane]
    for at, record in enumerate(records):
        if dict(record.headers)["ce_sequence"] == str(row.seq).encode():
            records[at] = replace(record, value=held[place].payload)


def an_event_was_not_heard(scene: Scene) -> None:
    marks = scene.databases["routing"]._high_water
    lane = next(lane for source, lane in marks if source == "orderlog/inventory")
    marks["orderlog/inventory", lane] -= 1


CHANGES: dict[Change, tuple[str, str]] = {
    a_balance_drifts: ("the ledger holds", "not their sums"),
    a_balance_comes_from_nowhere: ("the ledger holds", "not their sums"),
    less_was_received: ("the ledger holds", "below zero at"),
    a_movement_is_missing: ("the ledger holds", "positions have a gap"),
    records_change_places: ("topics are the logs", "has a hole"),
    a_record_is_gone: ("topics are the logs", "topic and log differ"),
    a_record_says_something_else: ("topics are the logs", "topic and log differ"),
    log_and_topic_are_changed_alike: ("hash chains are one", "inventory"),
    an_event_was_not_heard: ("nothing unheard", "routing heard inventory"),
}


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_a_check_sees_what_it_is_for(scene: Scene, change: Change) -> None:
    guarantee, why = CHANGES[change]
    change(scene)
    assert [one for one in violations(scene) if one.guarantee == guarantee and why in one.message]


def test_work_released_by_the_terms_of_before_is_seen() -> None:
    for scene in map(scene_of, count()):
        released = {row.stream for _, _, row in rows_of(scene, "fulfillment", FulfillmentReleased.TYPE)}
        amended = [
            found for found in rows_of(scene, "fulfillment", OrderAmended.TYPE) if found[2].stream in released
        ]
        if amended:
            break
    assert violations(scene) == []
    for held, place, row in amended:
        held[place] = told_otherwise(row, service="overnight")
    assert "amended orders go where they should" in {found.guarantee for found in violations(scene)}


def test_a_process_whose_task_ends_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Though all else comes to its end without it: the timers of a second owner, say."""
    working, started = Process._keep_working, count()

    async def works(process: Process) -> None:
        if next(started) == 2:
            raise KeyError("unforeseen")
        await working(process)

    monkeypatch.setattr(Process, "_keep_working", works)
    [found] = simulate(Plan(3, orders=1, faults_most=0)).violations
    assert found == ("no task ends by an exception", "KeyError('unforeseen')")
