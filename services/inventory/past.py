"""What stood when, as was known when: the answer to a question about stock as of then.

For whoever asks inventory's edge or command line about a past moment. Each movement has two times: it is
known from when it and all before it of its SKU were recorded, and true from then too, unless it says that it
was true before that (`effective_at`). A question has two as well: `at`, the moment asked about, and
`known_at`, by when it must have been known; none means that what was told since counts.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from libs.events.inventory import NETWORK
from libs.events.record import record
from services.inventory.ledger import PROMISED
from services.inventory.terms import Terms


@record
class Asked:
    """One question about a SKU. `known_at` none: whatever is known by now."""

    sku: str
    at: datetime
    known_at: datetime | None = None


@record
class Stood:
    """What stood. `position` is the SKU's last movement known at the earlier of the two moments; `late`
    counts the movements known after it that were true by then all the same."""

    asked: Asked
    position: int
    late: int
    units: Mapping[tuple[str, str], int]
    terms: Terms | None = None
    """By which the SKU was promised then, where it had any."""
    channels: list[dict[str, Any]] | None = None
    """What channels could be promised, where somebody else has reckoned it."""


def totals(stood: Stood) -> dict[str, Any]:
    """A SKU's units in all nodes. `available` is what a channel could be promised that the terms of then do
    not name, `withheld` what they kept from it; `short`, promised units that, as was known or was corrected,
    were not there."""
    sums: dict[str, int] = {}
    for (_, bucket), quantity in stood.units.items():
        sums[bucket] = sums.get(bucket, 0) + quantity
    free = _free(stood)
    withheld = 0 if stood.terms is None else stood.terms.withheld(None)
    return {
        "on_hand": sums.get("on_hand", 0),
        "reserved": sums.get("reserved", 0),
        "held": sums.get("held", 0),
        "available": max(free - withheld, 0),
        "withheld": withheld,
        "short": max(-free, 0),
        "allocated": sums.get("allocated", 0),
        "issued": sums.get("issued", 0),
        "late": stood.late,
    }


def _free(stood: Stood) -> int:
    """Units on hand that nobody was promised; below zero where fewer turned out to be there than were."""
    signs = {bucket: -1 if column else 1 for bucket, column in PROMISED.items()}
    return sum(signs.get(bucket, 0) * quantity for (_, bucket), quantity in stood.units.items())


def _channels(stood: Stood) -> list[dict[str, Any]]:
    """What each channel that the terms name could be promised, and would have shown."""
    if stood.terms is None:
        return []
    if stood.channels is not None:
        return stood.channels
    free, terms, found = _free(stood), stood.terms, []
    for channel in terms.named():
        available = max(free - terms.withheld(channel), 0)
        found.append({"channel": channel, "available": available, "shown": terms.shown(channel, available)})
    return found


def document(stood: Stood, node: str | None = None) -> dict[str, Any]:
    """One answer, by node and bucket; with `node`, that node's buckets alone beside the network's totals."""
    nodes: dict[str, dict[str, int]] = {}
    for (place, bucket), quantity in sorted(stood.units.items()):
        if place != NETWORK and node in (None, place):
            nodes.setdefault(place, {})[bucket] = quantity
    return {
        "sku": stood.asked.sku,
        "at": stood.asked.at,
        "known_at": stood.asked.known_at,
        **totals(stood),
        "terms_version": None if stood.terms is None else stood.terms.version,
        "channels": _channels(stood),
        "position": stood.position,
        "nodes": [{"node": place, "buckets": buckets} for place, buckets in nodes.items()],
    }
