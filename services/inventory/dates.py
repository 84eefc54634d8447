"""When a basket can be there: from what is on hand and to come, by the calendars of nodes and carriers.

Units of a SKU stand in a row, those that could be delivered first in front. Whoever was promised units or
waits for some, and what the terms keep back, is taken to have the front of it; a basket has what comes next.
So a date is one that can be kept whatever the others get, more stock never makes it later, and what is late,
has no calendar or cannot be sent there counts as nothing.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field
from datetime import datetime, timedelta
from typing import Any

from libs.events.delivery import Way, WayDates, delivery, unknown, usable_at, way
from libs.events.order import Destination, Reason
from libs.events.places import Delivery
from libs.events.policy import STANDARD_RANK, OrderPolicy
from libs.events.record import record
from services.inventory.places import PlacesPart
from services.inventory.policies import could_have
from services.inventory.stock import EMPTY_SKU, SkuPart, Skus
from services.inventory.supplies import NO_SUPPLY, SupplyPart

HORIZON = timedelta(days=3 * 365)
"""What is expected later than that is no date that anybody keeps."""
ATP_MAX = 50
"""Steps of what can be promised by when."""


@record
class Coming:
    """Units that are to arrive."""

    supply_id: str
    node: str
    units: int
    arrives_at: datetime
    usable_at: datetime


@record
class Question:
    """Where to, by which service, and asked when."""

    destination: Destination
    service: str
    at: datetime
    places: PlacesPart
    policy: OrderPolicy | None = None
    """What an order of the basket would go by."""
    ways: dict[str, Way | Reason] = field(default_factory=dict)
    """By node, as far as they were looked for."""
    found: dict[tuple[str, datetime], WayDates] = field(default_factory=dict)
    """By node and the moment at which units are ready there."""

    def way(self, node: str) -> Way | Reason:
        """How that node serves it, or what lacks to know."""
        if node not in self.ways:
            full = self.places.full.get(node, ())
            known, transit = self.places.nodes.get(node), self.places.transit.get(self.service)
            self.ways[node] = way(known, node, transit, self.service, self.destination, full)
        return self.ways[node]

    def dates(self, by: Way, ready_at: datetime) -> WayDates:
        """The days of what is ready then."""
        place = by.node, ready_at
        if place not in self.found:
            self.found[place] = by.dates(ready_at)
        return self.found[place]


def coming(supply: SupplyPart, places: PlacesPart, at: datetime) -> list[Coming]:
    """What is to arrive of a SKU, in the order in which it can be sold; what is late is not counted on,
    nor what comes to a node that is switched off."""
    found: list[Coming] = []
    for id_, expected in supply.expected.items():
        if expected.open and not expected.closed and expected.expected_at is not None:
            found += _coming(id_, expected.node, expected.open, expected.expected_at, places, at)
    for id_, transfer in supply.transfers.items():
        if transfer.source_node and transfer.open and not transfer.closed and transfer.due_at is not None:
            found += _coming(id_, transfer.target_node, transfer.open, transfer.due_at, places, at)
    return sorted(found, key=lambda one: (one.usable_at, one.supply_id))


def _coming(
    id_: str, node: str, units: int, arrives_at: datetime, places: PlacesPart, at: datetime
) -> list[Coming]:
    if not at < arrives_at <= at + HORIZON or node in places.closed:
        return []
    known = places.nodes.get(node)
    operations = None if known is None else known.operations
    usable = arrives_at if operations is None else usable_at(operations, arrives_at)
    return [Coming(id_, node, units, arrives_at, usable)]


def arriving(part: SkuPart, places: PlacesPart, at: datetime) -> list[Coming]:
    """The same from the SKU's own part, which does not tell the documents."""
    found = list[Coming]()
    for arrives, node, units in part.arrivals or ():
        found += _coming("", node, units, datetime.fromisoformat(arrives), places, at)
    return sorted(found, key=lambda one: one.usable_at)


def promised(
    wanted: Mapping[str, int],
    channel: str | None,
    skus: Skus,
    supplies: Mapping[str, SupplyPart],
    question: Question,
) -> dict[str, Delivery]:
    """The date of each SKU of a basket."""
    found = dict[str, Delivery]()
    for sku, units in wanted.items():
        to_come = coming(supplies.get(sku, NO_SUPPLY), question.places, question.at)
        found[sku] = of_sku(sku, units, channel, skus.get(sku, EMPTY_SKU), to_come, question)
    return found


def last(dates: Iterable[Delivery]) -> Delivery:
    """The date of all of them together: the last, or one that is not known."""
    return max(dates, key=lambda one: (one.deliver_by is None, str(one.deliver_by), str(one.ship_by)))


