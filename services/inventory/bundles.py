"""Bundles: a SKU that is its parts, defined, removed, and unpacked where an order names it.

For shops, which sell a gift box of two mugs and a tea, and for warehouses, which pick mugs and tea. An
order's lines of bundles are put into lines of their parts before anything is promised, by the definitions as
they are when the order is first met: the event says which. Nobody could name the parts' streams before
that, so the promise is the order's next turn, by a timer that is due at once. From then on the order is one
like any other, of its parts' lines, and lines that share a SKU are summed as ever.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from itertools import chain

from libs.events.bundles import (
    BundleCommand,
    BundleDefined,
    BundleEvent,
    BundlePart,
    BundlePlanDropped,
    BundlePlanned,
    BundleRemoved,
    BundlesUnpacked,
    DefineBundle,
    KitAssembled,
    KitTakenApart,
    RemoveBundle,
)
from libs.events.contract import Event
from libs.events.intake import OrderAccepted
from libs.events.order import LineQuantity, PartLine, UnpackedLine
from libs.events.policy import OrderPolicy
from libs.events.record import changed
from libs.events.supply import RULES_STREAM
from libs.events.timer import Timer
from services.inventory.desk import Desk
from services.inventory.recipes import NO_RECIPE, OfRecipe, Recipe, redefined, used
from services.inventory.stock import EMPTY_SKU, AnyMovement, SkuPart, Skus, moved
from services.inventory.supplies import SUPPLY_STREAM

PARTS_MAX = 20
"""Different SKUs in one bundle."""
PART_UNITS_MAX = 100
"""Units of one SKU in one bundle."""
PART_LINES_MAX = 5_000
"""Lines that an order's bundles may come to; one that comes to more is not unpacked, and waits."""
LINE_UNITS_MAX = 1_000_000
LINE_NUMBER_MAX = 1_000_000
REMINDS: frozenset[type[Event]] = frozenset(
    {BundlesUnpacked, KitAssembled, KitTakenApart, BundlePlanned, BundleDefined, BundlePlanDropped}
)
"""Events that `timers` answers."""
UNPACKED = "unpacked"
"""The timer by which an unpacked order is promised."""
USED_UP = "bins"
"""The timer by which the bins of a part are looked at."""
PLANNED = "bundle"
"""The timer by which definitions that were planned are looked at."""


def streams(body: BundleCommand | BundleEvent, home: SkuPart) -> tuple[str, ...]:
    """What an input about a bundle or kit needs beside the SKU: its parts, those it had and those it gets."""
    named = [part.sku for part in body.parts] if isinstance(body, DefineBundle | BundleDefined) else []
    parts = dict.fromkeys((*named, *(home.recipe or NO_RECIPE).parts))
    own = body.stream.partition("/")[2]
    found = tuple(f"sku/{sku}" for sku in parts if sku != own)
    return found if isinstance(body, Event) else (*found, SUPPLY_STREAM + own, RULES_STREAM)


def evolve_skus(skus: Skus, event: BundleEvent) -> dict[str, SkuPart]:
    """The SKUs after a bundle was defined or removed, or kits were made or taken apart."""
    after = dict(skus)
    if isinstance(event, KitAssembled | KitTakenApart):
        by_sku: dict[str, list[AnyMovement]] = {}
        for move in event.movements:
            by_sku.setdefault(move.sku, []).append(move)
        return after | {sku: moved(after.get(sku, EMPTY_SKU), moves) for sku, moves in by_sku.items()}
    assert isinstance(event, OfRecipe), f"{event.TYPE} changes no SKU that is known here"
    own = after.get(event.sku, EMPTY_SKU)
    recipe = redefined(own.recipe, event)
    before = (own.recipe or NO_RECIPE).parts
    after[event.sku] = changed(own, recipe=recipe)
    for sku in dict.fromkeys((*before, *recipe.parts)):
        more = (sku in recipe.parts) - (sku in before)
        if more:
            part = after.get(sku, EMPTY_SKU)
            after[sku] = changed(part, recipe=used(part.recipe, event.sku, more))
    return after


