"""Substitutes: what is sent in place of a SKU that lacks, for whom, and what of it everybody can see."""

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import httpx
import orjson
import pytest
from fastapi import FastAPI

from cli import stock_substitutes
from libs.events.backorders import BackorderRefused, Backorders
from libs.events.bundles import BundlePart, BundlesUnpacked, DefineBundle
from libs.events.contract import Event
from libs.events.intake import OrderAccepted
from libs.events.inventory import StockBackordered, StockReserved
from libs.events.policy import DefineReservationPolicies, PolicyRule
from libs.events.promise import DefinePromiseTerms
from libs.events.refusal import CommandRefused
from libs.events.substitutes import DefineSubstitutes, SubstitutesDefined, SubstitutesSought
from libs.runtime.edge import Edge
from libs.runtime.problems import Problem
from libs.runtime.stage import dump_part
from services.console.parts import unpacked
from services.console.sentences import sentence
from services.inventory.proof import prove
from services.inventory.stock import EMPTY_SKU, SkuPart
from services.inventory.substitute_api import substitute_routes
from tests.unit.cli_world import FakeEdges, run, signing_key
from tests.unit.inventory_trade import accepted, cancelled, line, receive, routed
from tests.unit.inventory_world import World, fold, known
from tests.unit.test_cli_promises import decided
from tests.unit.test_inventory_api import Taken


def shop(**stock: int) -> World:
    """MUG may be replaced by CUP, then by BOWL, in orders of the web shop."""
    world = World()
    for sku, quantity in stock.items():
        world.take(receive(sku, quantity))
    world.take(DefineSubstitutes(sku="MUG", substitutes=("CUP", "BOWL")))
    world.take(DefineReservationPolicies(rules=(PolicyRule(channel="web", substitutes=True),)))
    return world


def take(world: World, order: OrderAccepted) -> list[Event]:
    """The events of its turn, and of those that are due at once."""
    events = world.take(order)
    while soon := [timer for timer in world.timers.values() if timer.due_at <= world.now]:
        events += world.due(soon[0])
    return events


def proven(world: World) -> None:
    proof = prove(world.log)
    assert proof.holds, proof.violation
    assert known(fold(world.folded)) == known(world.parts)


def reserved(world: World, sku: str) -> int:
    part = world.parts.get(f"sku/{sku}", EMPTY_SKU)
    assert isinstance(part, SkuPart)
    return part.reserved


def test_who_finds_what_it_wants_is_sent_it_in_one_turn() -> None:
    world = shop(MUG=2, CUP=9)
    [found] = take(world, accepted("1", ("MUG", 2)))
    assert isinstance(found, StockReserved)
    assert found.bundles is None


def test_a_line_that_lacks_is_replaced_whole_and_both_are_told() -> None:
    world = shop(MUG=1, CUP=2, TEA=1)
    sought, replaced, found = take(world, accepted("1", ("MUG", 2), ("TEA", 1)))
    assert isinstance(sought, SubstitutesSought)
    assert sought.candidates == ("CUP", "BOWL")
    assert isinstance(replaced, BundlesUnpacked)
    [bought] = replaced.bundles
    [sent] = bought.parts
    assert (bought.line, bought.sku, bought.quantity, bought.substituted) == (1, "MUG", 2, "lacks")
    assert (sent.line, sent.sku, sent.quantity) == (3, "CUP", 2)
    assert isinstance(found, StockReserved)
    assert [(one.line, one.sku, one.quantity) for one in found.lines] == [(2, "TEA", 1), (3, "CUP", 2)]
    assert found.bundles == replaced.bundles, "who ships and who takes back knows what was bought"
    assert (reserved(world, "MUG"), reserved(world, "CUP")) == (0, 2)
    assert unpacked(replaced)[3].instead
    assert sentence(sought) == "Not all is there; looks for CUP, BOWL in place of it."
    assert sentence(replaced) == "Replaced 2 of MUG by CUP: not all of it was there."
    world.take(routed("1", 1, N1=(line(2, "TEA", 1), line(3, "CUP", 2))))
    proven(world)


def test_the_first_of_which_all_is_there_is_taken_and_no_unit_twice() -> None:
    world = shop(CUP=2, BOWL=3)
    events = take(world, accepted("1", ("MUG", 2), ("MUG", 3), ("MUG", 1)))
    [replaced] = [event for event in events if isinstance(event, BundlesUnpacked)]
    assert [(one.line, one.parts[0].sku) for one in replaced.bundles] == [(1, "CUP"), (2, "BOWL")]
    assert [(one.line, one.sku) for one in replaced.others] == [(3, "MUG")]
    waits = events[-1]
    assert isinstance(waits, StockBackordered)
    assert [(one.sku, one.quantity) for one in waits.short] == [("MUG", 1)]
    proven(world)


def test_where_no_substitute_is_there_the_order_waits_for_what_it_named() -> None:
    world = shop(CUP=1)
    sought, waits = take(world, accepted("1", ("MUG", 2)))
    assert isinstance(sought, SubstitutesSought)
    assert isinstance(waits, StockBackordered)
    assert waits.short[0].sku == "MUG"
    world.take(receive("MUG", 2))
    served = take(world, accepted("2", ("TEA", 1)))
    assert any(isinstance(event, StockReserved) and event.order_id == "1" for event in served)
    proven(world)


