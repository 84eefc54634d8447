"""The proof that queues are served in their order: what it finds where inventory would do otherwise, and that
it takes no offence at what terms, policies and older logs explain."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import orjson
import pytest
from typer.testing import CliRunner

from cli.main import app
from libs.events.intake import OrderAccepted
from libs.events.policy import STANDARD_RANK, DefineReservationPolicies, PolicyRule, PriorityClass
from libs.events.promise import DefinePromiseTerms, Share
from libs.runtime.audit import Published
from libs.runtime.log_file import LogFileWriter, writing
from services.inventory import queue, queue_changes
from services.inventory.proof import prove
from services.inventory.queue import Claim, Claimed, Turns
from services.inventory.stock import SkuPart
from tests.unit.inventory_logs import violation
from tests.unit.inventory_trade import accepted, adjust, cancelled, hold, line, receive, routed
from tests.unit.inventory_world import Logged, World
from tests.unit.test_inventory_policies import settle, take

CLASSES = (PriorityClass(name="express", rank=10), PriorityClass(name="bulk", rank=70, step_days=1))
IN_LINE = queue.in_line


def orders_of_reading(log: Sequence[Logged]) -> Iterable[Sequence[Logged]]:
    """A log as it was recorded, and lane by lane, from either end."""
    yield log
    yield sorted(log, key=lambda row: (row.lane, row.seq))
    yield sorted(log, key=lambda row: (-row.lane, row.seq))


def found(world: World) -> str:
    """What the proof says is wrong, in whatever order the log is read."""
    [says] = {violation(prove(rows)) for rows in orders_of_reading(world.log)}
    return says


def holds(world: World) -> None:
    for rows in orders_of_reading(world.log):
        proof = prove(rows)
        assert proof.holds, proof.violation


def shop(*rules: PolicyRule) -> World:
    world = World()
    world.take(DefineReservationPolicies(classes=CLASSES, rules=rules))
    return world


def of(order: OrderAccepted, **more: str) -> OrderAccepted:
    return order.model_copy(update=more)


# Mistakes that inventory could make


def youngest_first(claims: Iterable[tuple[str, Claim]], turns: Turns) -> Sequence[tuple[str, Claim]]:
    return [*reversed(IN_LINE(claims, turns))]


def by_age(holder: str, claim: Claimed, turns: Turns) -> tuple[int, datetime, str]:
    assert claim.since is not None
    return STANDARD_RANK, datetime.fromisoformat(claim.since), holder


def all_that_is_free(part: SkuPart, *_: object, **__: object) -> int:
    return part.free


def test_units_that_came_go_to_the_oldest_first(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    take(world, accepted("old", ("A", 2)), accepted("young", ("A", 2)), receive("A", 1))
    holds(world)
    monkeypatch.setattr(queue, "in_line", youngest_first)
    take(world, receive("A", 2))
    assert found(world) == (
        "gives 2 units of A to order young before order old, which lacks 1 and could have had 1"
    )


def test_a_class_goes_before_age(monkeypatch: pytest.MonkeyPatch) -> None:
    world = shop(PolicyRule(service="express", priority="express"))
    take(world, accepted("slow", ("A", 2)), of(accepted("fast", ("A", 2)), service="express"))
    take(world, receive("A", 1))
    holds(world)
    monkeypatch.setattr(queue, "place", by_age)
    take(world, receive("A", 1))
    assert found(world) == (
        "gives 1 units of A to order slow before order fast, which lacks 1 and could have had 1"
    )


def test_with_days_of_waiting_an_order_stands_before_those_of_better_ranks() -> None:
    world = shop(PolicyRule(service="slow", priority="bulk"))
    take(world, of(accepted("bulk", ("A", 1)), service="slow"))
    world.now = world.now.replace(day=world.now.day + 21)  # twenty ranks, a day each
    take(world, accepted("plain", ("A", 1)), receive("A", 1))
    part = world.parts["sku/A"]
    assert isinstance(part, SkuPart)
    assert part.claims["bulk"].held == 1
    holds(world)


def test_a_new_order_takes_no_units_that_somebody_waits_for(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    take(world, receive("A", 2), accepted("first", ("A", 2)), accepted("second", ("A", 2)))
    world.take(cancelled("first", line(1, "A", 2)))
    monkeypatch.setattr(SkuPart, "claimable", all_that_is_free)
    world.take(accepted("third", ("A", 1)))
    says = "before order second, which lacks 2 and could have had 2"
    assert found(world) == f"promises 1 units of A to order third {says}"


def test_a_basket_takes_no_units_that_somebody_waits_for(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    take(world, receive("A", 2), accepted("first", ("A", 2)), accepted("second", ("A", 2)))
    world.take(cancelled("first", line(1, "A", 2)))
    monkeypatch.setattr(SkuPart, "claimable", all_that_is_free)
    world.take(hold("b", ("A", 1)))
    says = "before order second, which lacks 2 and could have had 2"
    assert found(world) == f"holds 1 units of A for a basket {says}"


@pytest.mark.parametrize("then", ["waits on", "is served", "gives up"])
def test_who_waits_is_not_overlooked(monkeypatch: pytest.MonkeyPatch, then: str) -> None:
    """The event that takes the units says nothing of a queue, as though there were none."""
    world = World()
    take(world, receive("A", 2), accepted("first", ("A", 2)), accepted("second", ("A", 2), ("B", 1)))
    world.take(cancelled("first", line(1, "A", 2)))
    with monkeypatch.context() as mistaken:
        mistaken.setattr(SkuPart, "claimable", all_that_is_free)
        mistaken.setattr(queue_changes, "_somebody_waits", lambda _: False)
        world.take(accepted("third", ("A", 1)))
    if then == "is served":
        settle(world)
    if then == "gives up":
        world.take(cancelled("second", line(1, "A", 2), line(2, "B", 1)))
    assert found(world) == "takes units of A as though nobody waited; order second lacks 2"


def test_units_that_are_gone_were_promised_to_the_youngest(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    take(world, receive("A", 4), accepted("old", ("A", 2)), accepted("young", ("A", 2)), adjust("A", -1))
    holds(world)
    monkeypatch.setattr(queue, "in_line", youngest_first)
    world.take(adjust("A", -1))
    assert found(world) == (
        "takes units of A from order old; order young, behind it in the queue, keeps its own"
    )


def test_promised_units_go_to_whom_the_policy_lets_have_them() -> None:
    world = shop(PolicyRule(service="express", priority="express", reallocates=True))
    take(world, receive("A", 2), accepted("plain", ("A", 2)))
    take(world, of(accepted("fast", ("A", 1)), service="express"))
    holds(world)
    for number, row in enumerate(world.log):
        payload = orjson.loads(row.payload)
        if "policy" in payload:
            payload["policy"]["reallocates"] = False
            world.log[number] = replace(row, payload=orjson.dumps(payload))
    assert found(world) == (
        "gives 1 promised units of A to order fast, whose policy does not let it have them"
    )


# What explains that somebody behind is served


def test_what_the_terms_keep_from_one_channel_another_may_have() -> None:
    world = World()
    take(world, DefinePromiseTerms(sku="A", shares=(Share(channel="web", units=2),)))
    take(world, of(accepted("till", ("A", 1)), channel="pos"), of(accepted("site", ("A", 3)), channel="web"))
    take(world, receive("A", 2))
    part = world.parts["sku/A"]
    assert isinstance(part, SkuPart)
    assert (part.claims["till"].held, part.claims["site"].held) == (0, 2), "the older one is passed over"
    holds(world)
    take(world, DefinePromiseTerms(sku="A"), receive("A", 1))
    assert part.claims.keys() == {"till", "site"}
    holds(world)


def test_terms_explain_only_what_they_say() -> None:
    """The same life as above, with terms that keep nothing."""
    world = World()
    take(world, DefinePromiseTerms(sku="A", shares=(Share(channel="web", units=2),)))
    take(world, of(accepted("till", ("A", 1)), channel="pos"), of(accepted("site", ("A", 3)), channel="web"))
    take(world, receive("A", 2))
    world.log = [without(row, "shares") if row.type.endswith("terms_defined") else row for row in world.log]
    assert found(world) == (
        "gives 2 units of A to order site before order till, which lacks 1 and could have had 1"
    )


def test_who_wants_all_or_nothing_is_passed_over_while_others_lack() -> None:
    world = shop(PolicyRule(service="slow", policy="all_or_nothing"))
    take(world, of(accepted("whole", ("A", 2), ("B", 1)), service="slow"), accepted("young", ("A", 2)))
    take(world, receive("A", 2))
    part = world.parts["sku/A"]
    assert isinstance(part, SkuPart)
    assert part.claims["young"].held == 2
    holds(world)


def test_units_are_kept_for_who_wants_all_or_nothing_until_it_has_looked() -> None:
    world = shop(PolicyRule(service="slow", policy="all_or_nothing"))
    take(world, of(accepted("whole", ("A", 2)), service="slow"), accepted("young", ("A", 2)))
    take(world, receive("A", 3))
    holds(world)
    [kept] = [n for n, row in enumerate(world.log) if row.type.endswith("stock_pegged")]
    payload = orjson.loads(world.log[kept].payload)
    payload["claims"][0]["quantity"] = payload["movements"][0]["quantity"] = 2
    world.log[kept] = replace(world.log[kept], payload=orjson.dumps(payload))
    assert "gives 2 units of A to order young, which are kept for order whole" in {
        violation(prove(rows)) for rows in orders_of_reading(world.log)
    }


# The log


def test_an_order_that_is_promised_at_once_says_nothing_of_a_queue() -> None:
    world = World()
    take(world, receive("A", 2), accepted("plain", ("A", 2)))
    world.take(routed("plain", 1, N1=(line(1, "A", 2),)))
    assert [row.type for row in world.log if b'"queue"' in row.payload] == []


def test_a_change_that_is_left_out_is_found() -> None:
    world = World()
    take(world, accepted("old", ("A", 2)), accepted("young", ("A", 2)), receive("A", 3))
    world.log = [without(row, "queue") if row.type.endswith("backordered") else row for row in world.log]
    assert found(world) == "starts at position 3 of queue/A; position 1 never comes"


def test_an_older_log_has_no_numbers_and_is_not_held_to_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may even go on with them: who waited before is not known to wait."""
    monkeypatch.setattr(queue, "in_line", youngest_first)
    world = World()
    take(world, accepted("old", ("A", 2)), accepted("young", ("A", 2)), receive("A", 3))
    world.log = [without(row, "queue") for row in world.log]
    for stream, part in world.parts.items():
        if isinstance(part, SkuPart):
            world.parts[stream] = replace(part, queued=0)
    holds(world)
    take(world, accepted("third", ("A", 2)), receive("A", 2))
    holds(world)


