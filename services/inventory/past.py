"""What stood when, as was known when: the answer to a question about stock as of then.

For whoever asks inventory's edge or command line about a past moment. Each movement has two times: it is
known from when it and all before it of its SKU were recorded, and true from then too, unless it says that it
was true before that (`effective_at`). A question has two as well: `at`, the moment asked about, and
`known_at`, by when it must have been known; none means that what was told since counts.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from libs.events.inventory import NETWORK
from libs.events.record import record
from services.inventory.ledger import PROMISED

Units = dict[tuple[str, str], int]
"""Units by node and bucket; zero is left out."""


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


def plus(units: Mapping[tuple[str, str], int], more: Iterable[tuple[str, str, int]]) -> Units:
    """Balances after more units of (node, bucket, units) came, or went."""
    after = dict(units)
    for node, bucket, quantity in more:
        total = after.pop((node, bucket), 0) + quantity
        if total:
            after[node, bucket] = total
    return after


def totals(stood: Stood) -> dict[str, Any]:
    """A SKU's units in all nodes. `available` is what could be promised; `short`, promised units that, as was
    known or was corrected, were not there."""
    sums: dict[str, int] = {}
    for (_, bucket), quantity in stood.units.items():
        sums[bucket] = sums.get(bucket, 0) + quantity
    promised = sum(sums.get(bucket, 0) for bucket, column in PROMISED.items() if column)
    available = sums.get("on_hand", 0) - promised
    return {
        "on_hand": sums.get("on_hand", 0),
        "reserved": sums.get("reserved", 0),
        "held": sums.get("held", 0),
        "available": max(available, 0),
        "short": max(-available, 0),
        "allocated": sums.get("allocated", 0),
        "issued": sums.get("issued", 0),
        "late": stood.late,
    }


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
        "position": stood.position,
        "nodes": [{"node": place, "buckets": buckets} for place, buckets in nodes.items()],
    }
