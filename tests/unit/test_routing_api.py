"""Routing over HTTP: operations define nodes and what is reviewed, and approve plans."""

from pathlib import Path
from typing import Any

import pytest

from libs.events.routing import ApproveRouting, DefineNode, DefineReview, DefineTransit
from services.routing.api import routes
from tests.unit.edge_client import EdgeClient

LEEDS = {"name": "Leeds", "country": "GB", "latitude": 53.8, "longitude": -1.5, "ships_to": ["GB", "IE"]}


@pytest.fixture
def edge(tmp_path: Path) -> EdgeClient:
    return EdgeClient("routing", routes, tmp_path)


async def test_a_node_is_defined(edge: EdgeClient) -> None:
    answer = await edge.call("PUT", "/v1/nodes/LEEDS-1", LEEDS, role="operator")
    assert answer.status_code == 202
    assert answer.json()["stream"] == "nodes"
    assert edge.kept.commands() == [DefineNode.model_validate(LEEDS | {"node": "LEEDS-1"})]


async def test_a_node_has_a_calendar_and_a_service_its_days(edge: EdgeClient) -> None:
    works = {"time_zone": "Europe/London", "cut_off": "14:00", "holidays": ["2026-12-25"]}
    await edge.call("PUT", "/v1/nodes/LEEDS-1", LEEDS | {"operations": works}, role="operator")
    days = {"bands": [{"countries": ["GB"], "km_max": 300, "days": 1}, {"days": 5}]}
    answer = await edge.call("PUT", "/v1/transit/standard", days, role="operator")
    assert (answer.status_code, answer.json()["stream"]) == (202, "nodes")
    assert edge.kept.commands() == [
        DefineNode.model_validate(LEEDS | {"node": "LEEDS-1", "operations": works}),
        DefineTransit.model_validate(days | {"service": "standard"}),
    ]
    mistaken = {"bands": [{"days": 1, "country": "GB"}]}
    answer = await edge.call("PUT", "/v1/transit/standard", mistaken)
    assert [error["where"] for error in answer.json()["errors"]] == ["body.bands.0.country"]


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"latitude": 91}, "body.latitude"),
        ({"country": "UK of GB"}, "body.country"),
        ({"ships_to": ["GB", "gb"]}, "body.ships_to.1"),
        ({"active": "perhaps"}, "body.active"),
        ({"capacity": 3}, "body.capacity"),
        ({"operations": {"time_zone": "Europe/London", "cut_off": "2 pm"}}, "body.operations.cut_off"),
    ],
)
async def test_a_mistake_is_named(edge: EdgeClient, changes: dict[str, Any], where: str) -> None:
    answer = await edge.call("PUT", "/v1/nodes/LEEDS", LEEDS | changes)
    assert answer.status_code == 422
    assert [error["where"] for error in answer.json()["errors"]] == [where]
    assert edge.kept.records == []


@pytest.mark.parametrize("node", ["*", "-x", "a" * 33])
async def test_a_node_id_has_a_shape(edge: EdgeClient, node: str) -> None:
    assert (await edge.call("PUT", f"/v1/nodes/{node}", LEEDS)).status_code == 422


async def test_support_does_not_define_nodes(edge: EdgeClient) -> None:
    assert (await edge.call("PUT", "/v1/nodes/LEEDS", LEEDS, role="support")).status_code == 403


async def test_limits_of_a_review_are_stated_as_a_whole(edge: EdgeClient) -> None:
    answer = await edge.call("PUT", "/v1/review", {"nodes_max": 2, "farther_km_max": 300}, role="operator")
    assert (answer.status_code, answer.json()["stream"]) == (202, "nodes")
    await edge.call("PUT", "/v1/review", {}, role="operator")
    assert edge.kept.commands() == [DefineReview(nodes_max=2, farther_km_max=300), DefineReview()]
    for mistaken, where in ({"nodes_max": 0}, "nodes_max"), ({"km_max": 3}, "km_max"):
        answer = await edge.call("PUT", "/v1/review", mistaken)
        assert [error["where"] for error in answer.json()["errors"]] == [f"body.{where}"]


async def test_a_held_plan_is_approved_in_its_round_perhaps_from_other_nodes(edge: EdgeClient) -> None:
    path = "/v1/orders/0b7a/routing/approve"
    answer = await edge.call("POST", path, {"round": 2, "reason": "worth it"}, role="operator")
    assert (answer.status_code, answer.json()["stream"]) == (202, "0b7a")
    await edge.call("POST", path, {"round": 1, "nodes": ["LON"]}, role="integrator")
    assert edge.kept.commands() == [
        ApproveRouting(order_id="0b7a", round=2, reason="worth it"),
        ApproveRouting(order_id="0b7a", round=1, nodes=("LON",)),
    ]
    for mistaken, where in ({"reason": "why"}, "round"), ({"round": 1, "nodes": []}, "nodes"):
        answer = await edge.call("POST", path, mistaken)
        assert [error["where"] for error in answer.json()["errors"]] == [f"body.{where}"]
    for role in ("viewer", "support"):
        assert (await edge.call("POST", path, {"round": 1}, role=role)).status_code == 403