def test_only_whom_a_policy_lets_is_sent_another() -> None:
    world = shop(CUP=2)
    [waits] = take(world, accepted("1", ("MUG", 1)).model_copy(update={"channel": "pos"}))
    assert isinstance(waits, StockBackordered)


def test_what_may_not_be_waited_for_is_refused_only_if_it_cannot_be_replaced() -> None:
    world = shop(CUP=1)
    world.take(DefinePromiseTerms(sku="MUG", backorders=Backorders(units_max=0)))
    kinds = [type(event) for event in take(world, accepted("1", ("MUG", 1)))]
    assert kinds == [SubstitutesSought, BundlesUnpacked, StockReserved]
    kinds = [type(event) for event in take(world, accepted("2", ("MUG", 1)))]
    assert kinds == [SubstitutesSought, BackorderRefused]
    proven(world)


def test_an_order_cancelled_while_substitutes_are_looked_at_is_promised_nothing() -> None:
    world = shop(CUP=1)
    world.take(accepted("1", ("MUG", 1)))
    world.take(cancelled("1"))
    assert take(world, accepted("2", ("TEA", 1)))[0].stream == "2"
    assert reserved(world, "CUP") == 0
    proven(world)


def test_substitutes_are_versioned_and_what_cannot_be_meant_is_refused() -> None:
    world = World()
    [defined] = world.take(DefineSubstitutes(sku="MUG", substitutes=("CUP",)))
    assert defined == SubstitutesDefined(sku="MUG", version=1, substitutes=("CUP",))
    assert world.take(DefineSubstitutes(sku="MUG", substitutes=("CUP",))) == []
    for named in (("MUG",), ("CUP", "CUP")):
        [refused] = world.take(DefineSubstitutes(sku="MUG", substitutes=named))
        assert isinstance(refused, CommandRefused)
        assert refused.code == "substitute_twice"
    [ended] = world.take(DefineSubstitutes(sku="MUG", substitutes=()))
    assert ended == SubstitutesDefined(sku="MUG", version=2, substitutes=())
    world.take(receive("CUP", 1))
    world.take(DefineBundle(sku="BOX", parts=(BundlePart(sku="CUP", quantity=1),)))
    [refused] = world.take(DefineSubstitutes(sku="BOX", substitutes=("CUP",)))
    assert isinstance(refused, CommandRefused)
    assert refused.code == "kept_as_parts"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"sku": "TEA"}, "are replaced by TEA, which version 1 does not name"),
        ({"quantity": 3}, "2 units of MUG are replaced by 3"),
    ],
)
def test_a_log_that_sends_what_nobody_named_or_too_much_does_not_hold(
    change: dict[str, Any], said: str
) -> None:
    world = shop(CUP=2)
    take(world, accepted("1", ("MUG", 2)))
    at = [row.type for row in world.log].index(BundlesUnpacked.TYPE)
    payload = orjson.loads(world.log[at].payload)
    payload["bundles"][0]["parts"][0] |= change
    told = replace(world.log[at], payload=orjson.dumps(payload))
    violation = prove([*world.log[:at], told, *world.log[at + 1 :]]).violation
    assert violation is not None
    assert said in violation.message


async def test_the_edge_takes_and_tells_substitutes() -> None:
    taken, app = Taken(), FastAPI()
    app.include_router(substitute_routes(cast(Edge, taken)))
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://inventory") as http:
        body: dict[str, Any] = {"substitutes": ["CUP", "BOWL"]}
        assert (await http.put("/v1/substitutes/MUG", json=body)).status_code == 202
        assert taken.commands == [DefineSubstitutes(sku="MUG", substitutes=("CUP", "BOWL"))]
        assert (await http.put("/v1/substitutes/MUG", json={"by": []})).status_code == 422
        with pytest.raises(Problem, match="SKU MUG"):
            await http.get("/v1/substitutes/MUG")
        taken.parts["sku/MUG"] = dump_part(EMPTY_SKU)
        none = (await http.get("/v1/substitutes/MUG")).json()
        assert none == {"sku": "MUG", "version": 0, "substitutes": []}
        taken.parts["sku/MUG"] = dump_part(shop(MUG=1).parts["sku/MUG"])
        told = (await http.get("/v1/substitutes/MUG")).json()
        assert told == {"sku": "MUG", "version": 1, "substitutes": ["CUP", "BOWL"]}


@pytest.mark.parametrize(
    ("arguments", "sent", "said"),
    [
        (["CUP", "BOWL"], [{"substitutes": ["CUP", "BOWL"]}], "In place of MUG: CUP, BOWL."),
        (["--none"], [{"substitutes": []}], "Nothing may be sent in place of MUG."),
        ([], [], "In place of MUG: VASE."),
    ],
)
def test_the_command_line_defines_and_shows_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], sent: list[object], said: str
) -> None:
    path = "/v1/substitutes/MUG"
    answer = decided(version=1) if sent else {"substitutes": ["VASE"]}
    fake = FakeEdges({("inventory", path): answer})
    with signing_key(tmp_path, monkeypatch):
        ended = run(fake, stock_substitutes, monkeypatch, ["stock", "substitutes", "MUG", *arguments])
    assert said in ended.said
    assert [orjson.loads(one.content) for one in fake.requests if one.method == "PUT"] == sent
