"""What warehouses, carriers and support send over HTTP becomes the command that says so, or a problem."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import APIRouter, FastAPI

from libs.events.catalogue import BY_TYPE, decode
from libs.events.contract import Contract
from libs.events.fulfillment import (
    ConfirmPack,
    ConfirmPick,
    DispatchShipment,
    Package,
    Pick,
    RecordCarrierEvent,
    ShippedPackage,
)
from libs.events.notifications import RecordMessageOutcome
from libs.events.returns import AuthoriseReturn, InspectedUnits, ReceiveReturn, ReturnLine
from libs.runtime.answers import Answers
from libs.runtime.edge import Edge
from libs.runtime.kafka import KafkaPublisher
from libs.runtime.memory_log import MemoryLog
from libs.runtime.problems import install
from libs.runtime.relay import Message
from libs.runtime.settings import Settings
from libs.runtime.tokens import mint, new_signing_key
from services.fulfillment import api as fulfillment
from services.notifications import api as notifications
from services.returns import api as returns

Routes = Callable[[Edge], APIRouter]
PICK = {"picks": [{"line": 1, "picked": 2, "short": 1, "short_reason": "damaged"}]}
ACCEPTED: list[tuple[Routes, str, dict[str, Any], Contract]] = [
    (
        fulfillment.routes,
        "/v1/fulfillment-orders/o-1-F2/pick",
        PICK | {"order_id": "o-1"},
        ConfirmPick(
            order_id="o-1",
            fulfillment_order_id="o-1-F2",
            picks=(Pick(line=1, picked=2, short=1, short_reason="damaged"),),
        ),
    ),
    (
        fulfillment.routes,
        "/v1/fulfillment-orders/o-1-F2/pack",
        {"packages": [{"package_id": "P1", "weight_grams": 400}]},
        ConfirmPack(
            order_id="o-1",
            fulfillment_order_id="o-1-F2",
            packages=(Package(package_id="P1", weight_grams=400),),
        ),
    ),
    (
        fulfillment.routes,
        "/v1/fulfillment-orders/o-1-F2/dispatch",
        {"carrier": "dpd", "packages": [{"package_id": "P1", "tracking_number": "T1"}]},
        DispatchShipment(
            order_id="o-1",
            fulfillment_order_id="o-1-F2",
            carrier="dpd",
            packages=(ShippedPackage(package_id="P1", tracking_number="T1"),),
        ),
    ),
    (
        fulfillment.routes,
        "/v1/shipments/o-1-S1/carrier-events",
        {"status": "delivered", "occurred_at": "2026-03-02T12:00:00Z", "note": "at the door"},
        RecordCarrierEvent(
            order_id="o-1",
            shipment_id="o-1-S1",
            status="delivered",
            occurred_at=datetime(2026, 3, 2, 12, tzinfo=UTC),
            note="at the door",
        ),
    ),
    (
        returns.routes,
        "/v1/orders/o-1/returns",
        {"lines": [{"line": 1, "quantity": 2, "reason": "too small"}]},
        AuthoriseReturn(order_id="o-1", lines=(ReturnLine(line=1, quantity=2, reason="too small"),)),
    ),
    (
        returns.routes,
        "/v1/returns/o-1-R1/receipts",
        {"node": "north", "units": [{"line": 1, "quantity": 2, "disposition": "scrap"}]},
        ReceiveReturn(
            order_id="o-1",
            rma_id="o-1-R1",
            node="north",
            units=(InspectedUnits(line=1, quantity=2, disposition="scrap"),),
        ),
    ),
    (
        notifications.routes,
        "/v1/orders/o-1/messages/o-1-paid/outcome",
        {"outcome": "failed", "detail": "bounced"},
        RecordMessageOutcome(order_id="o-1", message_id="o-1-paid", outcome="failed", detail="bounced"),
    ),
]


class KeptPublisher(KafkaPublisher):
    """Keeps what would go to Kafka."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings, "test")
        self.kept: list[Message] = []

    async def send(self, topic: str, partition: int, message: Message) -> None:
        self.kept.append(message)


