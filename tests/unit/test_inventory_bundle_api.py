"""Bundles at inventory's edge: which command a request becomes, and how a basket with bundles is answered."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import cast

import httpx
import pytest
from fastapi import FastAPI

from libs.events.bundles import AssembleKit, BundlePart, DefineBundle, RemoveBundle, TakeKitApart
from libs.events.promise import HoldStock, Wanted
from libs.runtime.edge import Edge
from libs.runtime.problems import install
from libs.runtime.stage import dump_part
from services.inventory.app import all_routes
from services.inventory.availability import state
from tests.unit.inventory_trade import accepted
from tests.unit.test_inventory_api import Taken
from tests.unit.test_inventory_bundles import boxes, define


@pytest.fixture
def taken() -> Taken:
    """A box of two mugs and a tea; seven mugs, of which one is sold, and five teas."""
    taken = Taken()
    spec = boxes(MUG=7, TEA=5).heard(define(("TEA", 3), name="DUO"), accepted("o1", ("MUG", 1)))
    later = define(("TEA", 5), name="LATER", kept="assembled")
    spec.heard(later.model_copy(update={"effective_at": datetime(2099, 1, 1, tzinfo=UTC)}))
    taken.parts = {stream: dump_part(part) for stream, part in spec.parts.items()}
    return taken


@pytest.fixture
async def client(taken: Taken) -> AsyncIterator[httpx.AsyncClient]:
    app = FastAPI()
    install(app)
    app.include_router(all_routes(cast(Edge, taken)))
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://inventory") as client:
        yield client


async def test_each_request_is_one_command(client: httpx.AsyncClient, taken: Taken) -> None:
    parts = [{"sku": "MUG", "quantity": 2, "price_weight": 3}, {"sku": "TEA", "quantity": 1}]
    work = {"node": "LON", "quantity": 2, "reference": "WO-1"}
    for method, path, body in (
        ("PUT", "/v1/bundles/SET", {"parts": parts, "kept": "assembled"}),
        ("DELETE", "/v1/bundles/SET", None),
        ("POST", "/v1/kits/SET/assemble", work),
        ("POST", "/v1/kits/SET/take-apart", work),
        ("PUT", "/v1/bundles/SET", {"parts": parts[1:], "effective_at": "2099-01-01T01:00:00+01:00"}),
    ):
        assert (await client.request(method, path, json=body)).status_code == 202
    made = (BundlePart(sku="MUG", quantity=2, price_weight=3), BundlePart(sku="TEA", quantity=1))
    assert taken.commands == [
        DefineBundle(sku="SET", parts=made, kept="assembled"),
        RemoveBundle(sku="SET"),
        AssembleKit(sku="SET", node="LON", quantity=2, reference="WO-1"),
        TakeKitApart(sku="SET", node="LON", quantity=2, reference="WO-1"),
        DefineBundle(sku="SET", parts=made[1:], effective_at=datetime(2099, 1, 1, tzinfo=UTC)),
    ]


async def test_of_what_a_sku_is_made_can_be_asked(client: httpx.AsyncClient) -> None:
    box = (await client.get("/v1/bundles/BOX")).json()
    assert (box["kept"], box["bundle_version"]) == ("parts", 1)
    assert box["parts"][0] == {"sku": "MUG", "quantity": 2, "price_weight": 1}
    assert (await client.get("/v1/bundles/TEA")).json()["part_of"] == ["BOX", "DUO"]
    parts = [{"sku": "TEA", "quantity": 5, "price_weight": 1}]
    planned = {"effective_at": "2099-01-01T00:00:00+00:00", "kept": "assembled", "parts": parts}
    assert (await client.get("/v1/bundles/LATER")).json()["planned"] == [planned]
    assert (await client.get("/v1/bundles/NEVER")).json()["type"].endswith(":unknown_bundle")


async def available(client: httpx.AsyncClient, **wanted: int) -> tuple[bool, dict[str, tuple[int, int]]]:
    """Whether all of it could be promised; available and short by SKU."""
    lines = [{"sku": sku, "quantity": quantity} for sku, quantity in wanted.items()]
    told = (await client.post("/v1/availability", json={"lines": lines})).json()
    return told["available"], {one["sku"]: (one["available"], one["short"]) for one in told["skus"]}


async def test_a_bundle_is_there_as_often_as_its_scarcest_part(client: httpx.AsyncClient) -> None:
    assert await available(client, BOX=3) == (True, {"BOX": (3, 0)})
    assert await available(client, BOX=4) == (False, {"BOX": (3, 1)})


async def test_what_shares_a_part_in_one_basket_is_summed(client: httpx.AsyncClient) -> None:
    assert await available(client, BOX=2, MUG=2) == (True, {"BOX": (2, 0), "MUG": (2, 0)})
    assert await available(client, BOX=3, MUG=1) == (False, {"BOX": (2, 1), "MUG": (0, 1)})
    assert await available(client, BOX=2, DUO=1) == (True, {"BOX": (2, 0), "DUO": (1, 0)})
    assert await available(client, BOX=3, DUO=1) == (False, {"BOX": (2, 1), "DUO": (0, 1)})


async def test_a_bundle_is_answered_with_its_parts(client: httpx.AsyncClient) -> None:
    told = (await client.post("/v1/availability", json={"lines": [{"sku": "BOX", "quantity": 2}]})).json()
    [box] = told["skus"]
    assert box["bundle_version"] == 1
    figures = [(one["sku"], one["quantity"], one["available"], one["on_hand"]) for one in box["parts"]]
    assert figures == [("MUG", 4, 6, 7), ("TEA", 2, 5, 5)]


async def test_a_basket_with_a_bundle_is_held_as_its_parts(client: httpx.AsyncClient, taken: Taken) -> None:
    lines = [{"sku": "BOX", "quantity": 2}, {"sku": "MUG", "quantity": 1}]
    answer = await client.post("/v1/promises", json={"lines": lines, "promise_id": "b1"})
    assert answer.status_code == 202
    wanted = (Wanted(sku="MUG", quantity=5), Wanted(sku="TEA", quantity=2))
    assert taken.commands == [HoldStock(promise_id="b1", lines=wanted)]


async def test_a_basket_of_more_than_can_be_held_is_told(client: httpx.AsyncClient, taken: Taken) -> None:
    body = {"lines": [{"sku": "BOX", "quantity": 600_000}]}
    answer = await client.post("/v1/promises", json=body)
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:orderlog:problem:too_many_parts")
    assert taken.commands == []


def test_a_bundle_is_no_figure_of_its_own_part_and_its_parts_are_told(taken: Taken) -> None:
    assert state("sku/BOX", 1, taken.parts["sku/BOX"]) is None
    told = state("sku/MUG", 1, taken.parts["sku/MUG"])
    assert told is not None
    assert told[0].available == 6
