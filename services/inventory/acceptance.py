"""An order that was accepted: what it is promised first, and what has to be looked at before that.

Most are promised at once. One that names bundles, or that lacks what may be replaced, takes a turn more, with
more SKUs before it; lines that nobody may wait for are refused. Each costs only the orders that need it.
"""

from collections import Counter
from dataclasses import replace
from datetime import datetime

from libs.events.contract import Event
from libs.events.intake import OrderAccepted
from libs.events.inventory import StockReserved
from libs.events.promise import PromiseConfirmed
from services.inventory import bundles, caps, holds, substitutes
from services.inventory.amended import as_amended
from services.inventory.holds import PromisePart
from services.inventory.order import OrderPart, as_ordered, evolve_order, units
from services.inventory.policies import PoliciesPart, policy_of
from services.inventory.reserve import promise
from services.inventory.stock import Skus


def accept(
    known: OrderPart,
    skus: Skus,
    basket: PromisePart | None,
    policies: PoliciesPart,
    accepted: OrderAccepted,
    at: datetime,
) -> list[Event]:
    """What an accepted order is promised, or is to be looked at before. `basket` is the held promise that it
    names, if it names one."""
    accepted = as_amended(known, accepted)
    if known.status != "new" or not (lines := as_ordered(accepted, known.cut)):
        return []  # a repeat, or cancelled before it was heard of
    policy = policy_of(policies, accepted)
    if (unpacked := bundles.unpack(accepted, skus, at, policy)) is not None:
        return [unpacked]
    if policy is not None and (sought := substitutes.seek(accepted, lines, skus, at, policy)) is not None:
        return [sought]
    order = OrderPart(
        pending=lines,
        since=at,
        destination=accepted.destination,
        contact=accepted.contact,
        channel=accepted.channel,
        policy=policy,
        service=accepted.service,
    )
    return _first_promise(accepted.order_id, order, skus, accepted.promise_id, basket)


def promise_after(order_id: str, order: OrderPart, skus: Skus, basket: PromisePart | None) -> list[Event]:
    """What an order is promised whose bundles were unpacked, or for which substitutes were sought; nothing
    where it was cancelled since."""
    if order.status != "unpacked":
        return []
    replaced = substitutes.replace_lines(order_id, order, skus)
    if replaced is None:
        return _first_promise(order_id, order, skus, order.promise_id, basket)
    order = evolve_order(order, replaced)
    return [replaced, *_first_promise(order_id, order, skus, order.promise_id, basket)]


def _first_promise(
    order_id: str, order: OrderPart, skus: Skus, promise_id: str | None, basket: PromisePart | None
) -> list[Event]:
    """What a new order is promised, without the lines that nobody may wait for."""
    events, mine, all_there = _as_held(order_id, order, skus, promise_id, basket)
    if all_there or (refused := caps.refuse(order_id, order, skus, mine)) is None:
        return events
    rest, _, _ = _as_held(order_id, replace(order, pending=refused.rest), skus, promise_id, basket)
    return [refused, *rest]


def _as_held(
    order_id: str, order: OrderPart, skus: Skus, promise_id: str | None, basket: PromisePart | None
) -> tuple[list[Event], dict[str, int], bool]:
    """What the order is promised, of a held basket first; the basket's units of that, by SKU, also those that
    it waits for; whether all of what it wants is there."""
    events: list[Event] = []
    mine: dict[str, int] = {}
    if promise_id is not None:
        assert basket is not None, f"{order_id} was given no promise {promise_id}"
        found = holds.confirm(order_id, units(order.pending), promise_id, basket, skus)
        if isinstance(found, PromiseConfirmed):
            mine = Counter({move.sku: move.quantity for move in found.movements})
            mine.update({one.sku: one.quantity for one in found.waited or ()})
            order = order if found.places is None else replace(order, places=found.places)
        events, skus = [found], holds.evolve_skus(skus, found)
    if not order.pending:
        return events, mine, False
    promised = promise(order_id, order, skus, 1)
    return [*events, promised], mine, isinstance(promised, StockReserved) and promised.later is None
