"""The part of the proof that is about serial numbers: a unit is in one place at a time.

For `services.inventory.proof`, which walks the log and tells what is wrong. Of a SKU without serial numbers
nothing is kept; of one that has them, each number that ever came, for its unit may come back.
"""

from collections.abc import Iterable

from libs.events.contract import Event, OrderEvent
from libs.events.inventory import NETWORK, StockIssued, StockReturned
from libs.events.items import ItemDefined
from libs.events.set_aside import ReturnQuarantined
from services.inventory.proof_rows import LogRow
from services.inventory.serials import IN_HOUSE, SHELF, place_of
from services.inventory.stock import AnyMovement

_COMES_FROM = frozenset({"supplier", "adjustment", "inbound"})
"""From where a unit comes into the house."""
_Place = tuple[str, str, str]
"""Place, node, and of an issued unit its order."""
_NOWHERE: _Place = ("", "", "")


class SerialsSoFar:
    """What the log says of serial numbers."""

    def __init__(self) -> None:
        self._serialised: set[tuple[str, str]] = set()
        self._where: dict[tuple[str, str, str], _Place] = {}
        """By tenant, SKU and number."""
        self._told: set[tuple[str, str, str, str]] = set()
        """(Tenant, order, SKU, number) that was told of a unit that left, and was not on the shelf."""

    def take(self, row: LogRow, event: Event, moves: Iterable[AnyMovement]) -> str:
        """Apply an event; what is wrong with it, if anything is."""
        if isinstance(event, ItemDefined):
            found = self._serialised
            (found.add if event.serialised else found.discard)((row.tenant, event.sku))
        if not self._serialised:
            return ""
        order_id = event.order_id if isinstance(event, OrderEvent) else ""
        untold: dict[str, int] = {}
        for move in moves:
            if move.node == NETWORK or (row.tenant, move.sku) not in self._serialised:
                continue
            if says := self._move(row, order_id, move):
                return says
            if move.serials is None and "issued" in (move.source, move.target):
                untold[move.sku] = untold.get(move.sku, 0) + move.quantity
        told: dict[str, int] = {}
        without = event.unnamed if isinstance(event, StockIssued | StockReturned | ReturnQuarantined) else ()
        for one in without or ():
            told[one.sku] = told.get(one.sku, 0) + one.quantity
            if isinstance(event, StockIssued):
                self._told.update((row.tenant, order_id, one.sku, serial) for serial in one.serials)
        for sku in sorted({*untold, *told}):
            if untold.get(sku, 0) != told.get(sku, 0):
                return (
                    f"order {order_id} moves {untold.get(sku, 0)} units of {sku} without serial numbers, and "
                    f"{told.get(sku, 0)} are told"
                )
        return ""

    def _move(self, row: LogRow, order_id: str, move: AnyMovement) -> str:
        source, target = place_of(move.source), place_of(move.target)
        if move.serials is None:
            if source in {"supplier", "inbound"} and target in IN_HOUSE:
                return f"brings units of {move.sku} to {move.node} without their serial numbers"
            return ""
        if len(set(move.serials)) != move.quantity or len(move.serials) != move.quantity:
            return f"moves {move.quantity} units of {move.sku} with {len(set(move.serials))} serial numbers"
        for serial in move.serials:
            key = (row.tenant, move.sku, serial)
            there = self._where.get(key, _NOWHERE)
            if says := self._not_from(there, order_id, move, (row.tenant, order_id, move.sku, serial)):
                return f"moves serial number {serial} of {move.sku} {says}"
            owner = order_id if target == "issued" else ""
            self._where[key] = (target, move.node, owner)
        return ""

    def _not_from(
        self, there: _Place, order_id: str, move: AnyMovement, told: tuple[str, str, str, str]
    ) -> str:
        """Why a unit that is `there` cannot be moved so; nothing when it can."""
        place = place_of(move.source)
        if place == "transfer":
            return "" if there[0] == "transfer" else f"on from where it is not: {_said(there)}"
        if place in _COMES_FROM:
            ours = there[0] in IN_HOUSE or there[0] == "issued"
            return f"into {move.node}, and {_said(there)}" if ours else ""
        if there == (place, move.node, order_id if place == "issued" else ""):
            return ""
        if place == "issued" and there[0] not in IN_HOUSE and there[0] != "issued" and told in self._told:
            self._told.discard(told)  # it was not believed when it left
            return ""
        at = "the shelf" if place == SHELF else place
        return f"out of {at} of {move.node}, and {_said(there)}"


def _said(there: _Place) -> str:
    place, node, order_id = there
    if not place:
        return "it never came"
    return f"it is issued to order {order_id}" if order_id else f"it is in {place} of {node}"
