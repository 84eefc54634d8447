"""What a commit of the projector tells whoever watches: whose orders and stock changed.

By PostgreSQL's NOTIFY: every process of the console hears of every commit, and nothing of one that failed.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

import orjson

from services.console.projection import Changes

CHANNEL = "orderlog_console"
TELL = f"SELECT pg_notify('{CHANNEL}', $1)"
EVERYTHING = "*"
"""Somebody put other tables in the live ones' place."""
_BYTES_MAX = 7_500
"""PostgreSQL takes 7,999."""
_ORDERS_MAX = 100


@dataclass(slots=True)
class Change:
    """What changed for one tenant. `orders`: ids; none if they are too many to name."""

    orders: set[str] | None = field(default_factory=set)
    stock: bool = False

    def add(self, other: "Change") -> None:
        """Both."""
        if self.orders is None or other.orders is None or len(self.orders | other.orders) > _ORDERS_MAX:
            self.orders = None
        else:
            self.orders |= other.orders
        self.stock = self.stock or other.stock


def announcement(changes: Changes) -> str | None:
    """What to tell of a batch; none if it changed nothing that is shown."""
    by_tenant: dict[str, Change] = {}
    for key in changes.states:
        by_tenant.setdefault(key.tenant, Change()).add(Change({key.order_id}))
    of_stock = (changes.balances, changes.stock_items, changes.stock_care)
    of_parked = (changes.parked_keys, changes.parked_care)
    tenants = {key.tenant for table in (*of_stock, *of_parked) for key in table}
    for tenant in tenants | {change.tenant for change in changes.rules}:
        by_tenant.setdefault(tenant, Change()).stock = True
    if not by_tenant:
        return None
    named = _written(by_tenant.items())
    if len(named) <= _BYTES_MAX:
        return named
    counted = _written((tenant, Change(None, change.stock)) for tenant, change in by_tenant.items())
    return counted if len(counted) <= _BYTES_MAX else EVERYTHING


def heard(payload: str) -> dict[str, Change] | None:
    """The changes by tenant, as announced; none: everything may have changed."""
    if payload == EVERYTHING:
        return None
    return {
        tenant: Change(None if orders is None else set(orders), stock)
        for tenant, (orders, stock) in orjson.loads(payload).items()
    }


def _written(changes: Iterable[tuple[str, Change]]) -> str:
    return orjson.dumps(
        {
            tenant: (None if change.orders is None else sorted(change.orders), change.stock)
            for tenant, change in changes
        }
    ).decode()
