"""What events say of the queues of SKUs: each change of one, numbered, so that an auditor can follow it.

Movements say what exists of a SKU and what is promised. That an order waits moves nothing, and lanes are not
written in one order: so whatever changes who waits, and whatever is given or taken while somebody does, takes
the next number of the SKU's queue. Who is promised at once what nobody waits for says nothing of it.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

from libs.events.changes import LinesReleased
from libs.events.inventory import QueueChange, StockReleased
from libs.events.record import changed
from services.inventory.order import units
from services.inventory.queue import NO_TURN
from services.inventory.stock import NO_CLAIM, AnyMovement, SkuPart, Skus

Released = TypeVar("Released", StockReleased, LinesReleased)


def of_promise(
    holder: str,
    skus: Skus,
    named: Iterable[str],
    lacks: Mapping[str, int],
    movements: Sequence[AnyMovement],
) -> tuple[QueueChange, ...] | None:
    """What a promise to an order or a basket changes, `lacks` being the units that it waits for from now on,
    of the SKUs `named`; None where nobody waits for any of them."""
    found: list[QueueChange] = []
    for sku in named:
        part = skus[sku]
        if part.wanted > part.reserved or part.turns or sku in lacks:
            moves = [move for move in movements if move.sku == sku]
            takes = any(move.source == "unreserved" for move in moves) and _somebody_waits(part)
            if takes or lacks.get(sku) or _lacks(part, holder):
                up_to = None if moves else part.position
                found.append(QueueChange(sku=sku, number=part.queued + 1, up_to=up_to))
    return tuple(found) or None


def with_queue(skus: Skus, released: Released) -> Released:
    """An order's release, saying which queues it leaves by it."""
    moved = {move.sku for move in released.movements}
    found = [
        QueueChange(sku=sku, number=part.queued + 1, up_to=None if sku in moved else part.position)
        for sku in units(released.lines)
        if (part := skus.get(sku)) is not None and _lacks(part, released.order_id)
    ]
    return released.model_copy(update={"queue": tuple(found)}) if found else released


def counted(skus: dict[str, SkuPart], changes: tuple[QueueChange, ...] | None) -> dict[str, SkuPart]:
    """The SKUs, their queues changed so often."""
    for change in changes or ():
        part = skus[change.sku]
        skus[change.sku] = changed(part, queued=max(part.queued, change.number))
    return skus


def _somebody_waits(part: SkuPart) -> bool:
    return part.wanted > part.reserved or any(turn.whole for turn in part.turns.values())


def _lacks(part: SkuPart, holder: str) -> int:
    """Units of it that the holder waits for."""
    claim = part.claims.get(holder, NO_CLAIM)
    return part.turns.get(holder, NO_TURN).whole or claim.wanted - claim.held
