"""Who stands where in a SKU's queue, and why: what `queue`, `pegging` and `caps` decide by, told to people.

Nothing is decided here. The order of the list is that in which units are given (`queue.in_line`), so whoever
changes it changes this with it.
"""

from bisect import bisect_right, insort
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from libs.events.policy import STANDARD_RANK, PriorityClass
from libs.events.record import record
from services.inventory import caps, queue
from services.inventory.dates import coming
from services.inventory.findings import shortage
from services.inventory.places import PlacesPart
from services.inventory.queue import NO_TURN, WAITER, Turn
from services.inventory.stock import OrderClaim, SkuPart
from services.inventory.supplies import SupplyPart

SUPPLIES_MAX = 50
"""Supplies that are told of a SKU, the first to come in front; the same of its held baskets."""


Reason = tuple[str, str]
"""A code, and a sentence."""


class Place(NamedTuple):
    """Where somebody stands: a smaller place is served first (`queue.place`)."""

    rank: int
    since: datetime
    order_id: str


@record
class Overtaken:
    """So many orders of a rank that came later stand before one."""

    rank: int
    step_days: int
    orders: int
    by_age: bool
    """Both age, or one does and the other is of no class: a rank is worth days of waiting."""


@record
class Standing:
    """An order that waits for units of a SKU."""

    number: int
    """From 1 on, in the order in which units are given."""
    place: Place
    claim: OrderClaim
    turn: Turn
    lacks: int
    overtaken: tuple[Overtaken, ...]

    @property
    def since(self) -> datetime:
        """Since when it waits, by its acceptance."""
        assert self.claim.since is not None, f"nobody knows since when {self.place.order_id} waits"
        return datetime.fromisoformat(self.claim.since).astimezone(UTC)


def line(part: SkuPart) -> Iterator[Standing]:
    """All who wait for units of the SKU, the next to be given some in front."""
    came: dict[tuple[int, int, int], list[datetime]] = {}  # of those before: place, rank and step days
    for number, (order_id, lacks) in enumerate(queue.lacking(part.claims, part.turns), 1):
        claim, turn = part.claims[order_id], part.turns.get(order_id, NO_TURN)
        place = Place(*queue.place(order_id, claim, part.turns))
        assert claim.since is not None, f"nobody knows since when {order_id} waits"
        since = datetime.fromisoformat(claim.since)
        found = [
            Overtaken(rank, days, later, served == place.rank)
            for (served, rank, days), moments in sorted(came.items())
            if (later := len(moments) - bisect_right(moments, since))
        ]
        insort(came.setdefault((place.rank, turn.rank, turn.step_days), []), since)
        yield Standing(number, place, claim, turn, lacks, tuple(found))


def page(part: SkuPart, after: Place | None, limit: int) -> tuple[list[Standing], bool]:
    """Those who stand behind a place, `limit` at most, and whether there are more."""
    found: list[Standing] = []
    for one in line(part):
        if after is not None and one.place <= after:
            continue
        if len(found) == limit:
            return found, True
        found.append(one)
    return found, False


@record
class Asked:
    """A SKU's queue, as it is asked about: with what is to come of it, and the classes of now."""

    sku: str
    part: SkuPart
    supply: SupplyPart
    classes: Sequence[PriorityClass]
    at: datetime


def rows(found: Sequence[Standing], asked: Asked) -> list[dict[str, Any]]:
    """Orders and baskets of the queue as they are told. `supply` is what the last of its units was pegged
    to, as was told last; none, nothing is to come that it could be served from."""
    limits = {channel: _cap(asked, channel) for channel in {one.claim.channel for one in found}}
    goes = {} if asked.part.serving is None else asked.part.serving.orders
    sorts = [(one.claim.channel, one.turn.rank, goes.get(one.place.order_id)) for one in found]
    kept = {sort: _kept(asked, *sort) for sort in {*sorts}}
    return [
        _row(one, asked, limits[one.claim.channel], kept[sort])
        for one, sort in zip(found, sorts, strict=True)
    ]


def _row(one: Standing, asked: Asked, cap: dict[str, int] | None, kept: list[Reason]) -> dict[str, Any]:
    peg, basket = asked.supply.pegged.get(one.place.order_id), one.place.order_id.startswith(WAITER)
    return {
        "place": one.number,
        "order_id": None if basket else one.place.order_id,
        "promise_id": one.place.order_id.removeprefix(WAITER) if basket else None,
        "class": class_of(one.turn.rank, one.turn.step_days, asked.classes),
        "rank": one.turn.rank,
        "since": one.since,
        "channel": one.claim.channel,
        "wanted": one.claim.wanted + one.turn.whole,
        "held": one.claim.held,
        "lacks": one.lacks,
        "all_or_nothing": bool(one.turn.whole),
        "supply": None
        if peg is None
        else {"supply_id": peg.supply_id, "node": peg.node, "usable_at": peg.usable_at},
        "cap": cap,
        "reasons": [{"code": code, "message": text} for code, text in (*_reasons(one, asked.classes), *kept)],
    }


def _cap(asked: Asked, channel: str | None) -> dict[str, int] | None:
    """What orders of the channel may yet begin to wait for, where the SKU's terms limit that."""
    cap = caps.told(asked.part, channel, asked.at)
    return None if cap is None or cap.units is None else {"open": cap.units}


