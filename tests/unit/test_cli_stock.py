"""Stock and nodes on the command line: what is sent, and what a person sees of it.

The edges are replaced (cli_world): this is the text layer.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from cli import nodes, stock
from cli.client import Refused
from libs.runtime.complaint import Complaint
from tests.unit.cli_world import FakeEdges, run, signing_key


@pytest.fixture(autouse=True)
def key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with signing_key(tmp_path, monkeypatch) as key:
        yield key


def decided(*events: dict[str, Any]) -> dict[str, Any]:
    return {"decided": True, "command_id": "c", "events": list(events)}


PEGGED = {
    "type": "oms.inventory.stock_pegged",
    "data": {"claims": [{"order_id": "o1", "quantity": 2}, {"order_id": "o2", "quantity": 1}]},
}
BROKEN = {
    "type": "oms.inventory.reservation_broken",
    "data": {"claims": [{"order_id": "o1", "quantity": 4}]},
}


def test_a_receipt_tells_who_was_served(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeEdges({("inventory", "/v1/stock/receipts"): decided(PEGGED)})
    arguments = ["stock", "receive", "MUG", "LON", "5", "--reference", "PO-1", "--idempotency-key", "k1"]
    ended = run(fake, stock, monkeypatch, [*arguments, "--json"])
    assert fake.bodies("/v1/stock/receipts") == [
        {"sku": "MUG", "node": "LON", "quantity": 5, "reference": "PO-1"}
    ]
    assert fake.requests[0].headers["idempotency-key"] == "k1"
    assert "Set aside for waiting orders: 3 units of 2 orders." in ended.said
    assert ended.json["claims"] == {"o1": 2, "o2": 1}


def test_a_correction_downwards_is_an_argument_and_no_option(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeEdges({("inventory", "/v1/stock/adjustments"): decided(BROKEN)})
    ended = run(fake, stock, monkeypatch, ["stock", "adjust", "MUG", "LON", "-4", "--reason", "stolen"])
    assert ended.exit_code == 0, ended
    (body,) = fake.bodies("/v1/stock/adjustments")
    assert (body["delta"], body["reason_code"]) == (-4, "stolen")
    assert "corrected by -4: stolen." in ended.said
    assert "had to be broken: 4 units of 1 order." in ended.said


def test_a_misspelt_option_of_a_correction_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = ["stock", "adjust", "MUG", "LON", "-4", "--reason", "x", "--refrence", "y"]
    ended = run(FakeEdges(), stock, monkeypatch, arguments)
    assert ended.exit_code == 2


def test_a_sku_is_shown_by_node_with_who_waits_oldest_first(monkeypatch: pytest.MonkeyPatch) -> None:
    def order(number: int) -> dict[str, Any]:
        at = f"2026-03-0{number}T09:00:00Z"
        return {"order_id": f"o{number}", "channel": "web", "external_id": f"C-{number}", "ordered_at": at}

    nodes_ = [
        {"node": "LON", "buckets": {"on_hand": 3, "issued": 2, "supplier": -5}},
        {"node": "MAN", "buckets": {"on_hand": 1}},
    ]
    fake = FakeEdges(
        {
            ("console", "/v1/stock/A B"): {
                "sku": "A B",
                "on_hand": 4,
                "reserved": 4,
                "held": 0,
                "free": 0,
                "nodes": nodes_,
            },
            ("console", "/v1/orders"): {"orders": [order(3), order(2), order(1)], "next": None},
            ("console", "/v1/orders/o1"): {"waits_for": [{"sku": "A B", "quantity": 7}]},
            ("console", "/v1/orders/o2"): {"waits_for": [{"sku": "another", "quantity": 1}]},
            ("console", "/v1/orders/o3"): {"waits_for": [{"sku": "A B", "quantity": 2}]},
            ("inventory", "/v1/stock/A B"): {
                "channels": [
                    {
                        "channel": "shop",
                        "available": 1,
                        "shown": 0,
                        "shelf_life": {"days_min": 5, "expires_from": "2026-03-07", "on_hand": 3},
                    },
                    {"channel": "web", "available": 4, "shown": 4},
                ]
            },
        }
    )
    ended = run(fake, stock, monkeypatch, ["stock", "show", "A B", "--json"])
    assert [(one["order_id"], one["units"]) for one in ended.json["waiting"]] == [("o1", 7), ("o3", 2)]
    assert "A B: 4 on hand, 4 reserved, 0 free" in ended.said
    assert ended.err.splitlines()[1].split() == ["node", "on", "hand", "allocated", "issued"]
    assert ended.err.splitlines()[2].split() == ["LON", "3", "–", "2"]
    drawn = [line.split() for line in ended.err.splitlines()]
    assert ["shop", "1", "0", "2026-03-07", "3"] in drawn
    assert ["web", "4", "4", "–", "–"] in drawn
    assert ended.json["channels"][0]["available"] == 1
    assert dict(fake.requests[0].url.params) == {"sku": "A B", "status": "backordered", "limit": "200"}


def test_a_sku_that_never_came_shows_who_waits_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = {"type": "urn:orderlog:problem:unknown_sku", "detail": "no such SKU"}
    order = {"order_id": "o1", "channel": "web", "external_id": "C-1", "ordered_at": "2026-03-02T09:00:00Z"}
    fake = FakeEdges(
        {
            ("console", "/v1/stock/A"): httpx.Response(404, json=problem),
            ("inventory", "/v1/stock/A"): httpx.Response(404, json=problem),
            ("console", "/v1/orders"): {"orders": [order], "next": None},
            ("console", "/v1/orders/o1"): {"waits_for": [{"sku": "A", "quantity": 7}]},
        }
    )
    ended = run(fake, stock, monkeypatch, ["stock", "show", "A", "--json"])
    assert (ended.json["on_hand"], ended.json["waiting"][0]["units"]) == (0, 7)
    fake.answers["console", "/v1/orders"] = {"orders": [], "next": None}
    assert isinstance(run(fake, stock, monkeypatch, ["stock", "show", "A"]).error, Refused)


def test_a_refusal_reaches_the_person_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = {"detail": "200 units cannot be taken out.", "next_step": "Take out at most 8."}
    fake = FakeEdges({("inventory", "/v1/stock/adjustments"): httpx.Response(409, json=problem)})
    ended = run(fake, stock, monkeypatch, ["stock", "adjust", "MUG", "LON", "-200", "--reason", "x"])
    assert isinstance(ended.error, Refused)
    assert (ended.error.sentence, ended.error.next_step) == (problem["detail"], problem["next_step"])


def test_a_node_is_defined_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    defined = {"type": "oms.routing.node_defined", "data": {}}
    arguments = ["nodes", "define", "LON", "--name", "London", "--country", "gb", "--lat", "51.5"]
    arguments += ["--lon", "-0.1", "--ships-to", "gb, IE", "--ships-to", "FR", "--json"]
    fake = FakeEdges({("routing", "/v1/nodes/LON"): decided(defined)})
    ended = run(fake, nodes, monkeypatch, arguments)
    assert fake.requests[0].method == "PUT"
    (body,) = fake.bodies("/v1/nodes/LON")
    assert (body["country"], body["longitude"], body["ships_to"]) == ("GB", -0.1, ["GB", "IE", "FR"])
    assert ended.json["changed"] is True
    again = run(FakeEdges({("routing", "/v1/nodes/LON"): decided()}), nodes, monkeypatch, arguments)
    assert again.json["changed"] is False
    assert "was that already" in again.said


def test_a_node_has_a_calendar_where_it_has_a_time_zone(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeEdges(
        {("routing", "/v1/nodes/LON"): decided({"type": "oms.routing.node_defined", "data": {}})}
    )
    arguments = ["nodes", "define", "LON", "--name", "London", "--country", "GB", "--lat", "51.5"]
    arguments += ["--lon", "-0.1", "--time-zone", "Europe/London", "--cut-off", "13:30"]
    arguments += ["--holiday", "2026-12-25,2027-01-01", "--processing-days", "1", "--units-a-day", "500"]
    arguments += ["--service-cut-off", "express=16:00", "--service-cut-off", "two men=09:30+3"]
    run(fake, nodes, monkeypatch, arguments)
    (body,) = fake.bodies("/v1/nodes/LON")
    assert body["operations"] == {
        "time_zone": "Europe/London",
        "cut_off": "13:30",
        "working_days": ["mon", "tue", "wed", "thu", "fri"],
        "holidays": ["2026-12-25", "2027-01-01"],
        "processing_days": 1,
        "services": [
            {"service": "express", "cut_off": "16:00", "processing_days": None},
            {"service": "two men", "cut_off": "09:30", "processing_days": 3},
        ],
        "units_a_day": 500,
        "receiving_days": 0,
    }


def test_a_service_is_said_in_bands(monkeypatch: pytest.MonkeyPatch) -> None:
    defined = {"type": "oms.routing.transit_defined", "data": {}}
    fake = FakeEdges({("routing", "/v1/transit/standard"): decided(defined)})
    arguments = ["nodes", "transit", "standard", "--band", "gb@300=1", "--band", "GB,IE=2", "--band", "*=5"]
    ended = run(fake, nodes, monkeypatch, arguments)
    (body,) = fake.bodies("/v1/transit/standard")
    assert body["bands"] == [
        {"days": 1, "countries": ["GB"], "km_max": 300.0},
        {"days": 2, "countries": ["GB", "IE"]},
        {"days": 5},
    ]
    assert "3 bands" in ended.said
    mistaken = run(fake, nodes, monkeypatch, ["nodes", "transit", "--band", "GB"])
    assert isinstance(mistaken.error, Complaint)


@pytest.mark.parametrize(
    ("limits", "told"),
    [
        ({"units": 1, "opens_at": None, "closes_at": None}, "1 more unit of MUG may be waited for."),
        ({"units": 0, "opens_at": None, "closes_at": None}, "0 more units of MUG may be waited for."),
        (
            {"units": None, "opens_at": "2026-12-01T00:00Z", "closes_at": "2026-12-24T00:00Z"},
            "Any number of units of MUG may be waited for from 2026-12-01T00:00Z until 2026-12-24T00:00Z.",
        ),
    ],
)
def test_how_many_may_wait_is_told(limits: dict[str, Any], told: str) -> None:
    assert stock.may_wait("MUG", limits) == told
