"""What support changes about an order that is captured: fewer units of a line, a hold placed by hand, its end
before it was accepted.

What can still be done to goods is fulfillment's to say; intake holds a wish against what was ordered and what
was cancelled before, and names each cancellation. Holds placed by hand stand beside those of the capture.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import field, replace

from libs.events.amendments import HeldOrderAmended, OrderAmendmentRequested
from libs.events.changes import (
    CancelLines,
    HoldDeclined,
    HoldPlaced,
    LineCancellationDeclined,
    LineCancellationRequested,
    OrderResumed,
    PlaceHold,
)
from libs.events.contract import Event
from libs.events.intake import HeldOrderCancelled, HoldReleased, OrderHeld
from libs.events.order import LineQuantity
from libs.events.record import record
from services.intake.queue import Told

HOLDS_MAX = 20
"""Open at a time, placed by hand; and so many released ones are remembered."""


@record
class Changes:
    """What people did to one order."""

    cancelled: Mapping[int, int] = field(default_factory=dict)
    """Units by line that were asked to be cancelled, and not declined."""
    cancellations: int = 0
    holds: Mapping[str, str] = field(default_factory=dict)
    """Open ones, placed by hand: name → message."""
    paused: bool = False
    """Fulfillment was told of a hold, and not yet that it may go on."""
    amendments: int = 0
    released: tuple[str, ...] = ()
    """Holds placed by hand that somebody released: the last of them, and none that is open again."""


UNCHANGED = Changes()
Changing = (
    LineCancellationRequested
    | LineCancellationDeclined
    | HoldPlaced
    | HoldDeclined
    | HoldReleased
    | OrderResumed
    | OrderAmendmentRequested
    | HeldOrderAmended
)


def after(known: Changes, event: Changing) -> Changes:
    """What is known after an event of intake's or fulfillment's; the same object where nothing is new."""
    match event:
        case LineCancellationRequested():
            total = dict(known.cancelled)
            for units in event.lines:
                total[units.line] = total.get(units.line, 0) + units.quantity
            return replace(known, cancelled=total, cancellations=known.cancellations + 1)
        case LineCancellationDeclined():
            total = dict(known.cancelled)
            for kept in event.lines:
                total[kept.line] = total.get(kept.line, 0) - kept.quantity
            return replace(known, cancelled={line: units for line, units in total.items() if units > 0})
        case HoldPlaced():
            holds = {**known.holds, event.hold: event.message}
            return replace(known, holds=holds, paused=True, released=_without(known.released, event.hold))
        case HoldDeclined() | HoldReleased():
            if event.hold not in known.holds:
                return known
            left = {name: message for name, message in known.holds.items() if name != event.hold}
            if isinstance(event, HoldReleased):
                released = (*_without(known.released, event.hold), event.hold)[-HOLDS_MAX:]
                return replace(known, holds=left, released=released)
            return replace(known, holds=left, paused=known.paused if left else False)
        case OrderResumed():
            return replace(known, paused=False)
        case OrderAmendmentRequested() | HeldOrderAmended():
            return replace(known, amendments=known.amendments + 1)


def _without(names: tuple[str, ...], name: str) -> tuple[str, ...]:
    return tuple(one for one in names if one != name)


def cancel_lines(
    known: Changes, ordered: Iterable[LineQuantity], command: CancelLines
) -> list[Event] | Told | None:
    """The request, or why it cannot be meant. None: it names all that is left, which cancels the order."""
    lines = {line.line: line for line in ordered}
    left = {number: line.quantity - known.cancelled.get(number, 0) for number, line in lines.items()}
    asked: dict[int, int] = {}
    for units in command.lines:
        asked[units.line] = asked.get(units.line, 0) + units.quantity
    for number, quantity in asked.items():
        if number not in lines:
            return Told(
                "unknown_line",
                f"order {command.order_id} has no line {number}.",
                f"Its lines are {', '.join(map(str, list(lines)[:20]))}.",
            )
        if quantity > left[number]:
            before = known.cancelled.get(number, 0)
            return Told(
                "not_that_many",
                f"line {number} of order {command.order_id} ({lines[number].sku}) has {left[number]} units to"
                f" cancel, not {quantity}: {lines[number].quantity} were ordered, {before} are cancelled or"
                " asked to be.",
                f"Ask for at most {left[number]}." if left[number] else "Nothing to do.",
            )
    if all(asked.get(number, 0) == units for number, units in left.items()):
        return None
    requested = LineCancellationRequested(
        order_id=command.order_id,
        cancellation_id=f"{command.order_id}-C{known.cancellations + 1}",
        lines=tuple(
            LineQuantity(line=number, sku=lines[number].sku, quantity=quantity)
            for number, quantity in asked.items()
        ),
        ordered=tuple(lines.values()),
        reason=command.reason,
    )
    return [requested]


def place_hold(known: Changes, captured: Iterable[str], command: PlaceHold) -> list[Event] | Told:
    """The hold. `captured` are the open holds of the capture; the same hold again is no news."""
    if known.holds.get(command.hold) == command.message:
        return []
    if command.hold in known.holds or command.hold in captured:
        return Told(
            "already_held",
            f"order {command.order_id} is held under {command.hold} already.",
            "Place another hold under another name, or release this one first.",
        )
    if len(known.holds) == HOLDS_MAX:
        return Told(
            "too_many_holds",
            f"order {command.order_id} has {HOLDS_MAX} holds placed by hand.",
            "Release one of them first.",
        )
    return [HoldPlaced(order_id=command.order_id, hold=command.hold, message=command.message)]


def withdrawn(held: OrderHeld | None, released: Collection[str]) -> HeldOrderCancelled:
    """What a held order would have cost, and whether its payment had been confirmed."""
    assert held is not None, "an order is held without its terms"
    confirmed = held.payment == "pending" and "payment" in released
    return HeldOrderCancelled(
        order_id=held.order_id,
        currency=held.currency,
        lines=held.lines,
        charges=held.charges,
        total_minor=held.total_minor,
        payment="paid" if confirmed else held.payment,
        channel=held.channel,
        external_id=held.external_id,
        placed_at=held.placed_at,
        contact=held.contact,
    )
