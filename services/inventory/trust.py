"""At which of a SKU's nodes nobody stands for what is there: its feed went silent or was retired, and nobody
has told of the node since.

What was promised of it stays promised, and may be allocated. What an order gives back there is on hand, and
is promised to nobody: the node is `closed` to new promises (`reach`), as one that is switched off.
"""

from collections.abc import Iterable

from libs.events.contract import Event
from libs.events.feeds import FeedStale, StockReported
from libs.events.record import changed
from libs.events.stocktaking import CountRecorded
from services.inventory.stock import AnyMovement, SkuPart


def trust_after(part: SkuPart, event: Event) -> SkuPart:
    """The SKU after an event of its own stream, whose movements were counted. A feed, a count, or whatever
    brings units on hand tells of its node."""
    if isinstance(event, FeedStale):
        return changed(part, untrusted=tuple(sorted({*(part.untrusted or ()), event.node})))
    if part.untrusted is None:
        return part
    left = {*part.untrusted}.difference(_told(event))
    return part if len(left) == len(part.untrusted) else changed(part, untrusted=tuple(sorted(left)) or None)


def _told(event: Event) -> Iterable[str]:
    if isinstance(event, StockReported):
        return [event.node]
    counted = [event.node] if isinstance(event, CountRecorded) and event.outcome != "held" else []
    moves: Iterable[AnyMovement] = getattr(event, "movements", ())
    return [*counted, *(move.node for move in moves if move.target == "on_hand")]
