"""Promises: an order's pending units are promised all together, or it waits and holds what exists.

A backordered order keeps what it could get of its lines, so that its place in the queue is worth something;
it goes on to routing only when every pending unit is promised.
"""

from datetime import datetime

from libs.events.contract import Contract, Event
from libs.events.envelope import Envelope
from libs.events.inventory import NETWORK, QueueChange, Shortage, StockBackordered, StockReserved
from libs.events.promise import DefinePromiseTerms, PromiseTermsDefined
from services.inventory import terms
from services.inventory.channel_days import merged
from services.inventory.findings import shortage, terms_used, too_many
from services.inventory.giving import peg
from services.inventory.lot_limits import in_time
from services.inventory.order import OrderPart, units
from services.inventory.posting import Posting
from services.inventory.rules import RulesPart
from services.inventory.stock import NO_CLAIM, SkuPart, Skus, evolve_sku
from services.inventory.waiting import backordered, promise_by_policy, reserved


def complete(order_id: str, order: OrderPart, skus: Skus) -> bool:
    """Whether every pending unit of the order is promised that routing is or will be asked about, lasts long
    enough for its channel, and can be sent where it goes."""
    country = order.country
    for sku, quantity in units(order.asked).items():
        held = skus[sku].claims.get(order_id, NO_CLAIM).held
        if held < quantity or too_many(skus[sku], order_id, order.channel, held, country):
            return False
    return True


def promise(order_id: str, order: OrderPart, skus: Skus, round_: int) -> StockReserved | StockBackordered:
    """Claim what `order.pending` still lacks, as far as others do not wait for it: the answer is for all
    pending lines, and opens sourcing round `round_` or stays in it."""
    if order.policy is not None:
        return promise_by_policy(order_id, order, skus, round_)
    wanted, country = units(order.pending), order.country
    posting = Posting(skus)
    short: list[Shortage] = []
    for sku, quantity in wanted.items():
        part = skus[sku]
        held = part.claims.get(order_id, NO_CLAIM).held
        missing = quantity - held
        taken = min(missing, part.claimable(order.channel, country=country))
        taken -= too_many(part, order_id, order.channel, held + taken, country)
        if taken >= 0:
            posting.post(sku, NETWORK, "unreserved", "reserved", taken)
        else:
            posting.post(sku, NETWORK, "reserved", "unreserved", -taken)
        if missing > taken:
            back = max(0, -taken)
            short.append(shortage(sku, part, missing - taken, order.channel, country=country, back=back))
    used = terms_used(wanted, skus)
    if short:
        return backordered(order_id, order, round_, skus, short, used, posting.movements())
    return reserved(order_id, order, round_, skus, order.pending, used, posting.movements())


def define_terms(
    part: SkuPart,
    heard: Envelope[Contract],
    command: DefinePromiseTerms,
    at: datetime,
    rules: RulesPart | None = None,
) -> list[Event]:
    """The SKU's new terms; who waits is served at once, where they now allow it, and whose channel asks for
    more days left than the lots have, waits again. Days that channels ask of all SKUs are of the `rules`."""
    days = {} if part.lots is None or rules is None else rules.days
    events = terms.define(part.terms, heard, command, *merged(command.channels, days))
    if not events or not isinstance(events[0], PromiseTermsDefined):
        return events
    change = QueueChange(sku=command.sku, number=part.queued + 1, up_to=part.position)
    defined = events[0].model_copy(update={"queue": (change,)})
    kept, part = in_time(command.sku, evolve_sku(part, defined), at)
    return [defined, *kept, *peg(command.sku, part)]