def without(row: Logged, name: str) -> Logged:
    payload = orjson.loads(row.payload)
    payload.pop(name, None)
    return replace(row, payload=orjson.dumps(payload))


def test_an_auditor_who_has_the_exported_log_alone_is_told_the_event(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    world = World()
    take(world, accepted("old", ("A", 2)), accepted("young", ("A", 2)))
    monkeypatch.setattr(queue, "in_line", youngest_first)
    take(world, receive("A", 3))
    path = tmp_path / "inventory.ndjson"
    with writing(path) as out:
        file = LogFileWriter(out, "inventory")
        for row in world.log:
            file.add(exported(row))
        file.close()
    told = CliRunner().invoke(app, ["prove", "no-oversell", "--file", str(path)])
    assert told.exit_code == 1
    says = " ".join(told.output.split())
    assert "oms.inventory.stock_pegged" in says
    assert "gives 2 units of A to order young before order old, which lacks 1 and could have had 1." in says
    assert "Oversold" not in says


def exported(row: Logged) -> Published:
    headers = {
        "ce_id": str(row.event_id),
        "ce_source": "orderlog/inventory",
        "ce_type": row.type,
        "ce_typeversion": str(row.version),
        "ce_tenant": row.tenant,
        "ce_time": row.recorded_at.isoformat(),
        "ce_lane": str(row.lane),
        "ce_sequence": str(row.seq),
    }
    told = {name: value.encode() for name, value in headers.items()}
    return Published(row.lane, row.seq, b"acme/any", told, row.payload)
