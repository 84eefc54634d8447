"""Whether a basket can be held, and of what: all of it is there, or is to come and waited for."""

from collections.abc import Iterable, Mapping
from datetime import datetime

from libs.events.contract import Contract, Event
from libs.events.envelope import Envelope
from libs.events.inventory import NETWORK
from libs.events.places import STANDARD, Delivery
from libs.events.policy import OrderPolicy
from libs.events.promise import HoldStock, PromiseHeld, Wanted
from libs.events.refusal import refused
from services.inventory import basket_waits, dates
from services.inventory.holds import PromisePart
from services.inventory.places import NO_PLACES, PlacesPart
from services.inventory.policies import PoliciesPart, could_have, policy_of
from services.inventory.posting import Posting
from services.inventory.stock import Skus

SHORT_NAMED_MAX = 5


def answer_hold(
    part: PromisePart,
    skus: Skus,
    heard: Envelope[Contract],
    command: HoldStock,
    at: datetime,
    places: PlacesPart = NO_PLACES,
    policies: PoliciesPart | None = None,
) -> list[Event]:
    status = part.status
    if status != "new":
        return [
            refused(
                heard,
                "promise_exists",
                f"The promise {command.promise_id} exists: it is {status}.",
                "Hold another basket under another promise_id; to change this one, release it first.",
            )
        ]
    if bundled := [sku for sku, known in skus.items() if known.recipe is not None and known.recipe.unpacked]:
        return [
            refused(
                heard,
                "bundle_in_basket",
                f"{', '.join(bundled[:SHORT_NAMED_MAX])} is held as its parts.",
                "Name its parts, or hold the basket by POST /v1/promises, which does that.",
            )
        ]
    policy = None if policies is None else policy_of(policies, command)
    astray = _not_served(command, skus, places, policy)
    found = hold(command, skus, at, places, policy)
    next_ = "Hold fewer units, or order without a promise: what is short is then backordered."
    if not isinstance(found, PromiseHeld) and policy is not None and policy.baskets_wait:
        if command.destination is None:
            next_ = (
                "Say where it goes (destination): such a basket may wait for what is to come, with a date."
            )
        else:
            found = basket_waits.hold_waiting(command, summed(command.lines), skus, at, places, policy)
            next_ = "Hold fewer units, or state what is to come and when: POST /v1/stock/supplies."
    if isinstance(found, PromiseHeld) and (not astray or found.short is not None):
        return [found]
    if astray:
        return [
            refused(
                heard,
                "not_served",
                f"The basket cannot be sent to {astray[0]}: {told(astray[1:])}.",
                "Hold what is there, or for another destination, or stock a node that ships there.",
            )
        ]
    assert not isinstance(found, PromiseHeld), f"{command.promise_id} is held, and not served"
    return [refused(heard, "not_available", f"The basket cannot be held as a whole: {told(found)}.", next_)]


def hold(
    command: HoldStock, skus: Skus, at: datetime, places: PlacesPart, policy: OrderPolicy | None = None
) -> PromiseHeld | tuple[str, ...]:
    """The basket, set aside; or what stands in the way, SKU by SKU."""
    wanted, country = summed(command.lines), _country(command)
    short = [
        f"{sku}: {quantity} wanted, {there} can be promised"
        for sku, quantity in wanted.items()
        if quantity > (there := could_have(skus[sku], command.channel, policy, country))
    ]
    if short:
        return tuple(short)
    posting = Posting(skus)
    for sku, quantity in wanted.items():
        posting.post(sku, NETWORK, "unreserved", "held", quantity)
    delivery = _delivery(command, wanted, skus, at, places, policy)
    held = posting.hold_movements()
    return basket_waits.promise_held(command, wanted, {}, skus, at, places, policy, delivery, held)


def _not_served(
    command: HoldStock, skus: Skus, places: PlacesPart, policy: OrderPolicy | None
) -> tuple[str, ...]:
    """The country that the basket is for, and the SKUs of which fewer units than it wants are at nodes that
    ship there and not promised to others, though all of them could be promised elsewhere; nothing where
    there are none. Where a SKU was not told yet of a node, `places` tell."""
    country, found = _country(command), list[str]()
    if country is None:
        return ()
    for sku, quantity in summed(command.lines).items():
        part = skus[sku]
        if part.reach() is None and not (places.ships_to or places.closed):
            continue
        units = part.on_hand_for(command.channel, country)
        there = sum(n for node, n in units.items() if places.serves(node, country))
        there = min(there, could_have(part, command.channel, policy, country))
        if there < quantity <= could_have(part, command.channel, policy):
            found.append(f"{there} of {quantity} units of {sku} can be promised from nodes that ship there")
    return (country, *found) if found else ()


def _country(command: HoldStock) -> str | None:
    return None if command.destination is None else command.destination.country


def _delivery(
    command: HoldStock,
    wanted: Mapping[str, int],
    skus: Skus,
    at: datetime,
    places: PlacesPart,
    policy: OrderPolicy | None,
) -> Delivery | None:
    """When the basket can be there, where somebody said where that is."""
    if command.destination is None:
        return None
    question = dates.Question(command.destination, command.service or STANDARD, at, places, policy)
    return dates.last(dates.promised(wanted, command.channel, skus, {}, question).values())


def summed(lines: Iterable[Wanted]) -> dict[str, int]:
    """Units by SKU; several lines may share one."""
    sums: dict[str, int] = {}
    for line in lines:
        sums[line.sku] = sums.get(line.sku, 0) + line.quantity
    return sums


def told(short: tuple[str, ...]) -> str:
    """What is short, in a sentence of bounded length."""
    more = f"; and {len(short) - SHORT_NAMED_MAX} more SKUs" if len(short) > SHORT_NAMED_MAX else ""
    return "; ".join(short[:SHORT_NAMED_MAX]) + more