class Desk:
    """A client of one stage's edge, and the commands that left it."""

    def __init__(self, routes: Routes, folder: Path) -> None:
        key_file = folder / "jwt.json"
        key_file.write_bytes(new_signing_key())
        self.settings = Settings(jwt_key_file=key_file)
        self.publisher = KeptPublisher(self.settings)
        edge = Edge("test", self.settings, self.publisher, Answers(MemoryLog()), None, lambda key: 0)
        self.app = FastAPI()
        install(self.app)
        self.app.include_router(routes(edge))

    async def post(self, path: str, body: Any, role: str = "operator") -> httpx.Response:
        token = mint(self.settings.jwt_key_file, "acme", "wes", role, 60)
        transport = httpx.ASGITransport(app=self.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://edge") as client:
            return await client.post(path, json=body, headers={"Authorization": f"Bearer {token}"})

    @property
    def commands(self) -> list[Contract]:
        found = []
        for _, value, headers, _ in self.publisher.kept:
            type_ = dict(headers)["ce_type"].decode()
            found.append(decode(type_, BY_TYPE[type_].VERSION, value))
        return found


@pytest.mark.parametrize(("routes", "path", "body", "command"), ACCEPTED, ids=lambda value: str(value)[:40])
async def test_a_report_becomes_its_command(
    routes: Routes, path: str, body: dict[str, Any], command: Contract, tmp_path: Path
) -> None:
    desk = Desk(routes, tmp_path)
    answer = await desk.post(path, body)
    assert answer.status_code == 202, answer.text
    assert desk.commands == [command]
    assert (await desk.post(path, body, role="viewer")).status_code == 403
    assert len(desk.commands) == 1


@pytest.mark.parametrize(
    ("routes", "path", "body", "code"),
    [
        (
            fulfillment.routes,
            "/v1/fulfillment-orders/o-1-F2/pick",
            PICK | {"order_id": "o-2"},
            "wrong_order_id",
        ),
        (fulfillment.routes, "/v1/fulfillment-orders/o-1/pick", PICK, "invalid_request"),
        (fulfillment.routes, "/v1/fulfillment-orders/o_1-F2/pick", PICK, "invalid_request"),
        (fulfillment.routes, "/v1/fulfillment-orders/o-1-F2/pick", {"picks": []}, "invalid_request"),
        (fulfillment.routes, "/v1/fulfillment-orders/o-1-F2/pick", PICK | {"typo": 1}, "invalid_request"),
        (
            fulfillment.routes,
            "/v1/shipments/o-1-S1/carrier-events",
            {"status": "delivered", "occurred_at": "2026-03-02T12:00:00"},
            "invalid_request",
        ),
        (
            returns.routes,
            "/v1/returns/o-1-R1/receipts",
            {
                "order_id": "o-2",
                "node": "north",
                "units": [{"line": 1, "quantity": 1, "disposition": "scrap"}],
            },
            "wrong_order_id",
        ),
        (
            returns.routes,
            "/v1/orders/o-1/returns",
            {"lines": [{"line": 1, "quantity": 0}]},
            "invalid_request",
        ),
        (
            notifications.routes,
            "/v1/orders/o-1/messages/o-1-paid/outcome",
            {"outcome": "failed", "detail": "\x00"},
            "invalid_request",
        ),
    ],
)
async def test_what_is_wrong_is_a_problem(
    routes: Routes, path: str, body: dict[str, Any], code: str, tmp_path: Path
) -> None:
    desk = Desk(routes, tmp_path)
    answer = await desk.post(path, body)
    assert answer.status_code == 422
    assert answer.json()["type"].endswith(code)
    assert answer.json()["next_step"]
    assert not desk.commands