def timers(event: Event, at: datetime) -> list[Timer]:
    """Reminders: to promise what was unpacked, to serve who waits for what became free, and to look in which
    bins what was used up does not lie any more."""
    match event:
        case BundlesUnpacked():
            return [] if event.bundles[0].substituted else [Timer(event.order_id, UNPACKED, at)]
        case BundlePlanned() | BundleDefined() | BundlePlanDropped() if event.check_at is not None:
            return [Timer(event.stream, PLANNED, event.check_at)]
        case KitAssembled():
            used = dict.fromkeys(move.sku for move in event.movements if move.source == "on_hand")
            return [Timer(f"sku/{sku}", USED_UP, at) for sku in used]
        case KitTakenApart():
            freed = dict.fromkeys(move.sku for move in event.movements if move.target == "on_hand")
            return [Timer(f"sku/{sku}", "free", at) for sku in freed]
    return []


def remove(desk: Desk, body: RemoveBundle) -> list[Event]:
    """The definition's end; nothing when it has ended."""
    recipe = desk.stock.recipe or NO_RECIPE
    if not recipe.version:
        return desk.refuse(
            "no_bundle",
            f"{desk.sku} was never defined as a bundle or kit.",
            "Check its spelling (case matters): GET /v1/bundles/SKU tells of what a SKU is made.",
        )
    if not recipe.parts:
        return []
    return [BundleRemoved(sku=desk.sku, bundle_version=recipe.version, reason=body.reason)]


def define(desk: Desk, skus: Skus, body: DefineBundle) -> list[Event]:
    """The definition; nothing when it is so already."""
    recipe = desk.stock.recipe or NO_RECIPE
    if refusal := wrong_parts(desk, body) or _wrong_stock(desk, recipe, skus, body):
        return refusal
    defined = BundleDefined(
        sku=desk.sku, bundle_version=recipe.version + 1, kept=body.kept, parts=merged(body.parts)
    )
    after = redefined(recipe, defined)
    same = (recipe.parts, recipe.price_weights, recipe.assembled)
    if same == (after.parts, after.price_weights, after.assembled):
        return []
    in_house = _in_house(desk)
    if body.kept == "parts" and in_house:
        return desk.refuse(
            "bundle_in_stock",
            f"{in_house} units of {desk.sku} itself are in the house, on the way or waited for; a bundle "
            "that is kept as parts has none.",
            "Sell, take apart or write off its units and cancel who waits for it, or keep it assembled.",
        )
    if recipe.assembled and recipe.parts != after.parts and in_house:
        return desk.refuse(
            "kits_in_stock",
            f"{in_house} units of {desk.sku} are in the house or waited for, made of other parts.",
            "Sell them or take them apart first, or define the new composition as a SKU of its own.",
        )
    return [defined]


def unpack(
    order: OrderAccepted, skus: Skus, at: datetime, policy: OrderPolicy | None = None
) -> BundlesUnpacked | None:
    """The order's lines with each bundle's parts in place of it; none where there is no bundle among them, or
    they would be too many lines: such an order waits for the bundle itself, which nobody has."""
    recipes = {sku: part.recipe for sku, part in skus.items() if part.recipe and part.recipe.unpacked}
    if not recipes:
        return None
    numbers = unused_lines({line.line for line in order.lines})
    bundles, others, count = list[UnpackedLine](), list[LineQuantity](), 0
    for line in order.lines:
        recipe = recipes.get(line.sku)
        if recipe is None:
            others.append(LineQuantity(line=line.line, sku=line.sku, quantity=line.quantity))
            continue
        shares = [
            (sku, share) for sku, each in recipe.parts.items() for share in _shares(each * line.quantity)
        ]
        count += len(shares)
        if count > PART_LINES_MAX:
            return None
        parts = tuple(
            PartLine(
                line=next(numbers), sku=sku, quantity=share, price_weight=recipe.price_weights.get(sku, 1)
            )
            for sku, share in shares
        )
        bundles.append(
            UnpackedLine(
                line=line.line,
                sku=line.sku,
                quantity=line.quantity,
                bundle_version=recipe.version,
                parts=parts,
            )
        )
    return BundlesUnpacked(
        order_id=order.order_id,
        bundles=tuple(bundles),
        others=tuple(others),
        since=at,
        destination=order.destination,
        contact=order.contact,
        channel=order.channel,
        service=order.service,
        promise_id=order.promise_id,
        policy=policy,
    )


