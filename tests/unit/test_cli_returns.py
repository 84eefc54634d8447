"""Returns on the command line: authorised, received with what becomes of each unit, and shown."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cli import returns
from tests.unit.cli_world import FakeEdges, run, signing_key
from tests.unit.test_cli_orders import ID, PATH, REQUEST, an_order

RMA = f"{ID}-R1"
RECEIPTS = f"/v1/returns/{RMA}/receipts"


@pytest.fixture(autouse=True)
def key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with signing_key(tmp_path, monkeypatch) as key:
        yield key


def decided(*events: tuple[str, dict[str, Any]]) -> dict[str, Any]:
    told = [{"id": REQUEST, "type": f"oms.returns.{name}", "data": fields} for name, fields in events]
    return {"decided": True, "events": told}


def test_a_return_is_authorised_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeEdges({("returns", f"{PATH}/returns"): decided(("return_authorised", {"rma_id": RMA}))})
    arguments = [
        "returns",
        "authorise",
        ID,
        "--line",
        "1=2",
        "--reason",
        "small",
        "--tenant",
        "acme",
        "--json",
    ]
    ended = run(fake, returns, monkeypatch, arguments)
    assert ended.said == f"Return {RMA} is authorised for 2 units."
    assert ended.json == {"ok": True, "order_id": ID, "rma_id": RMA}
    assert fake.bodies(f"{PATH}/returns") == [{"lines": [{"line": 1, "quantity": 2, "reason": "small"}]}]


def test_what_came_is_told_unit_by_unit_and_what_goes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    refund = {"amount_minor": 1990, "currency": "GBP", "refund_id": f"{RMA}-refund-1"}
    answer = decided(("return_received", {}), ("refund_requested", refund), ("return_closed", {}))
    fake = FakeEdges({("returns", RECEIPTS): answer})
    came = ["--units", "1=1:restock", "--units", "1=1:quarantine:opened"]
    ended = run(
        fake, returns, monkeypatch, ["returns", "receive", RMA, "--node", "LON", *came, "--tenant", "acme"]
    )
    assert ended.said == f"2 units of {RMA} received at LON. 19.90 GBP go back. It is closed."
    doubted = {"line": 1, "quantity": 1, "disposition": "quarantine", "condition": "opened"}
    units = [{"line": 1, "quantity": 1, "disposition": "restock"}, doubted]
    assert fake.bodies(RECEIPTS) == [{"node": "LON", "units": units}]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["receive", ID, "--node", "LON", "--units", "1=1:restock"], "names no return"),
        (["receive", RMA, "--node", "LON", "--units", "1=1"], "--units 1=1: what is meant?"),
        (["receive", RMA, "--node", "LON", "--units", "1=1:eat"], "--units 1=1:eat: what is meant?"),
        (["authorise", ID, "--line", "one"], "--line one: what is meant?"),
    ],
)
def test_what_is_nothing_of_the_kind_is_asked_back(
    monkeypatch: pytest.MonkeyPatch, arguments: list[str], says: str
) -> None:
    fake = FakeEdges()
    ended = run(fake, returns, monkeypatch, ["returns", *arguments, "--tenant", "acme"])
    assert says in str(ended.error)
    assert not fake.requests


def test_units_with_serial_numbers_name_them(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeEdges({("returns", RECEIPTS): decided(("return_received", {}))})
    came = ["--units", "1=2:restock::SN-1,SN-2", "--units", "1=1:scrap:broken:SN-3"]
    run(fake, returns, monkeypatch, ["returns", "receive", RMA, "--node", "LON", *came, "--tenant", "acme"])
    good = {"line": 1, "quantity": 2, "disposition": "restock", "serials": ["SN-1", "SN-2"]}
    broken = {"line": 1, "quantity": 1, "disposition": "scrap", "condition": "broken", "serials": ["SN-3"]}
    assert fake.bodies(RECEIPTS) == [{"node": "LON", "units": [good, broken]}]


def test_an_orders_returns_are_shown_by_its_id_or_theirs(monkeypatch: pytest.MonkeyPatch) -> None:
    unit = {"line": 1, "sku": "MUG", "quantity": 2, "disposition": "scrap", "node": "LON"}
    rma = {"rma_id": RMA, "lines": [{"line": 1, "quantity": 3}], "received": [unit], "closed_at": None}
    refund = {"amount_minor": 200, "currency": "GBP", "cause": "returned"}
    at = {"requested_at": "2026-03-02T09:00:00Z"}
    order = an_order(returns=[rma], refunds=[refund | at], voids=[refund | at | {"amount_minor": 350}])
    for named in (ID, RMA):
        fake = FakeEdges({("console", PATH): order})
        ended = run(fake, returns, monkeypatch, ["returns", "show", named, "--tenant", "acme", "--json"])
        for says in (
            f"{RMA} open",
            "1 MUG 3 2 scrap at LON",
            "Refund of 2.00 GBP (returned)",
            "Payment of 3.50 GBP",
        ):
            assert says in ended.said
        assert ended.json["returns"] == [rma]
