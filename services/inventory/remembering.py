"""What is decided when a reminder is due that concerns an order, a held basket, or what of a SKU is free."""

from libs.events.contract import Event
from libs.events.timer import TimerDue
from services.inventory import bundles, holds, progress, reach
from services.inventory.acceptance import promise_after
from services.inventory.giving import peg
from services.inventory.holds import PromisePart
from services.inventory.order import OrderPart
from services.inventory.places import NO_PLACES, PlacesPart
from services.inventory.stock import EMPTY_SKU, HOLDER, Skus
from services.inventory.terms import LEVEL, look_at_level
from services.inventory.touched import REACH, SKU_STREAM


def remember(
    due: TimerDue, order: OrderPart, skus: Skus, places: PlacesPart | None, basket: PromisePart | None
) -> list[Event]:
    """Look after what changed in another lane, or is due. `basket` is the held one that is reminded, or that
    the order names."""
    if due.name in ("free", LEVEL, REACH):
        sku = due.stream.removeprefix(SKU_STREAM)
        part = skus.get(sku, EMPTY_SKU)
        if due.name == "free":
            return peg(sku, part)
        return (
            reach.look(sku, part, places or NO_PLACES)
            if due.name == REACH
            else look_at_level(sku, part.terms, part.offered)
        )
    if due.stream.startswith(HOLDER):
        assert basket is not None, f"{due.stream} was given no promise"
        answer = holds.expire if due.name == "expire" else holds.settle
        return answer(due.stream.removeprefix(HOLDER), basket, skus)
    if due.name == bundles.UNPACKED:
        return promise_after(due.stream, order, skus, basket)
    return progress.remember(due.name, due.stream, order, skus)
