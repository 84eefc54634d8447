"""Kits as sentences: parts become kits at a node and kits become parts; what is promised is left alone."""

import pytest

from libs.events.bundles import (
    AssembleKit,
    BundleDefined,
    BundlePart,
    DefineBundle,
    KitAssembled,
    KitMovement,
    KitTakenApart,
    RemoveBundle,
    TakeKitApart,
)
from libs.events.contract import Contract
from libs.events.inventory import StockPegged, StockReserved
from libs.events.policy import DefineReservationPolicies, PolicyRule
from tests.spec import Spec
from tests.unit.inventory_lots import delivered, milk
from tests.unit.inventory_stage import sku, stocked
from tests.unit.inventory_trade import accepted, due, receive
from tests.unit.test_inventory_bundles import define

BOX = (("MUG", 2), ("TEA", 1))


def kits(**on_hand: int) -> Spec:
    """Stock, and a kit of two mugs and a tea."""
    return stocked(**on_hand).heard(define(*BOX, kept="assembled"))


def make(quantity: int, node: str = "N1", name: str = "BOX") -> AssembleKit:
    return AssembleKit(sku=name, node=node, quantity=quantity)


def undo(quantity: int, node: str = "N1", name: str = "BOX") -> TakeKitApart:
    return TakeKitApart(sku=name, node=node, quantity=quantity)


def moved(name: str, position: int, quantity: int, together: bool) -> KitMovement:
    source, target = ("on_hand", "kitted") if (name != "BOX") == together else ("kitted", "on_hand")
    return KitMovement.model_validate(
        {
            "sku": name,
            "node": "N1",
            "source": source,
            "target": target,
            "quantity": quantity,
            "position": position,
        }
    )


def test_parts_on_hand_become_kits_on_hand_and_parts_again() -> None:
    spec = kits(MUG=5, TEA=3)
    spec.when(make(2)).then(
        KitAssembled(
            sku="BOX",
            node="N1",
            quantity=2,
            bundle_version=1,
            movements=(moved("MUG", 2, 4, True), moved("TEA", 2, 2, True), moved("BOX", 1, 2, True)),
        )
    )
    assert [sku(spec, name).on_hand for name in ("BOX", "MUG", "TEA")] == [{"N1": 2}, {"N1": 1}, {"N1": 1}]
    spec.when(undo(2)).then_one(
        KitTakenApart,
        movements=(moved("BOX", 2, 2, False), moved("MUG", 3, 4, False), moved("TEA", 3, 2, False)),
    )
    assert [sku(spec, name).on_hand for name in ("BOX", "MUG", "TEA")] == [{}, {"N1": 5}, {"N1": 3}]


def test_an_order_for_a_kit_takes_the_kit_and_no_parts() -> None:
    spec = kits(MUG=4, TEA=2).heard(make(1))
    spec.when(accepted("o1", ("BOX", 1))).then_one(StockReserved)
    assert sku(spec, "MUG").free == 2


def test_who_waits_for_the_kit_is_served_when_it_is_made() -> None:
    spec = kits(MUG=4, TEA=2).heard(accepted("o1", ("BOX", 1)))
    spec.when(make(2)).then_types(KitAssembled, StockPegged)
    spec.when(due("o1", "claims")).then_one(StockReserved)


def test_who_waits_for_a_part_is_served_after_the_kit_is_taken_apart() -> None:
    spec = kits(MUG=2, TEA=1).heard(make(1), accepted("o1", ("MUG", 1)), undo(1))
    spec.when(due("sku/MUG", "free")).then_one(StockPegged)
    spec.when(due("o1", "claims")).then_one(StockReserved)


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (make(3), "part_lacking"),
        (make(2, "N2"), "part_lacking"),
        (undo(1), "kit_lacking"),
        (make(1, name="MUG"), "no_kit"),
        (undo(1, name="MUG"), "no_kit"),
    ],
)
def test_what_cannot_be_is_refused_by_name(command: Contract, code: str) -> None:
    kits(MUG=5, TEA=3).when(command).then_refused(code)


def test_what_is_promised_is_neither_used_up_nor_taken_apart() -> None:
    spec = kits(MUG=4, TEA=2).heard(accepted("o1", ("MUG", 3)))
    spec.when(make(1)).then_refused("part_lacking")
    spec = kits(MUG=4, TEA=2).heard(make(1), accepted("o1", ("BOX", 1)))
    spec.when(undo(1)).then_refused("kit_lacking")


def test_what_somebody_waits_for_is_not_used_up() -> None:
    """The terms had kept the mugs from the web; what is to be given to who waits is not free for a kit."""
    spec = kits(MUG=2, TEA=1).heard(accepted("o1", ("MUG", 3)), receive("MUG", 2))
    spec.when(make(1)).then_refused("part_lacking")


def test_what_somebody_was_called_to_who_wants_all_or_nothing_is_not_used_up() -> None:
    spec = kits(MUG=2, TEA=1).heard(DefineReservationPolicies(rules=(PolicyRule(policy="all_or_nothing"),)))
    spec.heard(accepted("o1", ("MUG", 4)), receive("MUG", 2))
    spec.when(make(1)).then_refused("part_lacking")
    spec.when(due("o1", "claims")).then_one(StockReserved)


def test_the_parts_of_kits_in_stock_do_not_change_but_their_weights_may() -> None:
    spec = kits(MUG=4, TEA=2).heard(make(1))
    spec.when(define(("MUG", 1), kept="assembled")).then_refused("kits_in_stock")
    spec.when(define(*BOX)).then_refused("bundle_in_stock")
    weighed = (
        BundlePart(sku="MUG", quantity=2, price_weight=5),
        BundlePart(sku="TEA", quantity=1),
    )
    spec.when(DefineBundle(sku="BOX", parts=weighed, kept="assembled")).then_one(
        BundleDefined, bundle_version=2
    )
    spec.when(undo(1)).then_one(KitTakenApart, bundle_version=2)
    spec.when(define(*BOX)).then_one(BundleDefined, kept="parts")


def test_a_kit_may_have_been_bought_whole_and_is_taken_apart_all_the_same() -> None:
    spec = kits(MUG=1, TEA=1).heard(receive("BOX", 3)).heard(undo(3))
    assert [sku(spec, name).on_hand for name in ("BOX", "MUG", "TEA")] == [{}, {"N1": 7}, {"N1": 4}]


def test_a_kit_that_is_none_any_more_keeps_its_stock() -> None:
    spec = kits(MUG=2, TEA=1).heard(make(1), RemoveBundle(sku="BOX"))
    spec.when(undo(1)).then_refused("no_kit")
    spec.when(accepted("o1", ("BOX", 1))).then_one(StockReserved)


@pytest.mark.parametrize("of_lots", ["BOX", "MILK"])
def test_what_has_lots_is_no_kit_and_no_part_of_one(of_lots: str) -> None:
    """Nobody says of which lots the parts are, and which one the kits would be of."""
    spec = stocked(MUG=5).heard(milk(sku=of_lots), receive("TEA", 5), delivered("L1", 5, 30, sku=of_lots))
    spec = spec if of_lots == "MILK" else spec.heard(receive("MILK", 5))
    spec.heard(define(("MUG", 2), ("MILK", 1), kept="assembled"))
    for body in (make(1), undo(1)):
        spec.when(body).then_refused("kit_of_lots")
