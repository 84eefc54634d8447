"""How much may be waited for: caps on backorders and pre-orders, by their terms and their dates.

For shops, which would rather say "not available" at once than after weeks. Caps bind orders as they are
accepted: who waits already, and whoever loses units to a count or a short pick, waits on whatever they say.
An order that finds what it wants is never brought here.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime

from libs.events.backorders import BackorderRefused, Backorders, NotAvailable, OpenBackorders, RefusedFor
from libs.events.order import LineQuantity
from libs.events.policy import OrderPolicy
from libs.events.record import record
from services.inventory.dates import HORIZON
from services.inventory.order import OrderPart, minus, units
from services.inventory.stock import SkuPart, Skus
from services.inventory.waiting import WHOLE

NO_LIMIT = 1 << 62
"""More units than anybody waits for."""


def waiting_beyond(part: SkuPart, channel: str | None = None) -> int:
    """Units of the SKU that orders (of one channel, if one is named) wait for. Of one that wants all or
    nothing, all that it wants, as long as they are not all there."""
    if channel is None:
        lacking = part.wanted - part.reserved
        return lacking + sum(turn.whole for turn in part.turns.values() if not turn.passed)
    found = 0
    for holder, claim in part.claims.items():
        if claim.channel == channel:
            turn = part.turns.get(holder)
            whole = 0 if turn is None or turn.passed else turn.whole
            found += claim.wanted - claim.held + whole
    return found


def usable(part: SkuPart, at: datetime | None) -> int:
    """Units to come that who waits can be told a date for, as `dates.coming` has them: none that are late by
    then, that nobody has dated, that come after `HORIZON`, or to a node that is switched off."""
    found = 0
    for arrives, node, quantity in part.arrivals or ():
        if node in (part.closed or ()):
            continue
        if at is None or at < datetime.fromisoformat(arrives) <= at + HORIZON:
            found += quantity
    return found


def left(part: SkuPart, channel: str | None, at: datetime | None = None) -> int | None:
    """Units that orders of the channel may yet begin to wait for while the SKU is open; None, any number.
    Without a moment, nothing to come counts as late."""
    backorders = _of(part)
    if backorders is None:
        return None
    there = [
        one.units_max - waiting_beyond(part, channel) for one in backorders.channels if one.channel == channel
    ]
    if backorders.units_max is not None:
        there.append(backorders.units_max - waiting_beyond(part))
    if backorders.inbound:
        there.append(usable(part, at) - waiting_beyond(part))
    return max(0, min(there)) if there else None


def told(part: SkuPart, channel: str | None, at: datetime | None = None) -> OpenBackorders | None:
    """The same as channels are told of it; None where the SKU's terms do not limit it."""
    backorders = _of(part)
    if backorders is None:
        return None
    return OpenBackorders(
        units=left(part, channel, at), opens_at=backorders.opens_at, closes_at=backorders.closes_at
    )


@record
class Open:
    """Units of a SKU that may be waited for, and why no more."""

    open: int
    reason: RefusedFor
    terms_version: int


def open_to(part: SkuPart, channel: str | None, at: datetime) -> Open:
    """What a channel may begin to wait for at this moment."""
    backorders, units_left = _of(part), left(part, channel, at)
    version = 1 if part.terms is None else part.terms.version
    if backorders is not None and backorders.opens_at is not None and at < backorders.opens_at:
        return Open(0, "backorder_not_open", version)
    if backorders is not None and backorders.closes_at is not None and at >= backorders.closes_at:
        return Open(0, "backorder_closed", version)
    return Open(NO_LIMIT if units_left is None else units_left, "backorder_full", version)


@record
class _Room:
    """What is left of one SKU as an order's lines take of it."""

    there: int
    open: int
    reason: RefusedFor
    terms_version: int


def refuse(order_id: str, order: OrderPart, skus: Skus, mine: dict[str, int]) -> BackorderRefused | None:
    """The lines of a new order that lack more than may be waited for; None where there are none. `mine` are
    units that are held for it already, by SKU. Lines come in their order, those of a bundle as one."""
    wanted = units(order.pending)
    if all(_of(skus[sku]) is None for sku in wanted):
        return None
    assert order.since is not None, f"{order_id} was never accepted"
    rooms = {sku: _room(order_id, order, skus[sku], mine.get(sku, 0), order.since) for sku in wanted}
    refused, why = list[LineQuantity](), dict[str, NotAvailable]()
    whole = order.policy is not None and order.policy.policy == WHOLE
    for group in [order.pending] if whole else _together(order):
        after, amiss = _fit(units(group), rooms, whole)
        if amiss:
            refused += group
            for one in amiss:
                before = why.get(one.sku)
                lacking = one.lacking + (0 if before is None else before.lacking)
                why[one.sku] = one.model_copy(update={"lacking": lacking})
        else:
            rooms = after
    if not refused:
        return None
    lines = tuple(sorted(refused, key=lambda line: line.line))
    return BackorderRefused(
        order_id=order_id,
        lines=lines,
        why=tuple(why.values()),
        rest=minus(order.pending, lines),
        bundles=order.bundles,
    )


def _fit(
    wanted: dict[str, int], rooms: dict[str, _Room], whole: bool
) -> tuple[dict[str, _Room], list[NotAvailable]]:
    """What is left once these units are promised or waited for; or what of them may not be waited for. Who
    wants all or nothing holds nothing, and waits for all units of a SKU that lacks some."""
    after, amiss = dict(rooms), list[NotAvailable]()
    for sku, quantity in wanted.items():
        room = rooms[sku]
        lacking = max(0, quantity - room.there)
        waits = quantity if whole and lacking else lacking
        if waits > room.open:
            why = {"reason": room.reason, "terms_version": room.terms_version, "open": room.open}
            amiss.append(NotAvailable.model_validate({"sku": sku, "lacking": lacking, **why}))
        after[sku] = _Room(
            room.there - quantity + lacking, room.open - waits, room.reason, room.terms_version
        )
    return after, amiss


def _room(order_id: str, order: OrderPart, part: SkuPart, mine: int, at: datetime) -> _Room:
    policy = order.policy or OrderPolicy(version=1)
    there = mine + part.claimable(order.channel, policy.rank, order_id, policy.stands_at, order.country)
    found = open_to(part, order.channel, at)
    return _Room(there, found.open, found.reason, found.terms_version)


def _together(order: OrderPart) -> Iterable[Sequence[LineQuantity]]:
    """The order's lines as they were ordered: those of a bundle's parts together."""
    bundle_of = {part.line: bundle.line for bundle in order.bundles or () for part in bundle.parts}
    found = dict[int, list[LineQuantity]]()
    for line in order.pending:
        found.setdefault(bundle_of.get(line.line, line.line), []).append(line)
    return [found[number] for number in sorted(found)]


def _of(part: SkuPart) -> Backorders | None:
    return None if part.terms is None else part.terms.backorders
