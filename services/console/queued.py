"""How an order stands in the queues of the SKUs that it waits for, by what inventory tells of it; pure.

Inventory serves a queue by class, then by age; of a class that moves up with age a rank is worth so many
days. Its events say all that takes: since when an order waits, and the policy it goes by.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from libs.events.dates import BackorderDated
from libs.events.inventory import StockBackordered
from libs.events.policy import STANDARD_RANK, OrderPolicy
from services.console.facts import State
from services.console.queued_facts import Queued, ServedFrom

QUEUED = r"""LEFT JOIN LATERAL json_to_record((substring(o.facts FROM
        '"queued":({"since":"[^"]*"(?:,"rank":\d+)?(?:,"step_days":\d+)?)') || '}')::json)
    AS q (since timestamptz, rank int, step_days int) ON true"""
"""As `stored` writes it. Read out of the text: elsewhere in it may be what PostgreSQL cannot read as JSON (a
NUL that a customer wrote), and quotes within texts are escaped."""
RANK = f"""CASE WHEN q.step_days > 0 THEN {STANDARD_RANK} ELSE coalesce(q.rank, {STANDARD_RANK}) END"""
SERVED_AT = f"""coalesce(q.since, o.confirmed_at) + interval '1 day'
    * (coalesce(q.step_days, 0) * (coalesce(q.rank, {STANDARD_RANK}) - {STANDARD_RANK}))"""
"""By class, and within it by moment and order id: the order in which units are given, of orders `o` with
`QUEUED`."""


def queued(known: Queued | None, event: StockBackordered) -> Queued:
    """The order waits, from its acceptance on; where it waited before, it is told anew what serves it."""
    policy = event.policy or OrderPolicy(version=1)
    served_from = () if known is None else known.served_from
    whole = policy.policy == "all_or_nothing"
    return Queued(event.since, policy.rank, policy.step_days or 0, whole, served_from)


def served(known: Queued | None, event: BackorderDated) -> Queued | None:
    """It was told what serves it."""
    if known is None:
        return None
    told = tuple(ServedFrom(one.sku, one.supply_id, one.usable_at) for one in event.skus)
    return replace(known, served_from=told)


def with_reasons(rows: Iterable[Mapping[str, Any]], states: Mapping[str, State]) -> Sequence[dict[str, Any]]:
    """Claims of a SKU in the order of its queue, from its front on, with where each stands (`place`), what it
    is to be served from (`served_from`), and how many that have waited less stand `ahead` of it, by rank."""
    before: list[tuple[int, datetime]] = []
    found: list[dict[str, Any]] = []
    for place, row in enumerate(rows, 1):
        stands = states[row["order_id"]].inventory.queued
        told: dict[str, Any] = {"place": place, "rank": STANDARD_RANK, "step_days": 0, "whole": False}
        told |= {"since": row["confirmed_at"], "served_from": None, "ahead": {}}
        if stands is not None:
            sources = [one for one in stands.served_from if one.sku == row["sku"] and one.supply_id]
            told |= {"rank": stands.rank, "step_days": stands.step_days, "whole": stands.whole}
            told |= {"since": stands.since, "served_from": sources[0] if sources else None}
        ahead: dict[int, int] = {}
        for rank, since in before:
            if since > told["since"]:
                ahead[rank] = ahead.get(rank, 0) + 1
        found.append({**row, **told, "ahead": ahead})
        before.append((told["rank"], told["since"]))
    return found
