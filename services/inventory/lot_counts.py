"""Counts by lot: what was found of each lot of a shelf, and what that changes.

As with a count of the whole (`counts`), the variance alone is booked, of each lot to the lot. So a shelf
whose sum agrees may differ all the same, and a difference that waits for a person remembers its lots.
"""

from collections.abc import Mapping

from libs.events.contract import Event
from libs.events.stocktaking import LotCounts, RecordCount
from services.inventory.desk import Desk, SupplyPosting, spared
from services.inventory.lot_control import no_lots, unknown_lot
from services.inventory.lot_transfers import lot_twice, not_the_sum

Variances = Mapping[str, int]
"""Counted minus recorded, by lot; none at zero."""


def variances(lots: LotCounts | None) -> dict[str, int]:
    """Those of a count by lot."""
    return {one.lot: one.counted - one.book for one in lots or () if one.counted != one.book}


def size(lots: Variances, variance: int) -> int:
    """Units that differ: more or fewer, whichever are more."""
    found = sum(units for units in lots.values() if units > 0)
    return max(found, found - sum(lots.values()), abs(variance))


def miscounted(desk: Desk, command: RecordCount) -> list[Event]:
    """A refusal of a count by lot that does not add up, or finds a lot that never arrived."""
    lots, known = command.lots, desk.stock.lots
    if lots is None:
        return []
    if known is None:
        return no_lots(desk, lots[0].lot)
    if refusal := lot_twice(desk, [one.lot for one in lots]):
        return refusal
    strange = next((one.lot for one in lots if one.lot not in known.named and one.counted > one.book), None)
    if strange is not None:
        return unknown_lot(desk, strange)
    if command.lot is not None or command.unit is not None:
        named = "lot" if command.lot is not None else "unit"
        return desk.refuse(
            "lots_are_counted",
            f"Count {command.count_id} of {desk.sku} says what was counted of each lot, and {named}.",
            f"Leave {named} out: lots are counted one by one, in base units.",
        )
    return not_the_sum(desk, sum(one.counted for one in lots), command.counted, "counted") or not_the_sum(
        desk, sum(one.book for one in lots), command.book, "book"
    )


def book_lots(
    desk: Desk, node: str, lots: Variances, looked: bool
) -> tuple[list[Event], Desk, SupplyPosting, int]:
    """What the variances of lots move at a node, as `settling.book` says."""
    known = desk.stock.lots
    assert known is not None, f"{desk.sku} has no lots"
    doubted = desk.supply.units("suspect", node) if looked else 0
    gone, lacking = dict[str, int](), 0
    for lot, variance in lots.items():
        there = known.there("on_hand", node).get(lot, 0)
        there += known.there("suspect", node).get(lot, 0) if looked else 0
        gone[lot] = min(max(0, -variance), there)
        lacking += max(0, -variance) - gone[lot]
    found = sum(max(0, variance) for variance in lots.values())
    broken, spare = spared(desk, {node: sum(gone.values()) - doubted - found})
    posting = SupplyPosting(spare)
    posting.move(node, "suspect", "on_hand", doubted)
    for lot, variance in lots.items():
        posting.move(node, "adjustment", "on_hand", max(0, variance), lot)
    for lot, units in gone.items():
        posting.move(node, "on_hand", "written_off", units, lot)
    return broken, spare, posting, lacking
