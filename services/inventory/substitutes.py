"""Substitutes: what may be sent in place of a SKU that lacks, where the tenant and the order's policy allow.

For shops that would rather send another mug today than the very one in a month. An order knows what it may be
sent only once the SKUs that it names were read, so it takes a turn more, as bundles do, and only where
something lacks. A line is replaced as a whole, by one SKU of which all of it is there.
"""

from collections.abc import Iterator
from datetime import datetime

from libs.events.bundles import BundlesUnpacked
from libs.events.contract import Contract, Event
from libs.events.envelope import Envelope
from libs.events.intake import OrderAccepted
from libs.events.order import LineQuantity, PartLine, UnpackedLine
from libs.events.policy import OrderPolicy
from libs.events.record import changed
from libs.events.refusal import refused
from libs.events.substitutes import DefineSubstitutes, SubstitutesDefined, SubstitutesSought
from services.inventory.bundles import unused_lines
from services.inventory.order import OrderPart, units
from services.inventory.stock import SkuPart, Skus, SubstitutesOf


def define(part: SkuPart, heard: Envelope[Contract], command: DefineSubstitutes) -> list[Event]:
    """The SKU's new substitutes; nothing when they are so already."""
    named = command.substitutes
    if command.sku in named or len(set(named)) < len(named):
        return [
            refused(
                heard,
                "substitute_twice",
                f"{', '.join(named)}: a SKU replaces another once, and never itself.",
                f"Name each SKU that may be sent in place of {command.sku} once.",
            )
        ]
    if part.recipe is not None and part.recipe.unpacked:
        return [
            refused(
                heard,
                "kept_as_parts",
                f"{command.sku} is a bundle: it has no units that could lack.",
                "Say by what its parts may be replaced in orders for them alone, or sell another bundle.",
            )
        ]
    known = part.substitutes
    if named == (() if known is None else known.skus):
        return []
    version = 1 if known is None else known.version + 1
    return [SubstitutesDefined(sku=command.sku, version=version, substitutes=named)]


def evolve(part: SkuPart, event: SubstitutesDefined) -> SkuPart:
    """The SKU with its substitutes."""
    return changed(part, substitutes=SubstitutesOf(event.version, event.substitutes))


def seek(
    accepted: OrderAccepted, lines: tuple[LineQuantity, ...], skus: Skus, at: datetime, policy: OrderPolicy
) -> SubstitutesSought | None:
    """What a new order may be sent in place of what lacks; None where nothing lacks that may be replaced. Who
    held a basket has its units."""
    if not policy.substitutes or accepted.promise_id is not None:
        return None
    candidates = dict[str, None]()
    for sku, quantity in units(lines).items():
        known = skus[sku].substitutes
        if known is not None and quantity > _there(
            accepted.order_id, accepted.channel, policy, skus[sku], accepted.destination.country
        ):
            candidates |= dict.fromkeys(known.skus)
    if not candidates:
        return None
    return SubstitutesSought(
        order_id=accepted.order_id,
        lines=lines,
        candidates=tuple(candidates),
        since=at,
        destination=accepted.destination,
        contact=accepted.contact,
        channel=accepted.channel,
        service=accepted.service,
        policy=policy,
    )


def evolve_order(event: SubstitutesSought, known: OrderPart) -> OrderPart:
    """The order, which is promised once the substitutes were looked at."""
    return OrderPart(
        status="unpacked",
        since=event.since,
        skus=(*units(event.lines), *(sku for sku in event.candidates if sku not in units(event.lines))),
        pending=event.lines,
        destination=event.destination,
        contact=event.contact,
        channel=event.channel,
        policy=event.policy,
        service=event.service,
        amended=known.amended,
    )


def replace_lines(order_id: str, order: OrderPart, skus: Skus) -> BundlesUnpacked | None:
    """The lines that lack, each with the first of its substitutes of which all of it is there in place of it;
    None where nothing is replaced."""
    policy = order.policy
    if policy is None or not policy.substitutes or order.bundles is not None:
        return None
    assert order.since is not None, f"{order_id} was never accepted"
    assert order.destination_now is not None, f"{order_id} has no destination"
    there = {sku: _there(order_id, order.channel, policy, skus[sku], order.country) for sku in order.skus}
    numbers = unused_lines({line.line for line in order.pending})
    replaced, kept = list[UnpackedLine](), list[LineQuantity]()
    for line in order.pending:
        found = _replaced(line, skus[line.sku], there, numbers)
        if found is None:
            kept.append(line)
            there[line.sku] = max(0, there[line.sku] - line.quantity)
        else:
            replaced.append(found)
            there[found.parts[0].sku] -= line.quantity
    if not replaced:
        return None
    return BundlesUnpacked(
        order_id=order_id,
        bundles=tuple(replaced),
        others=tuple(kept),
        since=order.since,
        destination=order.destination_now,
        contact=order.contact_now,
        channel=order.channel,
        service=order.service_now,
        policy=policy,
    )


def _replaced(
    line: LineQuantity, part: SkuPart, there: dict[str, int], numbers: Iterator[int]
) -> UnpackedLine | None:
    known = part.substitutes
    if known is None or there[line.sku] >= line.quantity:
        return None
    for sku in known.skus:
        if there.get(sku, 0) >= line.quantity:
            return UnpackedLine(
                line=line.line,
                sku=line.sku,
                quantity=line.quantity,
                bundle_version=known.version,
                substituted="lacks",
                parts=(PartLine(line=next(numbers), sku=sku, quantity=line.quantity),),
            )
    return None


def _there(order_id: str, channel: str | None, policy: OrderPolicy, part: SkuPart, country: str) -> int:
    return part.claimable(channel, policy.rank, order_id, policy.stands_at, country)
