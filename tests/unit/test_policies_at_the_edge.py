"""Policies as people set them and read them: over HTTP, and on the command line."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import httpx
import orjson
import pytest
from fastapi import FastAPI

from cli import promise_terms, stock_channel_days, stock_policies
from libs.events.channel_days import ChannelDays, ChannelDaysDefined, DefineChannelDays
from libs.events.policy import (
    POLICIES_STREAM,
    DefineReservationPolicies,
    PolicyRule,
    PriorityClass,
    ReservationPoliciesDefined,
)
from libs.events.supply import RULES_STREAM
from libs.runtime.complaint import Complaint
from libs.runtime.edge import Edge
from libs.runtime.problems import install
from libs.runtime.stage import dump_part
from services.inventory.channel_days_api import channel_days_routes
from services.inventory.policies import evolve_policies
from services.inventory.policy_api import RuleRequest, policy_routes
from services.inventory.rules import NO_RULES, evolve_rules
from tests.unit.cli_world import FakeEdges, run, signing_key
from tests.unit.test_cli_promises import decided
from tests.unit.test_inventory_api import Taken

BODY: dict[str, Any] = {
    "classes": [{"name": "express", "rank": 10, "step_days": 2}],
    "rules": [{"service": "express", "priority": "express", "policy": "partial", "wait_days": 14}],
}
CLASSES = (PriorityClass(name="express", rank=10, step_days=2),)
RULES = (PolicyRule(service="express", priority="express", policy="partial", wait_days=14),)


@pytest.fixture(autouse=True)
def key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with signing_key(tmp_path, monkeypatch) as key:
        yield key


def client(taken: Taken) -> httpx.AsyncClient:
    app = FastAPI()
    install(app)
    app.include_router(policy_routes(cast(Edge, taken)))
    app.include_router(channel_days_routes(cast(Edge, taken)))
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://inventory")


async def test_policies_are_one_command_and_what_is_wrong_with_them_is_told() -> None:
    taken = Taken()
    async with client(taken) as http:
        assert (await http.put("/v1/stock/policies", json=BODY)).status_code == 202
        wrong: dict[str, Any]
        for wrong in ({"rule": []}, {"rules": [{"policy": "some"}]}, {"classes": [{"name": "x", "rank": 0}]}):
            assert (await http.put("/v1/stock/policies", json=wrong)).status_code == 422
    assert taken.commands == [DefineReservationPolicies(classes=CLASSES, rules=RULES)]
    assert ("operator",) in taken.roles


async def test_whatever_a_rule_may_say_can_be_stated() -> None:
    rule = PolicyRule(channel="web", order_type="gift", substitutes=True, baskets_wait=True, reallocates=True)
    taken = Taken()
    async with client(taken) as http:
        stated = rule.model_dump(exclude_defaults=True)
        assert (await http.put("/v1/stock/policies", json={"rules": [stated]})).status_code == 202
    assert taken.commands == [DefineReservationPolicies(rules=(rule,))]
    assert RuleRequest.model_fields.keys() == PolicyRule.model_fields.keys()


async def test_policies_are_read_as_they_are() -> None:
    taken = Taken()
    async with client(taken) as http:
        assert (await http.get("/v1/stock/policies")).json() == {"version": 0, "classes": [], "rules": []}
        known = evolve_policies(ReservationPoliciesDefined(version=2, classes=CLASSES, rules=RULES))
        taken.parts[POLICIES_STREAM] = dump_part(known)
        told = (await http.get("/v1/stock/policies")).json()
    assert (told["version"], told["classes"]) == (2, BODY["classes"])
    assert told["rules"][0]["wait_days"] == 14


async def test_days_of_channels_are_one_command_and_are_read_as_they_are() -> None:
    taken = Taken()
    days = {"channel": "wholesale", "shelf_days_min": 5}
    async with client(taken) as http:
        assert (await http.put("/v1/stock/channel-days", json={"channels": [days]})).status_code == 202
        wrong = {"channels": [days | {"shelf_days_min": 0}]}
        assert (await http.put("/v1/stock/channel-days", json=wrong)).status_code == 422
        told = (await http.get("/v1/stock/channel-days")).json()
        assert told == {"version": 0, "channels": []}
        asked = (ChannelDays(channel="wholesale", shelf_days_min=5),)
        known = evolve_rules(NO_RULES, ChannelDaysDefined(version=2, channels=asked))
        taken.parts[RULES_STREAM] = dump_part(known)
        assert (await http.get("/v1/stock/channel-days")).json() == {"version": 2, "channels": [days]}
    assert taken.commands == [DefineChannelDays(channels=asked)]


def test_days_of_channels_are_changed_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    pos = {"channel": "pos", "shelf_days_min": 2}
    known = {"version": 1, "channels": [pos]}
    path = "/v1/stock/channel-days"
    fake = FakeEdges({("inventory", path): [known, decided(version=2)]})
    ended = run(fake, stock_channel_days, monkeypatch, ["stock", "channel-days", "wholesale=5", "--json"])
    named = [pos, {"channel": "wholesale", "shelf_days_min": 5}]
    assert fake.bodies(path)[-1] == {"channels": named}
    assert "Of every SKU's lots ask: pos for 2 days, wholesale for 5 days." in ended.said
    assert (ended.json["version"], ended.json["channels"]) == (2, named)
    fake = FakeEdges({("inventory", path): [known, decided(version=2)]})
    ended = run(fake, stock_channel_days, monkeypatch, ["stock", "channel-days", "pos=0"])
    assert fake.bodies(path)[-1] == {"channels": []}
    assert "No channel asks for days left." in ended.said


def test_a_file_replaces_the_policies(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "policies.json"
    file.write_bytes(orjson.dumps(BODY))
    fake = FakeEdges({("inventory", "/v1/stock/policies"): decided(version=2)})
    ended = run(fake, stock_policies, monkeypatch, ["stock", "policies", str(file), "--json"])
    assert fake.bodies("/v1/stock/policies") == [BODY]
    assert "The policies are at version 2: 1 rule." in ended.said
    assert ended.json["version"] == 2


@pytest.mark.parametrize(("text", "told"), [("{", "is no JSON"), ("[]", "holds no object")])
def test_a_file_that_holds_no_policies_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str, told: str
) -> None:
    file = tmp_path / "policies.json"
    file.write_text(text)
    ended = run(FakeEdges(), stock_policies, monkeypatch, ["stock", "policies", str(file)])
    assert isinstance(ended.error, Complaint)
    assert told in ended.error.sentence


def test_policies_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    known = evolve_policies(ReservationPoliciesDefined(version=2, classes=CLASSES, rules=RULES))
    answer = orjson.loads(dump_part(known))
    fake = FakeEdges({("inventory", "/v1/stock/policies"): answer})
    ended = run(fake, stock_policies, monkeypatch, ["stock", "policies"])
    assert "Version 2" in ended.said
    assert "14 days, then cancel" in ended.said
    assert "10/2d" in ended.said


def test_a_reorder_point_is_sent_with_the_rank_that_is_served_below_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fake = FakeEdges({("inventory", "/v1/promise-terms/MUG"): decided(terms_version=3)})
    arguments = ["stock", "promise", "terms", "MUG", "--reorder", "24:20"]
    run(fake, promise_terms, monkeypatch, arguments)
    [body] = fake.bodies("/v1/promise-terms/MUG")
    assert body["reorder"] == {"point": 24, "rank_max": 20}
    ended = run(FakeEdges(), promise_terms, monkeypatch, [*arguments[:-1], "24"])
    assert isinstance(ended.error, Complaint)


def test_what_may_be_waited_for_is_sent_with_the_terms(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeEdges({("inventory", "/v1/promise-terms/MUG"): decided(terms_version=3)})
    arguments = ["stock", "promise", "terms", "MUG", "--backorders-max", "6", "--backorders", "marketplace=2"]
    more = ["--backorders-inbound", "--backorders-from", "2027-05-01T00:00:00Z"]
    ended = run(fake, promise_terms, monkeypatch, [*arguments, *more])
    said = "6 units may be waited for, no more may be waited for than is to come, 2 by marketplace, from 2027"
    assert said in ended.said
    [body] = fake.bodies("/v1/promise-terms/MUG")
    assert isinstance(body, dict)
    assert body["backorders"] == {
        "opens_at": "2027-05-01T00:00:00Z",
        "units_max": 6,
        "inbound": True,
        "channels": [{"channel": "marketplace", "units_max": 2}],
    }
