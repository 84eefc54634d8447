"""`orderlog stock queue`: what a person reads of it is what inventory's own arithmetic says."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from cli import stock_queue
from cli.client import Refused
from libs.events.policy import DefineReservationPolicies, PolicyRule, PriorityClass
from libs.events.supply import ExpectSupply
from services.inventory.places import NO_PLACES
from services.inventory.standing import Asked, page, rows, standing
from services.inventory.stock import SkuPart
from services.inventory.supplies import SupplyPart
from tests.unit.cli_world import FakeEdges, run, signing_key
from tests.unit.inventory_trade import accepted, hold, receive
from tests.unit.inventory_world import World

CLI_PAGE = (Path(__file__).parents[2] / "docs" / "cli.md").read_text()
NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
EXPRESS = PriorityClass(name="express", rank=10)
PATH = "/v1/stock/MUG/queue"


@pytest.fixture(autouse=True)
def key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with signing_key(tmp_path, monkeypatch) as key:
        yield key


def answer() -> dict[str, Any]:
    """Four mugs came; two orders and a basket wanted five, and an express order two."""
    world = World(now=NOW)
    world.take(
        DefineReservationPolicies(
            classes=(EXPRESS,), rules=(PolicyRule(service="express", priority="express"),)
        )
    )
    world.take(receive("MUG", 4))
    world.take(accepted("4f1c", ("MUG", 3)))
    world.take(hold("b1", ("MUG", 1)))
    world.now += timedelta(hours=1)
    world.take(accepted("9a07", ("MUG", 1)))
    world.now += timedelta(hours=1)
    world.take(accepted("c3d2", ("MUG", 2)).model_copy(update={"service": "express"}))
    for id_, units, days in (("PO-7", 2, 7), ("PO-8", 9, 14)):
        stated = {"expected_at": NOW + timedelta(days=days), "stated_at": world.now}
        world.take(ExpectSupply(sku="MUG", supply_id=id_, node="LON", quantity=units, **stated))
    world.due(world.timers["sku/MUG", "pegs"])
    part, supply = world.parts["sku/MUG"], world.parts["supply/MUG"]
    assert isinstance(part, SkuPart)
    assert isinstance(supply, SupplyPart)
    found, _ = page(part, None, 100)
    told = rows(found, Asked("MUG", part, supply, (EXPRESS,), world.now))
    known = standing(part, supply, NO_PLACES, world.now)
    return {"sku": "MUG", "at": world.now, **known, "queue": told, "next": None}


def test_the_page_shows_what_is_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    found = orjson.loads(orjson.dumps(answer()))
    told = run(
        FakeEdges({("inventory", PATH): found}), stock_queue, monkeypatch, ["stock", "queue", "MUG"]
    ).err
    [block] = re.findall(r"^    \$ orderlog stock queue MUG\n((?:    .*\n)+)", CLI_PAGE, re.MULTILINE)
    assert block.split() == told.split(), told


def test_no_more_pages_are_read_than_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    found = orjson.loads(orjson.dumps(answer()))
    one, two = found["queue"]
    pages = [found | {"queue": [one], "next": "[1]"}, found | {"queue": [two], "next": "[2]"}]
    fake = FakeEdges({("inventory", PATH): pages})
    ended = run(fake, stock_queue, monkeypatch, ["stock", "queue", "MUG", "--limit", "2", "--json"])
    assert [row["order_id"] for row in ended.json["queue"]] == [one["order_id"], two["order_id"]]
    assert ended.json["next"] == "[2]"
    asked = [(request.url.params.get("limit"), request.url.params.get("after")) for request in fake.requests]
    assert asked == [("2", None), ("1", "[1]")]


def test_an_empty_queue_a_bundle_and_an_unknown_sku(monkeypatch: pytest.MonkeyPatch) -> None:
    nobody = {"sku": "SET", "on_hand": 0, "free": 0, "orders": 0, "waiting": 0, "supplies": [], "caps": []}
    nobody |= {"held_baskets": {"baskets": 0, "units": 0, "oldest": []}, "queue": [], "next": None}
    fake = FakeEdges({("inventory", "/v1/stock/SET/queue"): nobody | {"bundle_of": {"MUG": 2, "BOX": 1}}})
    said = run(fake, stock_queue, monkeypatch, ["stock", "queue", "SET"]).said
    assert said.startswith("SET is a bundle of 2 MUG, 1 BOX: orders of it wait for these. 0 orders wait.")
    assert isinstance(run(FakeEdges(), stock_queue, monkeypatch, ["stock", "queue", "X"]).error, Refused)
