"""Which nodes an order concerns, a row for each: a list of a node's orders goes by its index.

It says what `orders.nodes` says with commas between, and is written in the transaction that changes that. An
order whose routing, work and returns stood still costs nothing here.
"""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from services.console.facts import State
from services.console.projection import OrderKey
from services.console.standing import nodes
from services.console.stored import UNWRITTEN, Written

NodeOfOrder: TypeAlias = tuple[str, str, str]
"""Tenant, node and order, as the table has them."""
LEAVE = """DELETE FROM order_nodes AS known
    USING unnest($1::text[], $2::text[], $3::text[]) AS gone (tenant, node, order_id)
    WHERE (known.tenant, known.node, known.order_id) = (gone.tenant, gone.node, gone.order_id)"""
ENTER = "INSERT INTO order_nodes SELECT * FROM unnest($1::text[], $2::text[], $3::text[])"
FILL_NODES = """INSERT INTO order_nodes (tenant, node, order_id)
    SELECT tenant, node, order_id FROM orders, unnest(string_to_array(nodes, ',')) AS node
    WHERE nodes <> ''"""
"""Of all, into a table that is empty."""


def changed_nodes(
    written: Mapping[OrderKey, Written], known: Mapping[OrderKey, Written]
) -> tuple[Sequence[NodeOfOrder], Sequence[NodeOfOrder]]:
    """Rows to delete and rows to insert; `known` is how the orders stood before."""
    gone: list[NodeOfOrder] = []
    new: list[NodeOfOrder] = []
    for key, order in written.items():
        before, now = known.get(key, UNWRITTEN).state, order.state
        if _stood_still(before, now):
            continue
        was, is_ = set(nodes(before)), set(nodes(now))
        gone += [(key.tenant, node, key.order_id) for node in was - is_]
        new += [(key.tenant, node, key.order_id) for node in is_ - was]
    return sorted(gone), sorted(new)


def _stood_still(before: State, now: State) -> bool:
    return (
        before.routing is now.routing
        and before.fulfillment is now.fulfillment
        and before.returns is now.returns
    )
