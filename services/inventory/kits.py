"""Kits: parts on hand at a node are put together to units of another SKU there, and taken apart again.

A kit is a SKU like any other, with stock of its own. Units of parts go from `on_hand` to `kitted`, its
contra, as many as the definition says; the kits come from `kitted` to `on_hand`. What is promised to somebody
is not used up: neither a part for a kit, nor a kit for its parts.
"""

from pydantic import TypeAdapter

from libs.events.bundles import (
    AssembleKit,
    BundleCommand,
    DefineBundle,
    KitAssembled,
    KitMovement,
    KitTakenApart,
    RemoveBundle,
    TakeKitApart,
)
from libs.events.contract import Event
from services.inventory import bundle_plans
from services.inventory.bundles import evolve_skus
from services.inventory.desk import Desk, in_bins, too_many, unknown
from services.inventory.giving import peg
from services.inventory.posting import Posting
from services.inventory.recipes import Recipe
from services.inventory.stock import EMPTY_SKU, MOST_UNITS, SkuPart, Skus, shares_now

_MOVEMENTS = TypeAdapter(tuple[KitMovement, ...])


def answer(desk: Desk, skus: Skus, body: BundleCommand) -> list[Event]:
    """What answers a command about a bundle or kit."""
    match body:
        case AssembleKit():
            return assemble(desk, skus, body)
        case TakeKitApart():
            return in_bins(desk, take_apart(desk, skus, body))
        case RemoveBundle():
            return bundle_plans.remove(desk, body)
        case DefineBundle():
            return bundle_plans.define(desk, skus, body)
    raise AssertionError(f"{type(body).__name__} is no command about a bundle that is known here")


class _KitPosting(Posting):
    """The movements of kits made or taken apart."""

    def booked(self) -> tuple[KitMovement, ...]:
        return _MOVEMENTS.validate_python(self._posted)


def assemble(desk: Desk, skus: Skus, command: AssembleKit) -> list[Event]:
    """Parts become kits, all of them or none; who waits for the kit is served."""
    recipe, node, quantity = desk.stock.recipe, command.node, command.quantity
    if refusal := unknown(desk, node) or too_many(desk, quantity):
        return refusal
    if recipe is None or not recipe.assembled:
        return _no_kit(desk)
    if refusal := _of_lots(desk, recipe, skus) or _of_serials(desk, recipe, skus):
        return refusal
    lacking = [
        f"{sku}: {each * quantity} needed, {there} on hand there and promised to nobody"
        for sku, each in recipe.parts.items()
        if each * quantity > (there := _usable(skus.get(sku, EMPTY_SKU), node))
    ]
    if lacking:
        return desk.refuse(
            "part_lacking",
            f"{quantity} units of {desk.sku} cannot be put together at {node}: {'; '.join(lacking)}.",
            "Make fewer, move the parts there first, or correct what is on hand.",
        )
    posting = _KitPosting({**skus, desk.sku: desk.stock})
    for sku, each in recipe.parts.items():
        posting.post(sku, node, "on_hand", "kitted", each * quantity)
    posting.post(desk.sku, node, "kitted", "on_hand", quantity)
    made = KitAssembled(
        sku=desk.sku,
        node=node,
        quantity=quantity,
        bundle_version=recipe.version,
        reference=command.reference,
        movements=posting.booked(),
    )
    return [made, *peg(desk.sku, evolve_skus({**skus, desk.sku: desk.stock}, made)[desk.sku])]


def take_apart(desk: Desk, skus: Skus, command: TakeKitApart) -> list[Event]:
    """Kits become their parts; who waits for those is served next."""
    recipe, node, quantity = desk.stock.recipe, command.node, command.quantity
    if refusal := unknown(desk, node):
        return refusal
    if recipe is None or not recipe.assembled:
        return _no_kit(desk)
    if refusal := _of_lots(desk, recipe, skus) or _of_serials(desk, recipe, skus):
        return refusal
    there = _usable(desk.stock, node)
    if quantity > there:
        return desk.refuse(
            "kit_lacking",
            f"{quantity} units of {desk.sku} cannot be taken apart at {node}: {there} are on hand there and "
            "promised to nobody.",
            "Take fewer apart, or cancel the orders that they are promised to.",
        )
    if refusal := _too_many_parts(desk, recipe, skus, quantity):
        return refusal
    posting = _KitPosting({**skus, desk.sku: desk.stock})
    posting.post(desk.sku, node, "on_hand", "kitted", quantity)
    for sku, each in recipe.parts.items():
        posting.post(sku, node, "kitted", "on_hand", each * quantity)
    return [
        KitTakenApart(
            sku=desk.sku,
            node=node,
            quantity=quantity,
            bundle_version=recipe.version,
            reference=command.reference,
            movements=posting.booked(),
        )
    ]


def _usable(part: SkuPart, node: str) -> int:
    """Units on hand at a node that nobody was promised, and nobody waits for, or was called to."""
    free = part.spare(node)
    if part.wanted > part.reserved or part.turns:
        free -= sum(units for _, units, _ in shares_now(part))
    return free


def _no_kit(desk: Desk) -> list[Event]:
    recipe = desk.stock.recipe
    what = "is kept as its parts" if recipe is not None and recipe.parts else "is made of nothing"
    return desk.refuse(
        "no_kit",
        f"{desk.sku} {what}, so it is neither put together nor taken apart.",
        "Define its parts, kept assembled: PUT /v1/bundles/SKU.",
    )


def _of_lots(desk: Desk, recipe: Recipe, skus: Skus) -> list[Event]:
    """A refusal where units would have to come from a lot, or go into one, that nobody names."""
    parts = [sku for sku in recipe.parts if skus.get(sku, EMPTY_SKU).lots is not None]
    named = [desk.sku, *parts] if desk.stock.lots is not None else parts
    if not named:
        return []
    return desk.refuse(
        "kit_of_lots",
        f"{desk.sku} is neither put together nor taken apart: kept by lots: {', '.join(named)}.",
        "Keep kits and their parts without lots: give the goods a SKU of their own that has none.",
    )


def _of_serials(desk: Desk, recipe: Recipe, skus: Skus) -> list[Event]:
    """A refusal where units have serial numbers that nobody names."""
    named = [sku for sku in recipe.parts if skus.get(sku, EMPTY_SKU).astray is not None]
    if desk.stock.astray is not None:
        named.insert(0, desk.sku)
    if not named:
        return []
    return desk.refuse(
        "kit_of_serials",
        f"{desk.sku} is neither put together nor taken apart: with serial numbers: {', '.join(named)}.",
        "Sell it unpacked into its parts (PUT /v1/bundles/SKU, not kept assembled): each part then leaves "
        "with its number.",
    )


def _too_many_parts(desk: Desk, recipe: Recipe, skus: Skus, quantity: int) -> list[Event]:
    for sku, each in recipe.parts.items():
        part = skus.get(sku, EMPTY_SKU)
        total = sum(part.on_hand.values()) + sum(part.allocated.values()) + each * quantity
        if total > MOST_UNITS:
            return desk.refuse(
                "too_many_units",
                f"Taken apart, they would make {total} units of {sku}; at most {MOST_UNITS} are kept.",
                "Check the quantity.",
            )
    return []
