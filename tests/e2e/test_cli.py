"""The command line on the real stack: a file of orders from submission to their ends; what the logs say."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from libs.runtime.kafka import KafkaPublisher
from libs.runtime.settings import settings
from tests.e2e.stacks import Stack

pytestmark = pytest.mark.e2e
DEADLINE_SECONDS = 60.0

HEADER = (
    "channel,external_id,placed_at,currency,payment,customer_id,sku,quantity,unit_price_minor,"
    "name,address_line_1,city,postcode,country,email\n"
)


def row(external: str, sku: str, quantity: object, payment: str = "paid", customer: str = "") -> str:
    who = "Ada Example,1 Sample Street,London,EC1A 1AA,GB,ada@mail.example"
    return f"web,{external},2026-03-02T09:00:00Z,GBP,{payment},{customer},{sku},{quantity},995,{who}\n"


@pytest.fixture(scope="module")
def shop(stack: Stack) -> str:
    """A tenant of its own with one node and stock of one SKU."""
    tenant = f"cli-{uuid4().hex[:8]}"
    place = ("--name", "London", "--country", "GB", "--lat", "51.5", "--lon", "-0.1")
    assert stack.json("nodes", "define", "LON", *place, "--tenant", tenant)["changed"] is True
    stack.json("stock", "receive", "MUG", "LON", "10", "--tenant", tenant)
    stack.json("stock", "adjust", "MUG", "LON", "-2", "--reason", "damaged", "--tenant", tenant)
    return tenant


def until(ask: Callable[[], dict[str, Any]], holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """Ask again until it holds."""
    give_up_at = time.monotonic() + DEADLINE_SECONDS
    while True:
        answer = ask()
        if holds(answer):
            return answer
        assert time.monotonic() < give_up_at, f"it never held: {answer}"


def test_orders_from_a_file_to_their_ends(stack: Stack, shop: str, tmp_path: Path) -> None:
    file = tmp_path / "orders.csv"
    file.write_text(
        HEADER
        + row("1", "MUG", 2, customer="77")
        + row("2", "TEAPOT", 3)
        + row("3", "MUG", "two")
        + row("4", "MUG", 1, "pending")
    )

    def order(external: str) -> dict[str, Any]:
        return stack.json("orders", "show", f"web/{external}", "--tenant", shop)

    runs = [stack.run("orders", "submit", str(file), "--tenant", shop, "--json") for _ in range(2)]
    assert [done.returncode for done in runs] == [1, 1], "a row was unreadable"
    assert "orders.csv:4: unreadable: quantity is 'two'" in runs[0].stderr
    first, again = (json.loads(done.stdout.splitlines()[-1]) for done in runs)
    counted = ("orders", "accepted", "held", "unreadable", "refused", "rejected", "undecided", "known")
    assert [first[name] for name in counted] == [4, 2, 1, 1, 0, 0, 0, 0]
    assert [again[name] for name in counted] == [4, 2, 1, 1, 0, 0, 0, 0]

    def shown(external: str, status: str) -> dict[str, Any]:
        listed = lambda: stack.json("orders", "list", "--external-id", external, "--tenant", shop)  # noqa: E731
        until(listed, lambda page: [one["status"] for one in page["orders"]] == [status])
        return order(external)

    assert shown("1", "released")["waits"] == ["LON to pick F1."]
    assert shown("2", "backordered")["waits"] == ["3 units of TEAPOT to arrive: orderlog stock show TEAPOT"]
    assert "Hold payment" in shown("4", "held")["waits"][0]

    waiting = stack.json("stock", "show", "TEAPOT", "--tenant", shop)["waiting"]
    assert [(one["external_id"], one["units"]) for one in waiting] == [("2", 3)]
    assert list(
        stack.json("stock", "receive", "TEAPOT", "LON", "3", "--tenant", shop)["claims"].values()
    ) == [3]
    shown("2", "released")
    assert stack.json("orders", "release", "web/4", "payment", "--tenant", shop)["accepted"] is True
    shown("4", "released")
    cancelled = stack.json("orders", "cancel", "web/4", "--reason", "test", "--tenant", shop)
    assert cancelled["outcome"] == "cancelled"
    shown("4", "cancelled")
    mugs = stack.json("stock", "show", "MUG", "--tenant", shop)
    assert (mugs["on_hand"], mugs["allocated"], mugs["reserved"]) == (6, 2, 0)

    tail = stack.run("events", "tail", "--order", "web/4", "--tenant", shop, "--from-start", "--json")
    assert tail.returncode == 0, tail.stderr
    lines = tail.stdout.splitlines()[:-1]
    types = [event["type"].rpartition(".")[2] for event in map(json.loads, lines)]
    assert types[:3] == ["order_held", "hold_released", "order_accepted"]
    assert "fulfillment_cancelled" in types
    assert types.count("order_closed") == 1


def test_the_ledger_holds_and_the_read_models_can_be_made_anew(stack: Stack, shop: str) -> None:
    everybody = stack.json("prove", "no-oversell")
    assert everybody["holds"] is True
    assert everybody["events"] == sum(everybody["held_up_to"].values()) > 0
    mine = stack.json("prove", "no-oversell", "--tenant", shop)
    assert mine["holds"] is True
    assert mine["skus"] == 2 <= everybody["skus"]
    rebuilt = stack.json("rebuild", "console", "--verify", timeout_seconds=600)
    assert rebuilt["match"] is True
    assert rebuilt["live_digest"] == rebuilt["rebuilt_digest"]


def test_erasing_destroys_the_key_of_an_order_that_stays(stack: Stack, shop: str) -> None:
    subject = stack.json("orders", "show", "web/1", "--tenant", shop)["data_subject"]
    assert subject == "c:77"
    assert stack.json("erase", subject, "--tenant", shop, "--yes")["keys_destroyed"] == 1
    assert stack.json("erase", subject, "--tenant", shop, "--yes")["erased_before"] is True
    assert stack.json("orders", "show", "web/1", "--tenant", shop)["total_minor"] == 1990
    nobody = stack.run("erase", "c:nobody", "--tenant", shop, "--yes")
    assert nobody.returncode == 1
    assert "no data subject c:nobody" in nobody.stderr


async def test_a_parked_record_is_found_looked_at_and_given_up(stack: Stack, shop: str) -> None:
    mark = uuid4().hex
    publisher = KafkaPublisher(settings(), "test")
    await publisher.send(
        "oms.intake.commands",
        0,
        (f"{shop}/{mark}".encode(), b'{"name": "Ada Example"}', [("ce_id", mark.encode()[:9])], 1),
    )
    await publisher.stop()

    def ours(listed: dict[str, Any]) -> list[dict[str, Any]]:
        return [one for one in listed["parked"] if one["code"] == "bad_headers"]

    listed = until(lambda: stack.json("parked", "list", "--stage", "intake"), lambda page: bool(ours(page)))
    found = ours(listed)[-1]
    name = f"intake:{found['id']}"
    shown = stack.run("parked", "show", name)
    assert mark[:9] in shown.stdout + shown.stderr
    assert "Ada" not in shown.stdout + shown.stderr
    asked = stack.json("parked", "show", name, "--value")["parked"][0]
    assert asked["record"]["value"] == '{"name": "Ada Example"}'
    assert stack.json("parked", "discard", name, "--note", "a test")["records"] == 1
    until(
        lambda: stack.json("parked", "list", "--stage", "intake"),
        lambda left: found["id"] not in [one["id"] for one in left["parked"]],
    )


def test_a_failure_is_a_sentence_and_a_next_step(stack: Stack, shop: str) -> None:
    done = stack.run("stock", "adjust", "MUG", "LON", "-999", "--reason", "x", "--tenant", shop, "--json")
    told = json.loads(done.stdout.splitlines()[-1])
    assert (done.returncode, told["ok"]) == (1, False)
    assert "999 units of MUG cannot be taken out" in told["error"]
    assert told["next_step"]
    assert "Traceback" not in done.stderr
