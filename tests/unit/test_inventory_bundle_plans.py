"""Definitions of bundles and kits that are planned, as sentences."""

from datetime import timedelta

from libs.events.bundles import (
    AssembleKit,
    BundleDefined,
    BundlePlanDropped,
    BundlePlanned,
    BundleRemoved,
    DefineBundle,
    RemoveBundle,
)
from services.inventory.bundle_plans import PLANS_MAX
from tests.spec import NOON, Spec
from tests.unit.inventory_stage import sku, stocked
from tests.unit.inventory_trade import due
from tests.unit.test_inventory_bundles import BOX, boxes, define

SPRING, SUMMER = NOON + timedelta(days=10), NOON + timedelta(days=100)
RINGS = due("sku/BOX", "bundle")


def planned(command: DefineBundle, days: int = 10) -> DefineBundle:
    return command.model_copy(update={"effective_at": NOON + timedelta(days=days)})


def made_of(spec: Spec) -> dict[str, int]:
    recipe = sku(spec, "BOX").recipe
    return {} if recipe is None else recipe.parts


def test_what_is_planned_holds_when_its_moment_has_come_and_the_next_is_waited_for() -> None:
    spec = boxes(MUG=4, TEA=4)
    spec.when(planned(define(("MUG", 1)))).then_one(BundlePlanned, effective_at=SPRING, check_at=SPRING)
    spec.when(planned(define(("MUG", 1)))).then_nothing()
    later = spec.when(planned(define(("TEA", 3)), days=100))
    later.then_one(BundlePlanned, effective_at=SUMMER, check_at=SPRING)
    assert made_of(spec) == dict(BOX)
    spec.when(RINGS).then_nothing()
    spec.after(days=10)
    spec.when(RINGS).then_one(BundleDefined, bundle_version=2, effective_at=SPRING, check_at=SUMMER)
    assert made_of(spec) == {"MUG": 1}
    assert sku(spec, "TEA").recipe is None, "it is a part of nothing for now"
    spec.after(days=90)
    spec.when(RINGS).then_one(BundleDefined, bundle_version=3, effective_at=SUMMER, check_at=None)
    assert made_of(spec) == {"TEA": 3}
    assert sku(spec, "MUG").recipe is None
    spec.when(RINGS).then_nothing()


def test_another_plan_for_the_same_moment_replaces_it_and_a_past_one_holds_at_once() -> None:
    spec = boxes(MUG=4, TEA=4).heard(planned(define(("MUG", 1))), planned(define(("MUG", 9))))
    spec.after(days=10)
    spec.when(RINGS).then_one(BundleDefined, bundle_version=2)
    assert made_of(spec) == {"MUG": 9}
    spec.when(planned(define(("TEA", 1)), days=9)).then_one(
        BundleDefined, bundle_version=3, effective_at=None
    )


def test_what_cannot_be_by_then_is_dropped_with_its_reason() -> None:
    kit = define(("MUG", 1), kept="assembled")
    spec = stocked(MUG=4, TEA=4).heard(kit, planned(define(("TEA", 1), kept="assembled")))
    spec.heard(AssembleKit(sku="BOX", node="N1", quantity=2))
    spec.after(days=10)
    [dropped] = spec.when(RINGS).events
    assert isinstance(dropped, BundlePlanDropped)
    assert (dropped.effective_at, dropped.reason.code) == (SPRING, "kits_in_stock")
    assert made_of(spec) == {"MUG": 1}
    spec.when(RINGS).then_nothing()


def test_a_bundle_that_is_removed_has_no_plans_any_more() -> None:
    spec = boxes(MUG=4, TEA=4).heard(planned(define(("MUG", 1))))
    dropped, removed = spec.when(RemoveBundle(sku="BOX")).events
    assert isinstance(dropped, BundlePlanDropped)
    assert isinstance(removed, BundleRemoved)
    assert dropped.reason.code == "removed"
    spec.after(days=10)
    spec.when(RINGS).then_nothing()
    only_planned = stocked(MUG=4).heard(planned(define(("MUG", 1))))
    only_planned.when(RemoveBundle(sku="BOX")).then_one(BundlePlanDropped)


def test_what_no_bundle_can_be_is_refused_when_it_is_planned() -> None:
    spec = boxes(MUG=4, TEA=4)
    spec.when(planned(define(("BOX", 1)))).then_refused("bundle_of_itself")
    for days in range(1, PLANS_MAX + 1):
        spec.heard(planned(define(("MUG", days)), days))
    spec.when(planned(define(("MUG", 1)), 99)).then_refused("too_many_plans")
    spec.when(planned(define(("MUG", 50)), 1)).then_one(BundlePlanned)
