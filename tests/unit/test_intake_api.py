"""Intake over HTTP: what channels, support and operations send, and what they read when it is wrong."""

from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from libs.events.amendments import AmendOrder
from libs.events.catalogue import encode
from libs.events.changes import AddNote, CancelLines, LineUnits, PlaceHold
from libs.events.ids import order_id
from libs.events.intake import CancelOrder, OrderAccepted, ReleaseHold, SubmitOrder
from libs.events.refusal import CommandRefused
from libs.runtime.log import LogRow
from services.intake.api import routes
from tests.contract.example_parts import MINIMAL_TERMS, PLACED_AT
from tests.unit.edge_client import TENANT, EdgeClient
from tests.unit.test_intake_capture import ORDER, SHIP_TO

ID = order_id(TENANT, "web", "536365")


@pytest.fixture
def edge(tmp_path: Path) -> EdgeClient:
    return EdgeClient("intake", routes, tmp_path)


def captured(edge: EdgeClient, *, customer_id: str | None) -> None:
    """Intake's log has the order, behind a command that was refused while nobody knew it."""
    accepted = OrderAccepted.model_validate({**MINIMAL_TERMS, "order_id": ID, "customer_id": customer_id})
    refused = CommandRefused(
        refused_stream=ID,
        command_id=UUID(int=7),
        command_type=CancelOrder.TYPE,
        code="unknown_order",
        message="It was not submitted.",
        next_step="Submit it.",
    )
    edge.log.rows[0, "decided"] = [
        LogRow(
            0, "decided", n, UUID(int=n), TENANT, ID, n, body.TYPE, 1, encode(body), {}, PLACED_AT, PLACED_AT
        )
        for n, body in enumerate((refused, accepted), 1)
    ]


async def test_an_order_is_published_sealed_and_its_customer_can_be_read_only_through_the_keyring(
    edge: EdgeClient,
) -> None:
    answer = await edge.call("POST", "/v1/orders", ORDER)
    assert answer.status_code == 202
    assert answer.json()["stream"] == ID
    [command] = edge.kept.commands()
    assert isinstance(command, SubmitOrder)
    assert command.order_id == ID
    assert command.contact is not None
    opened = await edge.keyring.open(TENANT, ID, command.contact)
    assert opened == {name: value for name, value in SHIP_TO.items() if name != "country"}
    [(topic, record)] = edge.kept.records
    assert topic == "oms.intake.commands"
    assert b"Lovelace" not in repr(record).encode()


async def test_the_same_order_twice_is_the_same_command_body(edge: EdgeClient) -> None:
    for _ in range(2):
        await edge.call("POST", "/v1/orders", ORDER)
    first, second = edge.kept.commands()
    assert first == second


async def test_an_invalid_order_names_fields_and_quotes_nobody(edge: EdgeClient) -> None:
    wrong = ORDER | {"currency": "pounds", "ship_to": SHIP_TO | {"email": "ada at mail", "street": "x"}}
    answer = await edge.call("POST", "/v1/orders", wrong)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert [error["where"] for error in problem["errors"]] == [
        "body.currency",
        "body.ship_to.email",
        "body.ship_to.street",
    ]
    assert problem["next_step"]
    assert not any(str(text) in answer.text for text in ("ada", "Lovelace", "pounds", "St James"))
    assert edge.kept.records == []


@pytest.mark.parametrize(
    "content", [b"{", b"\xff\xfe", b"[" * 100_000, b'{"channel": NaN}', b"9" * 5000, b'"\\ud800"']
)
async def test_a_body_that_is_no_order_is_a_problem(edge: EdgeClient, content: bytes) -> None:
    answer = await edge.call(
        "POST", "/v1/orders", content=content, headers={"Content-Type": "application/json"}
    )
    assert answer.status_code in (400, 422)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["next_step"]


async def test_a_bad_row_of_a_batch_refuses_no_other(edge: EdgeClient) -> None:
    rows: list[Any] = [ORDER | {"external_id": "1"}, ORDER | {"lines": []}, "no order", 2**70]
    rows.append(ORDER | {"external_id": "2", "customer_id": None})
    answer = await edge.call("POST", "/v1/orders/batch", {"orders": rows})
    assert answer.status_code == 207
    results = answer.json()["results"]
    assert [result["status"] for result in results] == [202, 422, 422, 422, 202]
    assert results[1]["problem"]["errors"][0]["where"] == "lines"
    assert results[0]["stream"] == order_id(TENANT, "web", "1")
    published = [command for command in edge.kept.commands() if isinstance(command, SubmitOrder)]
    assert {command.external_id for command in published} == {"1", "2"}
    for command in published:
        assert command.contact is not None
        opened = await edge.keyring.open(TENANT, command.order_id, command.contact)
        assert opened is not None
        assert opened["name"] == "Ada Lovelace"


async def test_a_batch_takes_500_orders_and_no_more(edge: EdgeClient) -> None:
    rows = [ORDER | {"external_id": str(number)} for number in range(501)]
    assert (await edge.call("POST", "/v1/orders/batch", {"orders": rows})).status_code == 422
    assert edge.kept.records == []
    answer = await edge.call("POST", "/v1/orders/batch", {"orders": rows[:500]})
    assert {result["status"] for result in answer.json()["results"]} == {202}
    assert len(edge.kept.records) == 500


