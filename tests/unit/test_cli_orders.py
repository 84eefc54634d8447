"""What a person sees of orders: the page of one, lists, and how a cancellation ended.

The edges are replaced (cli_world): this is the text layer.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from cli import order_page, orders
from cli.client import Refused
from libs.events.ids import order_id
from libs.runtime.complaint import Complaint
from libs.runtime.settings import STAGES
from tests.unit.cli_world import FakeEdges, edges_of, run, signing_key

ID = order_id("acme", "web", "C-1")
PATH = f"/v1/orders/{ID}"
CANCEL = f"{PATH}/cancel"
REQUEST = "11111111-1111-1111-1111-111111111111"


@pytest.fixture(autouse=True)
def key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr("cli.orders.time.sleep", lambda seconds: None)
    with signing_key(tmp_path, monkeypatch) as key:
        yield key


def entry(type_: str, sentence: str, stage: str = "intake", cause: str = "", cause_type: str = "") -> Any:
    return {
        "at": "2026-03-02T09:00:01Z",
        "stage": stage,
        "type": type_,
        "sentence": sentence,
        "actor": "ada",
        "event_id": REQUEST,
        "cause": {"id": cause, "type": cause_type or None},
    }


def an_order(**changes: Any) -> dict[str, Any]:
    """An order as the console answers it."""
    return {
        "order_id": ID,
        "status": "released",
        "channel": "web",
        "external_id": "C-1",
        "ordered_at": "2026-03-02T09:00:00Z",
        "currency": "GBP",
        "total_minor": 123450,
        "units": 3,
        "payment": "paid",
        "data_subject": "c:77",
        "destination": {"country": "GB", "postcode_area": "LS1"},
        "reasons": [],
        "holds": [],
        "waits_for": [],
        "cancellation": {"requested_at": None, "cancelled_at": None, "declined_at": None},
        "milestones": dict.fromkeys(order_page.MILESTONES) | {"confirmed": "2026-03-02T09:00:01Z"},
        "lines": [{"line": 1, "sku": "MUG", "ordered": 3, "units": {"released": 3}, "returned": 0}],
        "fulfillment_orders": [],
        "shipments": [],
        "returns": [],
        "timeline": [entry("oms.intake.order_accepted", f"Released 3 units to LON as {ID}-F1.")],
        "timeline_next": None,
    } | changes


def nothing_parked() -> dict[tuple[str, str], Any]:
    return {(stage, "/v1/parked"): {"parked": []} for stage in STAGES}


def showing(order: dict[str, Any]) -> FakeEdges:
    return FakeEdges({("console", PATH): order, **nothing_parked()})


def test_the_page_says_where_it_stands_and_what_happened(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = run(showing(an_order()), orders, monkeypatch, ["orders", "show", "web/C-1", "--tenant", "acme"])
    assert ended.exit_code == 0
    for says in (
        "web/C-1  released",
        "1,234.50 GBP, 3 units",
        "3 released",
        "Released 3 units to LON as F1.",
    ):
        assert says in ended.err
    assert "2026-03-02 09:00:01" in ended.err
    assert max(map(len, ended.err.splitlines())) <= 80


def test_a_line_of_bundles_is_shown_with_its_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    part = {"line": 2, "of_line": 1, "sku": "MUG", "quantity": 6, "units": {"released": 6}, "returned": 1}
    box = {"line": 1, "sku": "BOX", "ordered": 3, "units": {"released": 3}, "returned": 0}
    shown = showing(an_order(lines=[box], parts=[part]))
    ended = run(shown, orders, monkeypatch, ["orders", "show", "web/C-1", "--tenant", "acme"])
    lines = [" ".join(line.split()) for line in ended.err.splitlines()]
    assert "1 BOX 3 3 released" in lines
    assert "2 part of 1: MUG 6 6 released; 1 came back" in lines


def test_somebodys_text_is_neither_markup_nor_steers_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    hostile = entry("oms.intake.order_closed", "Closed: [red]x[/nope] \x1b[2J\u202e.")
    ended = run(
        showing(an_order(timeline=[hostile])),
        orders,
        monkeypatch,
        ["orders", "show", "web/C-1", "--tenant", "acme"],
    )
    assert "Closed: [red]x[/nope] �[2J�." in ended.err
    assert "\x1b" not in ended.err


def test_a_parked_record_of_the_order_is_what_blocks_it(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = showing(an_order())
    fake.answers["routing", "/v1/parked"] = {"parked": [{"key": f"acme/{ID}"}, {"key": "acme/other"}]}
    fake.answers["inventory", "/v1/parked"] = {"parked": [{"key": "acme/other"}, {"key": f"beta/{ID}"}]}
    fake.answers["returns", "/v1/parked"] = httpx.ConnectError("down")
    ended = run(fake, orders, monkeypatch, ["orders", "show", ID, "--tenant", "acme", "--json"])
    assert ended.json["waits"] == [
        f"A record is parked at routing; see `orderlog parked show acme/{ID}`.",
        "returns does not answer; see `orderlog status`.",
    ]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (
            {"holds": [{"name": "payment", "message": "Pending.", "released_at": None}]},
            "Hold payment: Pending. When settled: orderlog orders release web/C-1 payment",
        ),
        ({"waits_for": [{"sku": "MUG", "quantity": 2}]}, "2 units of MUG to arrive: orderlog stock show MUG"),
        (
            {"fulfillment_orders": [{"node": "LON", "state": "picking", "fulfillment_order_id": f"{ID}-F1"}]},
            "LON to pack F1.",
        ),
        (
            {
                "fulfillment_orders": [
                    {
                        "node": "LON",
                        "state": "released",
                        "fulfillment_order_id": f"{ID}-F1",
                        "places": [
                            {"sku": "MUG", "quantity": 2, "bin": "A-12-3", "lot": None},
                            {"sku": "TEA", "quantity": 1, "bin": "R-7-2", "lot": "L-1"},
                            {"sku": "MILK", "quantity": 1, "bin": None, "lot": "L-2"},
                        ],
                    }
                ]
            },
            "LON to pick F1: 2 MUG from A-12-3, 1 TEA from R-7-2 (lot L-1), 1 MILK of lot L-2.",
        ),
        (
            {
                "shipments": [
                    {"carrier": "Post", "shipment_id": f"{ID}-S1", "delivered_at": None, "lost_at": None}
                ]
            },
            "Post to deliver S1.",
        ),
        (
            {
                "cancellation": {
                    "requested_at": "2026-03-02T09:00:00Z",
                    "cancelled_at": None,
                    "declined_at": None,
                }
            },
            "Fulfillment to decide what of it can still be cancelled.",
        ),
    ],
)
def test_what_an_open_order_waits_for(changes: dict[str, Any], says: str) -> None:
    assert order_page.waits(an_order(**changes)) == [says]
    assert order_page.waits(an_order(status="delivered", **changes)) == []


def test_an_order_is_named_in_three_ways() -> None:
    fake = FakeEdges(
        {("console", "/v1/orders"): {"orders": [{"order_id": ID, "channel": "web"}], "next": None}}
    )
    with edges_of(fake) as edges:
        assert orders.resolve(edges, ID.upper(), None) == ID
        assert orders.resolve(edges, "web/C-1", None) == ID
        assert orders.resolve(edges, "C-1", "web") == ID
        assert not fake.requests, "nobody needs to be asked for these"
        assert orders.resolve(edges, "C-1", None) == ID
    assert dict(fake.requests[0].url.params)["external_id"] == "C-1"


def test_an_external_id_of_two_channels_is_asked_back() -> None:
    rows = [{"order_id": "1", "channel": "web"}, {"order_id": "2", "channel": "shop"}]
    fake = FakeEdges({("console", "/v1/orders"): {"orders": rows, "next": None}})
    with edges_of(fake) as edges, pytest.raises(Complaint, match=r"web, shop.*--channel"):
        orders.resolve(edges, "C-1", None)


def test_an_unknown_order_is_told_by_the_name_it_was_asked_by() -> None:
    problem = {"type": "urn:orderlog:problem:unknown_order", "title": "No such order", "status": 404}
    fake = FakeEdges({("console", PATH): problem})
    with edges_of(fake) as edges, pytest.raises(Complaint, match="acme has no order web/C-1") as told:
        orders.find(edges, "web/C-1", None)
    assert not isinstance(told.value, Refused)


def test_a_list_goes_on_until_it_has_as_many_as_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    row = {"channel": "web", "external_id": "C-1", "status": "held", "ordered_at": None, "units": 1}
    row |= {"total_minor": None, "currency": None}
    pages = [{"orders": [row] * 200, "next": "p2"}, {"orders": [row] * 50, "next": "p3"}]
    fake = FakeEdges({("console", "/v1/orders"): list(pages)})
    chosen = ["--since", "2026-03-01", "--service", "express"]
    ended = run(fake, orders, monkeypatch, ["orders", "list", "-n", "250", *chosen, "--json"])
    asked = [dict(request.url.params) for request in fake.requests]
    assert [(page["limit"], page["from"]) for page in asked] == [("200", "2026-03-01"), ("50", "2026-03-01")]
    assert {page["service"] for page in asked} == {"express"}
    assert (len(ended.json["orders"]), ended.json["next"]) == (250, "p3")
    assert "--after p3" in ended.err


def requested() -> dict[str, Any]:
    event = {"type": "oms.intake.order_cancellation_requested", "id": REQUEST, "data": {}}
    return {"decided": True, "command_id": "c", "events": [event]}


def cancelling(fake: FakeEdges, monkeypatch: pytest.MonkeyPatch, *more: str) -> Any:
    arguments = ["orders", "cancel", ID, "--reason", "r", "--tenant", "acme", "--json", *more]
    return run(fake, orders, monkeypatch, arguments)


CANCELLED = "oms.fulfillment.fulfillment_cancelled"
DECLINED = "oms.fulfillment.cancellation_declined"


def test_a_cancellation_waits_for_its_own_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    before = entry(DECLINED, "An earlier one, declined.", "fulfillment", "another")
    answer = entry(CANCELLED, "Cancelled 2 units.", "fulfillment", REQUEST)
    lines = [{"line": 1, "sku": "MUG", "ordered": 3, "units": {"cancelled": 2, "shipped": 1}, "returned": 0}]
    pages = [
        an_order(timeline=[before]),
        an_order(timeline=[before, answer]),  # the lines were read a moment before
        an_order(timeline=[before, answer], lines=lines),
    ]
    fake = FakeEdges({("intake", CANCEL): requested(), ("console", PATH): pages})
    ended = cancelling(fake, monkeypatch)
    assert ended.json["outcome"] == "cancelled"
    assert ended.json["message"] == "Cancelled 2 units. 1 unit had left already, or could not be shipped."
    assert fake.bodies(CANCEL) == [{"reason": "r"}]


def test_a_declined_cancellation_ends_with_one(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = entry(DECLINED, "Too late.", "fulfillment", REQUEST)
    fake = FakeEdges({("intake", CANCEL): requested(), ("console", PATH): an_order(timeline=[answer])})
    ended = cancelling(fake, monkeypatch)
    assert (ended.exit_code, ended.json["outcome"], ended.json["ok"]) == (1, "declined", False)


def test_a_cancellation_that_nobody_answered_is_still_deciding(monkeypatch: pytest.MonkeyPatch) -> None:
    for console in (an_order(), httpx.ConnectError("down")):
        fake = FakeEdges({("intake", CANCEL): requested(), ("console", PATH): console})
        ended = cancelling(fake, monkeypatch, "--wait", "0")
        assert (ended.exit_code, ended.json["outcome"]) == (0, "deciding")


def test_a_repeated_cancellation_tells_the_first_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = "oms.intake.order_cancellation_requested"
    answer = entry(DECLINED, "Too late.", "fulfillment", "earlier", asked)
    fake = FakeEdges(
        {
            ("intake", CANCEL): {"decided": True, "command_id": "c", "events": []},
            ("console", PATH): an_order(timeline=[answer]),
        }
    )
    assert cancelling(fake, monkeypatch).json["outcome"] == "declined"


def test_a_held_order_is_cancelled_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = {"decided": True, "events": [{"type": "oms.intake.order_closed", "id": REQUEST, "data": {}}]}
    ended = cancelling(FakeEdges({("intake", CANCEL): closed}), monkeypatch)
    assert ended.json["outcome"] == "cancelled"


def test_a_command_not_decided_in_time_is_no_success(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeEdges({("intake", CANCEL): {"decided": False, "command_id": "c-7"}})
    ended = cancelling(fake, monkeypatch)
    assert isinstance(ended.error, Complaint)
    assert ended.error.exit_code == 3
    assert "c-7" in ended.error.sentence


def test_a_released_hold_tells_what_still_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    path = f"{PATH}/holds/payment/release"
    released = {"type": "oms.intake.hold_released", "data": {"remaining": ["address"]}}
    arguments = ["orders", "release", "web/C-1", "payment", "--note", "paid", "--tenant", "acme", "--json"]
    fake = FakeEdges({("intake", path): {"decided": True, "events": [released]}})
    ended = run(fake, orders, monkeypatch, arguments)
    assert ended.json["remaining"] == ["address"]
    assert "Still blocking: address." in ended.said
    accepted = {"type": "oms.intake.order_accepted", "data": {}}
    last = {"type": "oms.intake.hold_released", "data": {"remaining": []}}
    fake = FakeEdges({("intake", path): {"decided": True, "events": [last, accepted]}})
    assert "The order is accepted." in run(fake, orders, monkeypatch, arguments).said


def test_money_has_as_many_decimals_as_its_currency() -> None:
    told = [
        order_page.money(amount, currency) for amount, currency in ((-5, "GBP"), (1234, "JPY"), (1, None))
    ]
    assert told == ["-0.05 GBP", "1,234 JPY", ""]
