"""Old payloads to the shape the code sees: one step a version, dict → dict, chained by the catalogue."""

from collections.abc import Callable
from typing import Any

Payload = dict[str, Any]


def _shipment_dispatched_1_to_2(old: Payload) -> Payload:
    """One tracking number for the shipment became one a parcel; the only parcel has the shipment's id."""
    new = {key: value for key, value in old.items() if key != "tracking_number"}
    new["packages"] = [{"package_id": old["shipment_id"], "tracking_number": old["tracking_number"]}]
    return new


def _return_received_1_to_2(old: Payload) -> Payload:
    """Units may be put in quarantine, too; those of before were restocked or scrapped."""
    return dict(old)


UPCASTS: dict[tuple[str, int], Callable[[Payload], Payload]] = {
    ("oms.fulfillment.shipment_dispatched", 1): _shipment_dispatched_1_to_2,
    ("oms.returns.return_received", 1): _return_received_1_to_2,
}
"""(type, from version) → the step to the next version."""
