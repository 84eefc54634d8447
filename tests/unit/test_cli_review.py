"""Plans that are reviewed, on the command line: the limits, and an approval."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cli import review
from tests.unit.cli_world import FakeEdges, run, signing_key
from tests.unit.test_cli_orders import ID, PATH, an_order

LIMITS = {"nodes_max": 2, "distance_km_max": 800, "farther_km_max": None}
NONE = dict.fromkeys(LIMITS)
DEFINED = {"decided": True, "events": [{"type": "oms.routing.review_defined", "data": LIMITS}]}
ROUTED = {
    "type": "oms.routing.order_routed",
    "data": {
        "round": 2,
        "nodes": [{"node": "LON", "lines": []}, {"node": "MAN", "lines": []}],
        "promised": {"ship_by": "2026-03-02", "deliver_by": "2026-03-04"},
    },
}
APPROVE = f"{PATH}/routing/approve"
ASK = ["orders", "approve", ID, "--tenant", "acme", "--reason", "worth it"]


@pytest.fixture(autouse=True)
def key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with signing_key(tmp_path, monkeypatch) as key:
        yield key


def test_the_limits_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeEdges({("routing", review.PATH): [NONE | {"nodes_version": 0}, LIMITS | {"nodes_version": 4}]})
    ask = ["nodes", "review", "--tenant", "acme", "--json"]
    assert run(fake, review, monkeypatch, ask).said == "No plan is held for review."
    ended = run(fake, review, monkeypatch, ask)
    assert ended.said == (
        "A plan is held for review if it takes more than 2 nodes, or its nodes are more than 800 km away,"
        " added up."
    )
    assert ended.json == {"ok": True, "tenant": "acme", **LIMITS, "changed": False}
    assert [request.method for request in fake.requests] == ["GET", "GET"]


def test_limits_are_said_anew_as_a_whole_and_taken_back(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeEdges({("routing", review.PATH): DEFINED})
    ask = ["nodes", "review", "--tenant", "acme"]
    run(fake, review, monkeypatch, [*ask, "--nodes-max", "2", "--km-max", "800"])
    run(fake, review, monkeypatch, [*ask, "--none"])
    assert fake.bodies(review.PATH) == [LIMITS, NONE]
    fake.answers["routing", review.PATH] = {"decided": True, "events": []}
    said = run(fake, review, monkeypatch, [*ask, "--none"]).said
    assert said == "It was that already: No plan is held for review."
    both = run(fake, review, monkeypatch, [*ask, "--none", "--farther-km-max", "3"])
    assert "exclude each other" in str(both.error)


def test_what_is_held_now_is_approved(monkeypatch: pytest.MonkeyPatch) -> None:
    answers: dict[tuple[str, str], Any] = {("console", PATH): an_order(in_review=2)}
    fake = FakeEdges(answers | {("routing", APPROVE): {"decided": True, "events": [ROUTED]}})
    ended = run(fake, review, monkeypatch, [*ASK, "--node", "LON", "--node", "MAN", "--json"])
    assert ended.said == f"Order {ID} is routed to LON, MAN; to be delivered by 2026-03-04."
    assert ended.json["deliver_by"] == "2026-03-04"
    assert fake.bodies(APPROVE) == [{"round": 2, "nodes": ["LON", "MAN"], "reason": "worth it"}]


def test_an_order_of_which_nothing_is_held_says_where_it_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeEdges({("console", PATH): an_order(in_review=None, status="in_transit")})
    ended = run(fake, review, monkeypatch, ASK)
    assert "is held for review: it is in transit." in str(ended.error)
    assert not fake.bodies(APPROVE)
