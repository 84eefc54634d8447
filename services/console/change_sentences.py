"""What an order's timeline says of changes by support: cancelled lines, holds placed by hand, notes."""

from libs.events.amendments import (
    AllocationOutdated,
    AmendmentDeclined,
    HeldOrderAmended,
    OrderAmended,
    OrderAmendmentRequested,
    StockDeallocated,
)
from libs.events.changes import (
    AllocationDeclined,
    HoldDeclined,
    HoldPlaced,
    LineCancellationDeclined,
    LineCancellationRequested,
    LinesCancelled,
    LinesReleased,
    NoteAdded,
    OrderResumed,
)
from libs.events.contract import Event
from libs.events.order import LineQuantity
from services.console.amended import words_of

_LISTED_MAX = 5


def change_sentence(event: Event) -> str:
    """What happened; empty for an event that is no such change."""
    match event:
        case LineCancellationRequested():
            return f"Cancellation of {_units(event.lines)} requested{_because(event.reason)}."
        case LinesCancelled():
            nodes = ", ".join(dict.fromkeys(work.node for work in event.work))
            taken = f", taken off the work of {nodes}" if nodes else ""
            return f"Cancelled {_units(event.lines)}{taken}{_because(event.reason)}."
        case LineCancellationDeclined() | HoldDeclined():
            return event.reason
        case HoldPlaced():
            return f"Hold {event.hold} placed: {event.message}"
        case OrderResumed():
            return "No hold is left: the nodes may have it."
        case NoteAdded():
            return "Note written."
        case AllocationDeclined():
            given_back = ", ".join(f"{_units(at_node.lines)} at {at_node.node}" for at_node in event.nodes)
            return f"Given back, as they are no longer wanted: {given_back}."
        case LinesReleased():
            freed = sum(m.quantity for m in event.movements if m.source in ("reserved", "allocated"))
            return f"Released {freed} unit{'' if freed == 1 else 's'} of stock of cancelled lines."
        case OrderAmendmentRequested():
            return f"A change of {words_of(event)} was asked for{_because(event.reason)}."
        case HeldOrderAmended():
            return f"Changed {words_of(event)} while it was held{_because(event.reason)}."
        case OrderAmended():
            return f"Changed {words_of(event)}; nothing was at a node{_because(event.reason)}."
        case AmendmentDeclined():
            return event.reason
        case AllocationOutdated():
            given_back = ", ".join(f"{_units(at_node.lines)} at {at_node.node}" for at_node in event.nodes)
            return f"To be planned anew, as the order was changed: {given_back}."
        case StockDeallocated():
            return f"Promised without a node again: {_units(event.lines)}."
        case _:
            return ""


def _units(lines: tuple[LineQuantity, ...]) -> str:
    named = ", ".join(f"{units.quantity} of {units.sku}" for units in lines[:_LISTED_MAX])
    more = f" and {len(lines) - _LISTED_MAX} more lines" if len(lines) > _LISTED_MAX else ""
    return named + more


def _because(reason: str) -> str:
    return f": {reason.rstrip('.')}" if reason else ""