def _kept(asked: Asked, channel: str | None, rank: int, country: str | None) -> list[Reason]:
    """Why an order of a channel and rank, to a country, has none of what is free."""
    why = shortage(asked.sku, asked.part, 1, channel, rank, country).reason
    if why is not None:
        return [(why, _HELD_BACK[why])]
    if asked.part.offered > 0 and asked.part.kept(channel, rank):
        return [
            ("kept_for_others", "Safety stock, a buffer or other channels' shares keep free units from it.")
        ]
    return []


def standing(part: SkuPart, supply: SupplyPart, places: PlacesPart, at: datetime) -> dict[str, Any]:
    """What there is of a SKU for its queue, and what is to come. `free` units are promised to nobody;
    `offered` are those of them at nodes that ship."""
    waits = queue.lacking(part.claims, part.turns)
    baskets = list(part.baskets.items())
    return {
        "on_hand": sum(part.on_hand.values()),
        "promised": part.reserved,
        "free": part.free,
        "offered": part.offered,
        "orders": len(waits),
        "waiting": sum(lacks for _, lacks in waits),
        "held_baskets": {
            "baskets": len(baskets),
            "units": sum(part.baskets.values()),
            "oldest": [{"promise_id": id_, "units": units} for id_, units in baskets[:SUPPLIES_MAX]],
        },
        "supplies": supplies(supply, places, at)[:SUPPLIES_MAX],
        "caps": [
            {"channel": channel, "waiting": caps.waiting_beyond(part, channel), **cap.model_dump()}
            for channel in (None, *([] if part.terms is None else part.terms.named()))
            if (cap := caps.told(part, channel, at)) is not None
        ],
    }


def supplies(supply: SupplyPart, places: PlacesPart, at: datetime) -> list[dict[str, Any]]:
    """What is to come, in the order in which it can be sold; and behind that what nobody can count on: it is
    late, without a day, or comes to a node that is switched off (`counts_on` tells)."""
    usable = coming(supply, places, at)
    found: list[dict[str, Any]] = [
        {
            "supply_id": one.supply_id,
            "node": one.node,
            "units": one.units,
            "arrives_at": one.arrives_at,
            "usable_at": one.usable_at,
            "counts": "yes",
        }
        for one in usable
    ]
    known = {(one.supply_id, one.node) for one in usable}
    rest = [
        (id_, one.node, one.open, one.expected_at)
        for id_, one in supply.expected.items()
        if one.open and not one.closed
    ]
    rest += [
        (id_, one.target_node, one.open, one.due_at)
        for id_, one in supply.transfers.items()
        if one.source_node and one.open and not one.closed
    ]
    found += [
        {
            "supply_id": id_,
            "node": node,
            "units": units,
            "arrives_at": arrives,
            "usable_at": None,
            "counts": _not_counted(node, arrives, places, at),
        }
        for id_, node, units, arrives in rest
        if (id_, node) not in known
    ]
    return found


def class_of(rank: int, step_days: int, classes: Sequence[PriorityClass]) -> str | None:
    """The name of the class that such orders are of by now; None, where no class is so."""
    return next((one.name for one in classes if (one.rank, one.step_days or 0) == (rank, step_days)), None)


def lost(events: Sequence[Mapping[str, Any]], order_id: str, since: datetime) -> list[dict[str, str]]:
    """Units that an order was promised since then and lost again: by cause, those of a SKU's events
    `reservation_broken` (`at`, `cause`, `claims`), as reasons."""
    units: Counter[str] = Counter()
    for event in events:
        if event["at"] >= since:
            mine = sum(one["quantity"] for one in event["claims"] if one["order_id"] == order_id)
            units[event["cause"] or "counted"] += mine
    return [
        {"code": code, "message": f"{_units(number)} promised to it {_LOST[code]}."}
        for code, number in units.items()
        if number
    ]


_LOST = {
    "reallocated": "went to orders before it in the queue, whose rule lets them take",
    "shelf_life": "had to be taken back: too few last long enough",
    "not_served": "can be sent to where it goes by no node any more that has units",
    "counted": "had to be taken back: fewer were there than promised",
}


def _reasons(one: Standing, classes: Sequence[PriorityClass]) -> Iterator[Reason]:
    for ahead in one.overtaken:
        name = class_of(ahead.rank, ahead.step_days, classes)
        told = f"class {name}" if name else f"rank {ahead.rank}"
        if not name and ahead.rank == STANDARD_RANK:
            told = "no class"
        who = f"1 order of {told} that came later stands before it"
        if ahead.orders > 1:
            who = f"{ahead.orders} orders of {told} that came later stand before it"
        if ahead.by_age:
            yield "class_age", f"{who}, by class and age."
        else:
            yield "class", f"{who}: they are served first."
    if one.turn.takes:
        yield "reallocates", "Its rule gives it what orders behind it were promised."
    if one.turn.whole and one.turn.passed:
        yield "others_lack", "It wants all or nothing, and when it last looked, other units of it lacked."
    elif one.turn.whole:
        yield "all_or_nothing", f"It wants all or nothing: it is passed over until {one.lacks} are free."


_HELD_BACK = {
    "below_reorder_point": "What is free is below the reorder point, and kept for smaller ranks.",
    "shelf_life": "What is free does not last as long as its channel asks.",
    "switched_off": "Units are at nodes that are switched off.",
    "not_served": "What is free cannot be sent where it goes beside what others were promised.",
}


def _not_counted(node: str, arrives: datetime | None, places: PlacesPart, at: datetime) -> str:
    if arrives is None:
        return "no_date"
    if arrives <= at:
        return "late"
    return "switched_off" if node in places.closed else "too_far"


def _units(number: int) -> str:
    return "1 unit" if number == 1 else f"{number} units"
