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
