"""Inventory's HTTP edge for snapshots that claim to be all of a node: what they leave out counts as none.

A snapshot comes in parts, its rows in order of SKU; each part claims all of the node from one SKU to another,
so that a part needs no memory of those before it, and one that is sent again finds the same.
"""

from collections.abc import Iterable, Sequence
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from libs.events.contract import Count, NodeId, Sku
from libs.runtime.edge import MANY_MAX, Edge
from libs.runtime.problems import Problem
from services.inventory import book

SHRUNK_PERCENT = 10
"""A snapshot with so many percent of the units of the books, or fewer, is not taken for all of a node."""


class SnapshotRow(BaseModel):
    """What another system has of a SKU at a node."""

    model_config = ConfigDict(extra="forbid")

    sku: Sku
    node: NodeId
    quantity: Count


class Complete(BaseModel):
    """The rows are all that the other system has at the node, from behind one SKU up to another."""

    model_config = ConfigDict(extra="forbid")

    node: NodeId
    units: Annotated[int, Field(strict=True, ge=0, le=10**15)]
    """Of the whole snapshot, all its parts together."""
    after: Sku | None = None
    """The part begins behind this SKU, byte by byte; None, at the first."""
    until: Sku | None = None
    """The part ends with it; None, with the last."""


async def left_out(
    edge: Edge, tenant: str, complete: Complete, rows: Sequence[SnapshotRow | Problem]
) -> tuple[list[SnapshotRow], str | None]:
    """What a part of a snapshot leaves out of the first 500 SKUs that ever were at the node, each a row of
    none; and behind which SKU to go on, with the rows behind it, where there are more. Raises Problem 422
    for a part that cannot claim to be all, and for a snapshot that has shrunk."""
    named = _named(complete, rows)
    async with edge.reading() as connection:
        there = await book.units_at(connection, tenant, complete.node)
        if there and complete.units * 100 <= there * SHRUNK_PERCENT:
            raise _problem(
                "snapshot_shrunk",
                f"The snapshot has {complete.units} units at {complete.node}, the books have {there}: with"
                f" {SHRUNK_PERCENT}% of them or fewer it is not taken for all of the node.",
                "Send the whole snapshot. If the node is nearly empty indeed, name what it has none of with"
                " 0, and leave out `complete`.",
            )
        known = await book.moved_at(
            connection, tenant, complete.node, complete.after or "", complete.until, MANY_MAX + 1
        )
    following = known[MANY_MAX - 1] if len(known) > MANY_MAX else None
    missing = [
        SnapshotRow(sku=sku, node=complete.node, quantity=0) for sku in known[:MANY_MAX] if sku not in named
    ]
    return missing, following


def told(results: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """What comes of the SKUs that were left out: of those that the books have none of either, only such as a
    difference waits for, which it closes."""
    return [{**one, "left_out": True} for one in results if one["outcome"] != "matched" or one["waiting"]]


def _named(complete: Complete, rows: Sequence[SnapshotRow | Problem]) -> set[str]:
    """The SKUs of the rows. Raises Problem 422."""
    named = set[str]()
    for number, row in enumerate(rows):
        if isinstance(row, Problem):
            raise _problem(
                "unreadable_rows",
                f"Row {number} of the part cannot be read ({row.detail}), so nobody knows what was left out.",
                "Correct the row, and send the part again.",
            )
        if row.node != complete.node:
            raise _problem(
                "other_node",
                f"Row {number} is of {row.node}; the part claims to be all of {complete.node}.",
                "Send the rows of each node by themselves.",
            )
        behind = complete.after is not None and row.sku <= complete.after
        if behind or (complete.until is not None and row.sku > complete.until):
            raise _problem(
                "outside_the_part",
                f"Row {number}, {row.sku}, is not between `after` and `until`.",
                "Sort the rows by SKU, byte by byte, and let each part begin where the one before ended.",
            )
        if row.sku in named:
            raise _problem(
                "sku_twice",
                f"{row.sku} is named twice.",
                "Add up what the other system has of it at the node, and send one row.",
            )
        named.add(row.sku)
    return named


def _problem(code: str, detail: str, next_step: str) -> Problem:
    return Problem(422, code, "The snapshot is not taken for all of the node", detail, next_step)
