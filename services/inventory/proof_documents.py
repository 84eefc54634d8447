"""The part of the proof that is about documents: what arrives under one was on its way under it.

For `services.inventory.proof`, which walks the log and tells what is wrong.
"""

from collections.abc import Iterable, Mapping

from libs.events.contract import Event
from libs.events.supply import (
    SupplyCancelled,
    SupplyExpected,
    SupplyReceived,
    TransferClosed,
    TransferDispatched,
    TransferReceived,
)
from services.inventory.proof_stock import SkuKey
from services.inventory.stock import AnyMovement

_DOCUMENT: dict[type[Event], tuple[str, str]] = {
    **dict.fromkeys((SupplyExpected, SupplyReceived, SupplyCancelled), ("inbound", "supply_id")),
    **dict.fromkeys((TransferDispatched, TransferReceived, TransferClosed), ("in_transit", "transfer_id")),
}
"""Events of documents, the bucket of what is on its way under them, and the field of the document's name."""
BUCKETS = ("inbound", "in_transit")


class OnTheWay:
    """Open units by SKU, bucket and document."""

    def __init__(self) -> None:
        self._open: dict[tuple[SkuKey, str, str], int] = {}
        self._lots: dict[tuple[SkuKey, str, str], int] = {}
        """Open units by SKU, transfer and lot, of transfers that say which lots they are of."""
        self._by_lot: set[tuple[SkuKey, str]] = set()

    def take(self, tenant: str, event: Event, moves: Iterable[AnyMovement]) -> str:
        """Apply an event; what is wrong with it, if anything is."""
        if type(event) not in _DOCUMENT:
            return ""
        bucket, name = _DOCUMENT[type(event)]
        document = getattr(event, name)
        for move in moves:
            place = ((tenant, move.sku), bucket, document)
            delta = move.quantity * ((move.target == bucket) - (move.source == bucket))
            left = self._open.pop(place, 0) + delta
            if left < 0:
                return f"{-left} units of {move.sku} come of {document} that were never on their way under it"
            if left:
                self._open[place] = left
        return self._of_lots(tenant, event, document, moves)

    def _of_lots(self, tenant: str, event: Event, document: str, moves: Iterable[AnyMovement]) -> str:
        """What is wrong with the lots of a transfer."""
        if isinstance(event, TransferDispatched) and event.lots:
            self._by_lot.add(((tenant, event.sku), document))
            sent = {one.lot: one.quantity for one in event.lots}
            found: dict[str, int] = {}
            for move in moves:
                if move.target == "in_transit":
                    found[move.lot or ""] = found.get(move.lot or "", 0) + move.quantity
            if found != sent:
                return f"transfer {document} of {event.sku} moves other lots than it says are on their way"
        for move in moves:
            key = (tenant, move.sku)
            delta = move.quantity * ((move.target == "in_transit") - (move.source == "in_transit"))
            if not delta or (key, document) not in self._by_lot:
                continue
            place = (key, document, move.lot or "")
            left = self._lots.pop(place, 0) + delta
            if left < 0:
                return f"{-left} units of lot {move.lot} of {move.sku} come of {document}, never sent"
            if left:
                self._lots[place] = left
        return ""

    def amiss(self, buckets: Mapping[SkuKey, Mapping[tuple[str, str], int]]) -> str:
        """What does not add up between documents and buckets (units by node and bucket), if anything."""
        sums: dict[tuple[SkuKey, str], int] = {}
        for (key, bucket, _), units in self._open.items():
            sums[key, bucket] = sums.get((key, bucket), 0) + units
        for key, held in buckets.items():
            for bucket in BUCKETS:
                there = sum(units for (_, name), units in held.items() if name == bucket)
                if there != sums.get((key, bucket), 0):
                    documented = sums.get((key, bucket), 0)
                    return f"{there} units of {key[1]} are {bucket}, of which {documented} have a document"
        return ""