def in_parts(wanted: Mapping[str, int], skus: Skus) -> dict[str, int]:
    """A basket's units by SKU, with each bundle's parts in place of it, summed."""
    sums: dict[str, int] = {}
    for sku, quantity in wanted.items():
        recipe = skus.get(sku, EMPTY_SKU).recipe
        parts = recipe.parts if recipe is not None and recipe.unpacked else {sku: 1}
        for part, each in parts.items():
            sums[part] = sums.get(part, 0) + each * quantity
    return sums


def wrong_parts(desk: Desk, body: DefineBundle) -> list[Event]:
    """A refusal of parts that no bundle can have, whatever they are."""
    sku, named = desk.sku, [part.sku for part in body.parts]
    if not named:
        return desk.refuse(
            "no_parts", f"{sku} is said to be made of nothing.", "Name its parts, or remove it: RemoveBundle."
        )
    if len(named) > PARTS_MAX:
        return desk.refuse(
            "too_many_parts",
            f"{sku} is said to have {len(named)} parts; at most {PARTS_MAX} are possible.",
            "Send parts that always go together as a SKU of their own.",
        )
    if sku in named:
        return desk.refuse(
            "bundle_of_itself", f"{sku} is said to be a part of itself.", "Leave it out of its parts."
        )
    if twice := sorted({part for part in named if named.count(part) > 1}):
        return desk.refuse(
            "part_twice",
            f"{', '.join(twice)} is named more than once among the parts of {sku}.",
            "Add the units up and name each part once.",
        )
    for part in body.parts:
        if not 1 <= part.quantity <= PART_UNITS_MAX:
            return desk.refuse(
                "part_quantity",
                f"{sku} is said to have {part.quantity} units of {part.sku}; 1 to {PART_UNITS_MAX} may be.",
                "Correct the quantity; leave a part of which it has none out.",
            )
    return []


def _wrong_stock(desk: Desk, recipe: Recipe, skus: Skus, body: DefineBundle) -> list[Event]:
    """A refusal of parts that are not what a part must be: a SKU that was in stock, and no bundle."""
    if recipe.within:
        return desk.refuse(
            "bundle_of_bundles",
            f"{desk.sku} is a part of {', '.join(sorted(recipe.within)[:5])}: it cannot have parts itself.",
            "Name its parts in those bundles, or remove them first.",
        )
    for part in body.parts:
        known = skus.get(part.sku, EMPTY_SKU)
        if known.recipe is not None and known.recipe.parts:
            return desk.refuse(
                "bundle_of_bundles",
                f"{part.sku}, a part of {desk.sku}, is made of parts itself.",
                f"Name the parts of {part.sku} instead of it.",
            )
        if not known.position:
            return desk.refuse(
                "unknown_part",
                f"Of {part.sku}, a part of {desk.sku}, no unit was ever in stock or expected.",
                "Check its spelling (case matters), or receive it first.",
            )
    return []


def _in_house(desk: Desk) -> int:
    stock = desk.stock
    there = sum(stock.on_hand.values()) + sum(stock.allocated.values())
    return there + stock.wanted + desk.supply.all_units


def merged(parts: Iterable[BundlePart]) -> tuple[BundlePart, ...]:
    """Parts by SKU, so that the same composition is told the same."""
    return tuple(sorted(parts, key=lambda part: part.sku))


def _shares(units: int) -> Iterator[int]:
    """Units as lines can carry them."""
    while units > LINE_UNITS_MAX:
        yield LINE_UNITS_MAX
        units -= LINE_UNITS_MAX
    yield units


def unused_lines(numbers: set[int]) -> Iterator[int]:
    """Line numbers that the order does not use: from behind its last on, then from the first."""
    last = max(numbers)
    return (
        number
        for number in chain(range(last + 1, LINE_NUMBER_MAX + 1), range(1, last))
        if number not in numbers
    )
