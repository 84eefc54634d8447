"""The desk at which facts from outside are decided: what is known of the SKU, and what every answer needs.

A movement that takes units off the shelf breaks the youngest promises first, so that none is ever without its
units; one that puts units there serves who waits.
"""

from datetime import datetime
from typing import Any

from pydantic import TypeAdapter

from libs.events.contract import Contract, Event
from libs.events.envelope import Envelope
from libs.events.record import record
from libs.events.refusal import CommandRefused
from libs.events.supply import SupplyBucket, SupplyMovement
from services.inventory.giving import peg, take_back_promises
from services.inventory.refuse import refused
from services.inventory.rules import RulesPart
from services.inventory.stock import MOST_UNITS, Posting, SkuPart, moved
from services.inventory.supplies import SupplyPart, evolve_supply

_MOVEMENTS = TypeAdapter(tuple[SupplyMovement, ...])


@record
class Desk:
    """What one input about a SKU is decided on."""

    heard: Envelope[Contract]
    at: datetime
    sku: str
    stock: SkuPart
    supply: SupplyPart
    rules: RulesPart

    def refuse(self, code: str, message: str, next_step: str) -> list[Event]:
        """Nothing changes, for this reason."""
        return [refused(self.heard, code, message, next_step)]


class SupplyPosting(Posting):
    """The movements of one event of supply, of one SKU."""

    def __init__(self, desk: Desk) -> None:
        super().__init__({desk.sku: desk.stock})
        self._sku = desk.sku

    def move(self, node: str, source: SupplyBucket, target: SupplyBucket, quantity: int) -> None:
        """Take `quantity` units from `source` to `target`; none is no movement."""
        self.post(self._sku, node, source, target, quantity)

    def booked(self) -> tuple[SupplyMovement, ...]:
        """What was posted, validated."""
        return _MOVEMENTS.validate_python(self._posted)


def after(desk: Desk, event: Event) -> Desk:
    """The desk once an event of the SKU happened."""
    movements: Any = getattr(event, "movements", ())
    return Desk(
        desk.heard,
        desk.at,
        desk.sku,
        moved(desk.stock, movements),
        evolve_supply(desk.supply, desk.sku, event),
        desk.rules,
    )


def served(desk: Desk, *events: Event) -> list[Event]:
    """These events, and who waits is given what they free."""
    stock = desk.stock
    for event in events:
        stock = moved(stock, getattr(event, "movements", ()))
    return [*events, *peg(desk.sku, stock)]


def spared(desk: Desk, units: int) -> tuple[list[Event], Desk]:
    """Break what promises must be broken before `units` leave the shelf; the desk after that."""
    lacking = units - desk.stock.free
    if lacking <= 0:
        return [], desk
    broken, stock = take_back_promises(desk.sku, desk.stock, lacking)
    return broken, Desk(desk.heard, desk.at, desk.sku, stock, desk.supply, desk.rules)


def unknown(desk: Desk, *nodes: str) -> list[Event]:
    """A refusal when the rules know a node or the SKU not; nothing when they do."""
    for node in nodes:
        if refusal := desk.rules.unknown_node(desk.heard, node):
            return [refusal]
    recipe = desk.stock.recipe
    if recipe is not None and recipe.unpacked:
        return desk.refuse(
            "kept_as_parts",
            f"{desk.sku} is a bundle that is kept as its parts: it has no units of its own.",
            "Tell it of its parts, or define it as a kit that is kept assembled.",
        )
    if refusal := desk.rules.unknown_sku(desk.heard, desk.sku, desk.stock.position):
        return [refusal]
    return []


def too_many(desk: Desk, more: int) -> list[Event]:
    """A refusal when the house would hold more units of the SKU than anybody has."""
    stock = desk.stock
    held = sum(stock.on_hand.values()) + sum(stock.allocated.values()) + desk.supply.all_units
    if more <= 0 or held + more <= MOST_UNITS:
        return []
    return desk.refuse(
        "too_many_units",
        f"{more} more units of {desk.sku} would make {held + more} in all; at most {MOST_UNITS} are kept.",
        "Check the quantity and its unit.",
    )


def not_yet(desk: Desk, happened_at: datetime | None) -> list[Event]:
    """A refusal of what is said to have happened after it was told."""
    if happened_at is None or happened_at <= desk.at:
        return []
    return desk.refuse(
        "effective_in_future",
        f"It is said to have happened at {happened_at.isoformat()}, after it was told at "
        f"{desk.at.isoformat()}.",
        "Check the sender's clock and time zone.",
    )


def refusal_of(events: list[Event]) -> bool:
    """Whether an answer is a refusal."""
    return bool(events) and isinstance(events[0], CommandRefused)
