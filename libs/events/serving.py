"""Where nodes ship to: the one rule by which routing bars a node for good, and promises leave its units out.

Parts of several contracts: which nodes of a SKU do not ship everywhere (`oms.inventory.reach_changed`), and
for which country units were promised (`oms.inventory.stock_reserved` and others).
"""

from collections.abc import Collection
from typing import Annotated

from pydantic import Field

from libs.events.contract import Country, NodeId, Sku, Value


def serves(ships_to: Collection[str] | None, country: str) -> bool:
    """Whether a node that ships to these countries ships there; None means all."""
    return ships_to is None or country in ships_to


class Bound(Value):
    """Nodes that ship to these countries, and nowhere else."""

    nodes: Annotated[tuple[NodeId, ...], Field(min_length=1, max_length=10_000)]
    ships_to: Annotated[tuple[Country, ...], Field(max_length=300)]


class ServedSku(Value):
    """A SKU some of whose nodes do not ship everywhere."""

    sku: Sku
    nodes_version: Annotated[int, Field(ge=0)]
    """As its last `oms.inventory.reach_changed` has it."""


class Served(Value):
    """For which country units were promised, of those SKUs where that matters: only of what nodes have that
    ship there, and counted with all other promises of the SKU."""

    country: Country
    skus: Annotated[tuple[ServedSku, ...], Field(min_length=1)]