def atp(part: SkuPart, supply: SupplyPart, channel: str | None, question: Question) -> list[dict[str, Any]]:
    """How many units a channel could be promised, and from when: each step holds until the next."""
    country = question.destination.country
    now = could_have(part, channel, question.policy, country)
    steps: list[dict[str, Any]] = [{"from": question.at, "quantity": now}]
    before, there = ahead(part, channel, question), sum(part.on_hand_for(channel, country).values())
    for one in coming(supply, question.places, question.at):
        if part.serving is not None and part.serving.bounds and not question.places.serves(one.node, country):
            continue
        there += one.units
        if there - before > steps[-1]["quantity"]:
            if steps[-1]["from"] == one.usable_at:
                steps[-1]["quantity"] = there - before
            else:
                steps.append({"from": one.usable_at, "quantity": there - before})
    return steps[:ATP_MAX]


def atp_of_parts(
    parts: Mapping[str, int],
    others: Mapping[str, int],
    channel: str | None,
    skus: Skus,
    supplies: Mapping[str, SupplyPart],
    question: Question,
) -> list[dict[str, Any]]:
    """The same of a SKU that is so many units of each of these: as often as the scarcest allows, beside the
    units of each that others in the basket want."""
    rows = {
        sku: atp(skus.get(sku, EMPTY_SKU), supplies.get(sku, NO_SUPPLY), channel, question) for sku in parts
    }
    steps: list[dict[str, Any]] = []
    for moment in sorted({step["from"] for row in rows.values() for step in row}):
        there = {sku: [step for step in row if step["from"] <= moment][-1] for sku, row in rows.items()}
        quantity = min(
            max(0, there[sku]["quantity"] - others.get(sku, 0)) // each for sku, each in parts.items()
        )
        if not steps or quantity > steps[-1]["quantity"]:
            steps.append({"from": moment, "quantity": quantity})
    return steps[:ATP_MAX]


def ahead(part: SkuPart, channel: str | None, question: Question) -> int:
    """Units that others have before a channel and class; all who wait are taken to stand before it."""
    rank = STANDARD_RANK if question.policy is None else question.policy.rank
    whole = sum(turn.whole for turn in part.turns.values())
    return part.wanted + whole + (0 if part.terms is None else part.terms.withheld(channel, rank))


@record
class _Units:
    """Units at the same place in the row."""

    found: WayDates
    units: int
    by: Way
    coming: Coming | None = None


def of_sku(
    sku: str,
    quantity: int,
    channel: str | None,
    part: SkuPart,
    to_come: Sequence[Coming],
    question: Question,
) -> Delivery:
    """When so many units of one SKU can be there, for whom a channel has them, of its stock and these."""
    country, version = question.destination.country, question.places.version
    claimable = could_have(part, channel, question.policy, country)
    on_hand = sum(part.on_hand_for(channel, country).values())
    before = on_hand - claimable if claimable >= quantity else ahead(part, channel, question)
    row, lacking = _row(part, channel, to_come, question)
    left = before + quantity
    for one in row:
        left -= one.units
        if left <= 0:
            why = () if one.coming is None else (inbound(sku, one.coming),)
            return delivery(one.by, one.found, version, *why)
    if not lacking:
        text = f"{left} of {quantity} units of {sku} are neither on hand nor expected."
        lacking = {"not_expected": Reason(code="not_expected", message=text)}
    return unknown(question.service, version, *lacking.values())


def _row(
    part: SkuPart, channel: str | None, to_come: Sequence[Coming], question: Question
) -> tuple[list[_Units], dict[str, Reason]]:
    """A SKU's units that can be sent there, those that are delivered first in front; and of the others, what
    lacks."""
    row, lacking = list[_Units](), dict[str, Reason]()
    for node, units in part.on_hand_for(channel).items():
        by = question.way(node)
        if isinstance(by, Reason):
            lacking[by.message] = by
        else:
            row.append(_Units(question.dates(by, question.at), units, by))
    for one in to_come:
        by = question.way(one.node)
        if isinstance(by, Reason):
            lacking[by.message] = by
        else:
            row.append(_Units(question.dates(by, one.usable_at), one.units, by, one))
    row.sort(key=lambda one: (one.found.arrives_on, one.found.ready_at, one.by.node))
    return row, lacking


def inbound(sku: str, one: Coming) -> Reason:
    """It waits for goods."""
    document = f" with {one.supply_id}" if one.supply_id else ""
    text = f"{sku} comes to {one.node}{document}, expected {one.arrives_at:%Y-%m-%d}."
    return Reason(code="inbound", message=text[:1000])
