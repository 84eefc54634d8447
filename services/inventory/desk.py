"""The desk at which facts from outside are decided: what is known of the SKU, and what every answer needs.

A movement that takes units off the shelf breaks the youngest promises first, so that none is ever without its
units; one that puts units there serves who waits.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from pydantic import TypeAdapter

from libs.events.contract import Contract, Event
from libs.events.envelope import Envelope
from libs.events.lots import LotExpired, LotQuarantined
from libs.events.record import changed, record
from libs.events.refusal import CommandRefused, refused
from libs.events.supply import SupplyBucket, SupplyMovement
from services.inventory.bins import straightened
from services.inventory.channel_days import taken_up
from services.inventory.giving import peg, take_back_promises, take_back_unsendable
from services.inventory.lot_limits import in_time
from services.inventory.lot_states import evolve_lots
from services.inventory.lots import Lots, LotState
from services.inventory.places import PlacesPart
from services.inventory.posting import Posting
from services.inventory.reach import in_reach
from services.inventory.rules import RulesPart
from services.inventory.serials import Numbers
from services.inventory.stock import MOST_UNITS, SkuPart, moved
from services.inventory.supplies import SupplyPart, evolve_supply
from services.inventory.trust import trust_after

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
    numbers: Numbers
    """The serial numbers that the input names."""
    places: PlacesPart | None = None
    """Where the input may put units on a shelf."""

    def refuse(self, code: str, message: str, next_step: str) -> list[Event]:
        """Nothing changes, for this reason."""
        return [refused(self.heard, code, message, next_step)]


class SupplyPosting(Posting):
    """The movements of one event of supply, of one SKU."""

    def __init__(self, desk: Desk) -> None:
        super().__init__({desk.sku: desk.stock})
        self._sku = desk.sku

    def move(
        self,
        node: str,
        source: SupplyBucket,
        target: SupplyBucket,
        quantity: int,
        lot: str | None = None,
        serials: tuple[str, ...] | None = None,
    ) -> None:
        """Take `quantity` units from `source` to `target`, of a lot if one is named, or those of so many
        serial numbers; none is no movement."""
        self.post(self._sku, node, source, target, quantity, lot, serials)

    def booked(self) -> tuple[SupplyMovement, ...]:
        """What was posted, validated."""
        return _MOVEMENTS.validate_python(self._posted)


def after(desk: Desk, event: Event) -> Desk:
    """The desk once an event of the SKU happened; a kit's moves units of others, too."""
    movements = [move for move in getattr(event, "movements", ()) if move.sku == desk.sku]
    return changed(
        desk,
        stock=trust_after(evolve_lots(moved(desk.stock, movements), event), event),
        supply=evolve_supply(desk.supply, desk.sku, event),
    )


def served(desk: Desk, *events: Event) -> list[Event]:
    """These events, and who waits is given what they free, without units of lots that are sold no more."""
    for event in events:
        desk = after(desk, event)
    stopped = list[Event]()
    if desk.stock.lots is not None:
        stopped, desk = _unsellable(desk, desk.stock.lots)
    taken, stock = taken_up(desk.sku, desk.stock, desk.rules)
    kept, stock = in_time(desk.sku, stock, desk.at)
    kept = [*taken, *kept]
    if desk.places is not None:
        told, stock = in_reach(desk.sku, stock, desk.places)
        kept += told
    return [*events, *stopped, *kept, *peg(desk.sku, stock)]


def gone(desk: Desk, *events: Event) -> list[Event]:
    """These events, which take units off the shelf, and the promises that need lots which last longer than
    what they leave there; `desk` as it was before them."""
    for event in events:
        desk = after(desk, event)
    return [*events, *in_time(desk.sku, desk.stock, desk.at)[0]]


def in_bins(desk: Desk, events: list[Event]) -> list[Event]:
    """An answer, and what lies in bins no more because of it; `desk` as it was before."""
    if desk.stock.put_away is None:
        return events
    for event in events:
        desk = after(desk, event)
    return [*events, *straightened(desk.sku, desk.stock)]


def quarantine(
    desk: Desk, lot: str, state: Literal["expired", "quarantined"], reason: str = ""
) -> tuple[list[Event], Desk]:
    """Take what is on hand of a lot off the shelf, for good or until it is released; the desk after that."""
    lots = desk.stock.lots
    assert lots is not None, f"{desk.sku} has no lots"
    there = lots.nodes("on_hand", lot)
    broken, desk = spared(desk, dict(there))
    posting = SupplyPosting(desk)
    for node, units in there:
        posting.move(node, "on_hand", "quarantine", units, lot)
    said: dict[str, Any] = {
        "sku": desk.sku,
        "lot": lot,
        "up_to": desk.stock.position,
        "allocated": sum(units for _, units in lots.nodes("allocated", lot)),
        "check_at": check_lots_at(lots, lot, good=False),
        "movements": posting.booked(),
    }
    event: Event
    if state == "expired":
        event = LotExpired.model_validate({**said, "expires_on": lots.named[lot].expires_on})
    else:
        event = LotQuarantined.model_validate({**said, "reason": reason})
    return [*broken, event], after(desk, event)


def check_lots_at(lots: Lots, lot: str, *, good: bool) -> datetime | None:
    """When to look at the lots again, once this one is good, or is not."""
    state: LotState = "good" if good else "expired"
    named = {**lots.named, lot: changed(lots.named[lot], state=state)}
    return changed(lots, named=named).next_check()


def _unsellable(desk: Desk, lots: Lots) -> tuple[list[Event], Desk]:
    """Take what may not be sold off the shelf: lots whose time is up, and what came back of one that is
    stopped."""
    events = list[Event]()
    for lot, one in lots.named.items():
        due = one.state == "good" and lots.leaves_at(lot) <= desk.at
        back = one.state != "good" and lots.nodes("on_hand", lot)
        if due or back:
            more, desk = quarantine(desk, lot, "quarantined" if one.state == "quarantined" else "expired")
            events += more
    return events, desk


def spared(desk: Desk, leaving: Mapping[str, int]) -> tuple[list[Event], Desk]:
    """Break what promises must be broken before so many units leave nodes; the desk after that."""
    broken, stock = take_back_unsendable(desk.sku, desk.stock, leaving)
    lacking = sum(leaving.values()) - stock.free
    if lacking > 0:
        more, stock = take_back_promises(desk.sku, stock, lacking)
        broken += more
    return broken, changed(desk, stock=stock) if broken else desk


def unknown(desk: Desk, *nodes: str) -> list[Event]:
    """A refusal when the rules know a node or the SKU not; nothing when they do."""
    if refused_ := unknown_nodes(desk, *nodes):
        return refused_
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


def unknown_nodes(desk: Desk, *nodes: str) -> list[Event]:
    """A refusal when the rules know a node not."""
    for node in nodes:
        if refusal := desk.rules.unknown_node(desk.heard, node):
            return [refusal]
    return []


def too_many(desk: Desk, more: int) -> list[Event]:
    """A refusal when the house would hold more units of the SKU than anybody has."""
    held = in_house(desk)
    if more <= 0 or held + more <= MOST_UNITS:
        return []
    return desk.refuse(
        "too_many_units",
        f"{more} more units of {desk.sku} would make {held + more} in all; at most {MOST_UNITS} are kept.",
        "Check the quantity and its unit.",
    )


def in_house(desk: Desk) -> int:
    """Units of the SKU on hand, allocated, and in every bucket of its supply."""
    stock = desk.stock
    return sum(stock.on_hand.values()) + sum(stock.allocated.values()) + desk.supply.all_units


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