async def test_a_cancellation_and_a_release_become_commands(edge: EdgeClient) -> None:
    await edge.call("POST", f"/v1/orders/{ID}/cancel", {"reason": "twice"}, role="support")
    await edge.call("POST", f"/v1/orders/{ID}/cancel", role="support")
    await edge.call("POST", f"/v1/orders/{ID}/holds/payment/release", {"note": "paid"}, role="operator")
    assert edge.kept.commands() == [
        CancelOrder(order_id=ID, reason="twice"),
        CancelOrder(order_id=ID),
        ReleaseHold(order_id=ID, hold="payment", note="paid"),
    ]


async def test_what_support_does_to_an_order_becomes_commands(edge: EdgeClient) -> None:
    path = f"/v1/orders/{ID}"
    lines = {"lines": [{"line": 2, "quantity": 1}], "reason": "too many"}
    assert (await edge.call("POST", f"{path}/cancel-lines", lines, role="support")).status_code == 202
    hold = {"hold": "fraud_review", "message": "Ask the bank."}
    assert (await edge.call("POST", f"{path}/holds", hold, role="operator")).status_code == 202
    note = {"text": "Ada rang: <b>the blue one</b>\u202e"}
    captured(edge, customer_id="7")
    assert (await edge.call("POST", f"{path}/notes", note, role="support")).status_code == 202
    cancel, place, written = edge.kept.commands()
    assert cancel == CancelLines(order_id=ID, lines=(LineUnits(line=2, quantity=1),), reason="too many")
    assert place == PlaceHold(order_id=ID, **hold)
    assert isinstance(written, AddNote)
    assert written.note.subject == "c:7"
    assert await edge.keyring.open(TENANT, ID, written.note) == {"note": note["text"]}
    assert b"Ada" not in repr(edge.kept.records).encode()


async def test_a_note_is_sealed_for_the_orders_customer_whoever_is_named(edge: EdgeClient) -> None:
    path, text = f"/v1/orders/{ID}/notes", {"text": "rang"}
    early = await edge.call("POST", path, text, role="support")
    assert (early.status_code, early.json()["type"]) == (404, "urn:orderlog:problem:unknown_order")
    captured(edge, customer_id=None)
    assert (await edge.call("POST", path, text, role="support")).status_code == 202
    wrong = await edge.call("POST", path, {**text, "customer_id": "8"}, role="support")
    assert (wrong.status_code, wrong.json()["type"]) == (422, "urn:orderlog:problem:wrong_customer")
    [written] = edge.kept.commands()
    assert isinstance(written, AddNote)
    assert written.note.subject == f"o:{ID}"


async def test_another_address_is_sealed_as_the_orders_own_was_and_told_coarse(edge: EdgeClient) -> None:
    path = f"/v1/orders/{ID}/amend"
    early = await edge.call("POST", path, {"ship_to": SHIP_TO}, role="support")
    assert early.status_code == 404
    captured(edge, customer_id="7")
    asked = {"ship_to": SHIP_TO, "service": "express", "reason": "moved"}
    assert (await edge.call("POST", path, asked, role="support")).status_code == 202
    assert (await edge.call("POST", path, {"service": "standard"}, role="support")).status_code == 202
    command, other = edge.kept.commands()
    assert isinstance(command, AmendOrder)
    assert command.contact is not None
    assert command.destination is not None
    assert command.contact.subject == "c:7"
    opened = await edge.keyring.open(TENANT, ID, command.contact)
    assert opened == {name: value for name, value in SHIP_TO.items() if name != "country"}
    assert (command.destination.country, command.service) == (SHIP_TO["country"], "express")
    assert command.mail is True
    assert str(SHIP_TO["name"]).encode() not in repr(edge.kept.records).encode()
    assert other == AmendOrder(order_id=ID, service="standard")
    for wrong in ({}, {"reason": "why not"}, {"ship_to": {"name": "Ada"}}):
        refused = await edge.call("POST", path, wrong, role="support")
        assert refused.status_code == 422, wrong
    assert (await edge.call("POST", path, asked, role="viewer")).status_code == 403


@pytest.mark.parametrize("text", ["", "a\x00b", "x" * 2001, 7])
async def test_a_note_that_cannot_be_kept_is_told_so(edge: EdgeClient, text: object) -> None:
    answer = await edge.call("POST", f"/v1/orders/{ID}/notes", {"text": text}, role="support")
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["where"] == "body.text"
    assert edge.kept.records == []


@pytest.mark.parametrize(
    ("path", "role", "status"),
    [
        ("/v1/orders", None, 401),
        ("/v1/orders", "viewer", 403),
        ("/v1/orders", "support", 403),
        (f"/v1/orders/{ID}/cancel", "viewer", 403),
        (f"/v1/orders/{ID}/cancel-lines", "viewer", 403),
        (f"/v1/orders/{ID}/holds", "support", 403),
        (f"/v1/orders/{ID}/notes", "viewer", 403),
        (f"/v1/orders/{ID}/holds/payment/release", "support", 403),
    ],
)
async def test_who_may_not_is_told_so(edge: EdgeClient, path: str, role: str | None, status: int) -> None:
    answer = await edge.call("POST", path, ORDER, role=role)
    assert answer.status_code == status
    assert answer.json()["next_step"]
    assert edge.kept.records == []


@pytest.mark.parametrize("path", ["/v1/orders/a_b/cancel", f"/v1/orders/{ID}/holds/Pay%00/release"])
async def test_ids_that_cannot_be_are_refused_at_the_edge(edge: EdgeClient, path: str) -> None:
    assert (await edge.call("POST", path, {})).status_code == 422
