"""Inventory's edge: what of a request becomes which command, and how a mistake is told."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import httpx
import pytest
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response

from libs.events.backorders import Backorders
from libs.events.contract import Command
from libs.events.inventory import AdjustStock, ReceiveStock
from libs.events.order import Destination
from libs.events.promise import DefinePromiseTerms, HoldStock, ReleasePromise, Share, Wanted
from libs.runtime.edge import Edge
from libs.runtime.problems import Problem, install
from libs.runtime.stage import dump_part
from libs.runtime.tokens import Claims
from services.inventory.app import all_routes
from tests.unit.inventory_dates import FACTS
from tests.unit.inventory_stage import sku, stocked
from tests.unit.inventory_supply import expect
from tests.unit.inventory_trade import hold, receive
from tests.unit.test_inventory_terms import order as accepted_for
from tests.unit.test_inventory_terms import terms

RECEIPT = {"sku": "A", "node": "N1", "quantity": 3, "reference": "DN-1"}


class Taken:
    """Stands where the edge stands, and keeps what would be published."""

    def __init__(self) -> None:
        self.roles: set[tuple[str, ...]] = set()
        self.commands: list[Command | Problem] = []
        self.parts: dict[str, bytes] = {}

    def reader(
        self, read: Callable[[bytes], Any], fresh_seconds: float = 0.0
    ) -> Callable[[str, Iterable[str]], Awaitable[dict[str, Any]]]:
        async def parts(tenant: str, streams: Iterable[str]) -> dict[str, Any]:
            assert tenant == "acme"
            return {stream: read(self.parts[stream]) for stream in streams if stream in self.parts}

        return parts

    def require(self, *roles: str) -> Callable[[], Awaitable[Claims]]:
        async def claims() -> Claims:
            return Claims("acme", "clerk", "operator")

        self.roles.add(roles)
        return claims

    async def submit(self, _: Request, claims: Claims, command: Command) -> Response:
        self.commands.append(command)
        return JSONResponse({}, 202)

    async def submit_many(
        self, _: Request, claims: Claims, commands: Sequence[Command | Problem]
    ) -> Response:
        self.commands += commands
        return JSONResponse({}, 207)


@pytest.fixture
def taken() -> Taken:
    return Taken()


@pytest.fixture
async def client(taken: Taken) -> AsyncIterator[httpx.AsyncClient]:
    app = FastAPI()
    install(app)
    app.include_router(all_routes(cast(Edge, taken)))
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://inventory") as client:
        yield client


async def test_one_delivery_is_one_command(client: httpx.AsyncClient, taken: Taken) -> None:
    answer = await client.post("/v1/stock/receipts", json=RECEIPT)
    assert answer.status_code == 202
    assert taken.commands == [ReceiveStock(sku="A", node="N1", quantity=3, reference="DN-1")]
    assert ("integrator", "operator") in taken.roles


async def test_several_corrections_are_answered_each_by_itself(
    client: httpx.AsyncClient, taken: Taken
) -> None:
    good = {"sku": "A", "node": "N1", "delta": -1, "reason_code": "count"}
    answer = await client.post("/v1/stock/adjustments", json={"items": [good, good | {"delta": 1.5}, 7]})
    assert answer.status_code == 207
    first, second, third = taken.commands
    assert first == AdjustStock(sku="A", node="N1", delta=-1, reason_code="count")
    assert isinstance(second, Problem)
    assert second.errors == ({"where": "delta", "what": "Input should be a valid integer"},)
    assert isinstance(third, Problem)


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"quantity": 0}, "quantity"),
        ({"quantity": -1}, "quantity"),
        ({"quantity": 2**63}, "quantity"),
        ({"quantity": "3"}, "quantity"),
        ({"sku": "A\x00"}, "sku"),
        ({"sku": ""}, "sku"),
        ({"node": "*"}, "node"),
        ({"qty": 3}, "qty"),
    ],
)
async def test_a_mistake_is_told_where_it_is(
    client: httpx.AsyncClient, taken: Taken, change: dict[str, Any], where: str
) -> None:
    answer = await client.post("/v1/stock/receipts", json=RECEIPT | change)
    assert answer.status_code == 422
    assert [error["where"].split(".")[-1] for error in answer.json()["errors"]] == [where]
    assert taken.commands == []


@pytest.mark.parametrize("items", [[], [RECEIPT] * 501])
async def test_a_list_has_one_to_five_hundred_items(
    client: httpx.AsyncClient, taken: Taken, items: list[Any]
) -> None:
    answer = await client.post("/v1/stock/receipts", json={"items": items})
    assert answer.status_code == 422
    assert taken.commands == []


async def test_a_basket_is_one_command_and_the_same_key_the_same_promise(
    client: httpx.AsyncClient, taken: Taken
) -> None:
    body = {"lines": [{"sku": "A", "quantity": 2}], "ttl_seconds": 60, "channel": "web"}
    for key in ("k1", "k1", "k2"):
        answer = await client.post("/v1/promises", json=body, headers={"Idempotency-Key": key})
        assert answer.status_code == 202
    first, again, other = taken.commands
    assert isinstance(first, HoldStock)
    assert isinstance(other, HoldStock)
    assert (first.lines, first.ttl_seconds, first.channel) == (
        (Wanted(sku="A", quantity=2),),
        60,
        "web",
    )
    assert first == again
    assert first.promise_id != other.promise_id
    assert ("integrator", "operator") in taken.roles


async def test_a_basket_may_bring_its_own_id_and_be_given_up(client: httpx.AsyncClient, taken: Taken) -> None:
    await client.post("/v1/promises", json={"lines": [{"sku": "A", "quantity": 2}], "promise_id": "b1"})
    await client.post("/v1/promises/b1/release", json={"reason": "emptied"})
    held, released = taken.commands
    assert isinstance(held, HoldStock)
    assert (held.promise_id, held.ttl_seconds) == ("b1", 900)
    assert released == ReleasePromise(promise_id="b1", reason="emptied")


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({"lines": []}, "lines"),
        ({"lines": [{"sku": "A", "quantity": 0}]}, "quantity"),
        ({"lines": [{"sku": "A", "quantity": 2**40}]}, "quantity"),
        ({"lines": [{"sku": "A/B", "quantity": 1}]}, "sku"),
        ({"lines": [{"sku": "A", "quantity": 1}], "ttl_seconds": 0}, "ttl_seconds"),
        ({"lines": [{"sku": "A", "quantity": 1}], "ttl_seconds": 90_000}, "ttl_seconds"),
        ({"lines": [{"sku": "A", "quantity": 1}], "promise_id": "a/b"}, "promise_id"),
        ({"lines": [{"sku": "A", "quantity": 1}], "until": 1}, "until"),
    ],
)
async def test_a_mistake_in_a_basket_is_told_where_it_is(
    client: httpx.AsyncClient, taken: Taken, body: dict[str, Any], where: str
) -> None:
    answer = await client.post("/v1/promises", json=body)
    assert answer.status_code == 422
    assert [error["where"].split(".")[-1] for error in answer.json()["errors"]] == [where]
    assert taken.commands == []


async def test_a_basket_is_looked_up_and_nothing_is_claimed(client: httpx.AsyncClient, taken: Taken) -> None:
    """Two lines of one SKU are one demand; a SKU that nobody has heard of has no units."""
    spec = stocked(A=5).heard(terms(Share(channel="pos", units=2), safety_stock=1), receive("A", 1, "N2"))
    taken.parts = {"sku/A": dump_part(sku(spec, "A"))}
    lines = [{"sku": "A", "quantity": 2}, {"sku": "B", "quantity": 1}, {"sku": "A", "quantity": 2}]
    answer = await client.post("/v1/availability", json={"lines": lines, "channel": "web"})
    assert answer.status_code == 200
    told = answer.json()
    assert (told["available"], told["channel"]) == (False, "web")
    first, second = told["skus"]
    assert first == {
        "sku": "A",
        "quantity": 4,
        "available": 3,
        "short": 1,
        "on_hand": 6,
        "promised": 0,
        "waiting": 0,
        "safety_stock": 1,
        "shown": 3,
        "buffer": 0,
        "kept_for_others": 2,
        "terms_version": 1,
        "nodes": [{"node": "N1", "on_hand": 5}, {"node": "N2", "on_hand": 1}],
    }
    assert (second["available"], second["short"], second["nodes"]) == (0, 1, [])
    assert taken.commands == []


async def test_what_is_answered_is_what_an_order_would_be_promised(
    client: httpx.AsyncClient, taken: Taken
) -> None:
    """Also where others wait who may not have what is kept for this channel."""
    spec = stocked(A=4).heard(
        terms(Share(channel="web", units=3)), hold("b", ("A", 1)), accepted_for("o1", 5, "pos")
    )
    taken.parts = {"sku/A": dump_part(sku(spec, "A"))}
    body = {"lines": [{"sku": "A", "quantity": 1}]}
    for channel, expected in (("web", 3), ("pos", 0), (None, 0)):
        answer = await client.post("/v1/availability", json=body | {"channel": channel})
        assert answer.json()["skus"][0]["available"] == expected
        assert sku(spec, "A").claimable(channel) == expected


async def test_who_says_where_to_is_told_when(client: httpx.AsyncClient, taken: Taken) -> None:
    """Without calendars it says what lacks, and invents no date."""
    far = datetime.now(UTC) + timedelta(days=30)
    spec = stocked(A=2).heard(expect("A", "PO-1", 5, expected_at=far))
    taken.parts = {name: dump_part(spec.parts[name]) for name in ("sku/A", "supply/A")}
    body = {"lines": [{"sku": "A", "quantity": 2}], "destination": {"country": "GB"}}
    told = (await client.post("/v1/availability", json=body)).json()
    assert (told["available"], [one["quantity"] for one in told["skus"][0]["atp"]]) == (True, [2, 7])
    assert "deliver_by" not in told["delivery"]
    assert [why["code"] for why in told["delivery"]["why"]] == ["no_calendar"]
    taken.parts["nodes"] = dump_part(spec.heard(*FACTS).parts["nodes"])
    delivery = (await client.post("/v1/availability", json=body)).json()["delivery"]
    assert (delivery["node"], delivery["time_zone"]) == ("N1", "Europe/London")
    assert datetime.now(UTC).date().isoformat() <= delivery["ship_by"] < delivery["deliver_by"]
    answer = await client.post("/v1/availability", json=body | {"destination": {"land": "GB"}})
    assert answer.status_code == 422


async def test_a_basket_is_held_for_a_destination(client: httpx.AsyncClient, taken: Taken) -> None:
    body = {"lines": [{"sku": "A", "quantity": 2}], "destination": {"country": "GB"}, "service": "express"}
    await client.post("/v1/promises", json=body)
    [held] = taken.commands
    assert isinstance(held, HoldStock)
    assert (held.destination, held.service) == (Destination(country="GB"), "express")


async def test_terms_of_a_sku_are_one_command(client: httpx.AsyncClient, taken: Taken) -> None:
    body = {"safety_stock": 2, "shares": [{"channel": "web", "units": 3, "lends_to": ["pos"]}]}
    assert (await client.put("/v1/promise-terms/A", json=body)).status_code == 202
    share = Share(channel="web", units=3, lends_to=("pos",))
    assert taken.commands == [DefinePromiseTerms(sku="A", safety_stock=2, shares=(share,))]
    caps: dict[str, Any] = {"units_max": 6, "channels": [{"channel": "pos", "units_max": 2}]}
    assert (await client.put("/v1/promise-terms/A", json={"backorders": caps})).status_code == 202
    assert taken.commands[-1] == DefinePromiseTerms(sku="A", backorders=Backorders.model_validate(caps))
    for wrong in (
        {"backorders": {"units": 6}},
        {"safety_stock": -1},
        {"shares": [{"channel": "web", "units": 0}]},
        {"safety": 1},
    ):
        assert (await client.put("/v1/promise-terms/A", json=wrong)).status_code == 422
