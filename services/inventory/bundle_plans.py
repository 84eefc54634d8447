"""Definitions of bundles and kits that hold from a moment to come: planned, and decided on when it has come.

What stands in the way of a definition may change until then, so it is looked at then, by a timer: it takes
effect, or is dropped with the reason. Orders that are unpacked before the timer has rung, moments at most
while inventory runs, go by the definition before it.
"""

from dataclasses import replace
from datetime import UTC, datetime

from libs.events.bundles import (
    BundleDefined,
    BundlePart,
    BundlePlanDropped,
    BundlePlanned,
    DefineBundle,
    RemoveBundle,
)
from libs.events.contract import Event
from libs.events.order import Reason
from libs.events.record import changed
from libs.events.refusal import CommandRefused
from libs.events.supply import RULES_STREAM
from services.inventory import bundles
from services.inventory.desk import Desk
from services.inventory.recipes import NO_RECIPE, Planned, composition
from services.inventory.stock import SkuPart, Skus
from services.inventory.supplies import SUPPLY_STREAM

PLANS_MAX = 20
"""Definitions of one SKU that are still to come."""


def streams(sku: str, home: SkuPart) -> tuple[str, ...]:
    """What a SKU needs whose planned definition is due: its parts, those it had and those it gets."""
    recipe = home.recipe or NO_RECIPE
    named = dict.fromkeys((*recipe.parts, *(part for plan in recipe.planned.values() for part in plan[1])))
    return (*(f"sku/{part}" for part in named if part != sku), SUPPLY_STREAM + sku, RULES_STREAM)


def define(desk: Desk, skus: Skus, body: DefineBundle) -> list[Event]:
    """The definition, or that it is planned, where it holds from a moment to come."""
    if body.effective_at is None or body.effective_at <= desk.at:
        return bundles.define(desk, skus, body)
    planned = (desk.stock.recipe or NO_RECIPE).planned
    if refusal := bundles.wrong_parts(desk, body):
        return refusal
    told = BundlePlanned(
        sku=desk.sku,
        effective_at=body.effective_at.astimezone(UTC),
        kept=body.kept,
        parts=bundles.merged(body.parts),
    )
    key = told.effective_at.isoformat()
    if planned.get(key) == (told.kept == "assembled", *composition(told.parts)):
        return []
    if key not in planned and len(planned) >= PLANS_MAX:
        return desk.refuse(
            "too_many_plans",
            f"{len(planned)} definitions of {desk.sku} are still to come; at most {PLANS_MAX} are kept.",
            "Remove the bundle, which drops them, and state those that count; or wait for the first of them.",
        )
    return [told.model_copy(update={"check_at": _next({**planned, key: None})})]


def remove(desk: Desk, body: RemoveBundle) -> list[Event]:
    """The definition's end, and that of all that was planned."""
    recipe = desk.stock.recipe or NO_RECIPE
    why = Reason(code="removed", message="The bundle was removed before.")
    dropped = [_dropped(desk.sku, key, why) for key in sorted(recipe.planned)]
    return [*dropped, *(bundles.remove(desk, body) if recipe.parts or not dropped else ())]


def take_effect(desk: Desk, skus: Skus) -> list[Event]:
    """What was planned and is due: each holds from now on, or is dropped."""
    planned, events = (desk.stock.recipe or NO_RECIPE).planned, list[Event]()
    due = [key for key in sorted(planned) if datetime.fromisoformat(key) <= desk.at]
    check_at = _next({key: None for key in planned if key not in due})
    for key in due:
        assembled, parts, weights = planned[key]
        made = tuple(
            BundlePart(sku=sku, quantity=units, price_weight=weights.get(sku, 1))
            for sku, units in parts.items()
        )
        body = DefineBundle(sku=desk.sku, parts=made, kept="assembled" if assembled else "parts")
        asked = changed(desk, heard=replace(desk.heard, body=body))
        found = bundles.define(asked, skus, body)
        event: Event
        if found and isinstance(found[0], BundleDefined):
            at = datetime.fromisoformat(key)
            event = found[0].model_copy(update={"effective_at": at, "check_at": check_at})
        else:
            why = Reason(code="already_so", message=f"{desk.sku} was made of that already.")
            if found and isinstance(found[0], CommandRefused):
                why = Reason(code=found[0].code, message=f"{found[0].message} {found[0].next_step}")
            event = _dropped(desk.sku, key, why, check_at)
        assert isinstance(event, BundleDefined | BundlePlanDropped)
        events.append(event)
        skus = bundles.evolve_skus({**skus, desk.sku: desk.stock}, event)
        desk = changed(desk, stock=skus[desk.sku])
    return events


def _dropped(sku: str, key: str, why: Reason, check_at: datetime | None = None) -> BundlePlanDropped:
    at = datetime.fromisoformat(key)
    return BundlePlanDropped(sku=sku, effective_at=at, reason=why, check_at=check_at)


def _next(planned: dict[str, None] | dict[str, Planned | None]) -> datetime | None:
    return min((datetime.fromisoformat(key) for key in planned), default=None)
