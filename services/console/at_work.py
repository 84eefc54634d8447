"""What nodes have in hand: units of open work to pick, picked and packed, by order, node and SKU.

A pure reading of `State`, so that it cannot depend on whose news came first: fulfillment tells lines by
number, and a line counts once intake or inventory has said which SKU it is of.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from services.console.facts import NodeWork, State
from services.console.standing import work_state

STEPS = ("to_pick", "picked", "packed")
"""Of the units that are allocated at a node, how far its work is; the rest was not released to it yet."""


class InHand(NamedTuple):
    """Units of a SKU that a node has in hand for an order, as the table has them."""

    tenant: str
    order_id: str
    node: str
    sku: str
    to_pick: int
    picked: int
    packed: int


def in_hand(tenant: str, order_id: str, state: State) -> list[InHand]:
    """Of work that is neither dispatched nor stopped, in order of node and SKU."""
    open_ = [
        work for work in state.fulfillment.work.values() if not (work.dispatched_at or work.cancelled_at)
    ]
    if not open_:
        return []
    skus = {line.line: line.sku for line in state.intake.lines}
    skus |= {number: line.sku for number, line in state.inventory.lines.items()}
    skus |= {number: part.sku for number, part in state.inventory.parts.items()}
    found: dict[tuple[str, str], list[int]] = {}
    for work in open_:
        for line, units in _steps(work):
            if line in skus and any(units):
                sums = found.setdefault((work.node, skus[line]), [0, 0, 0])
                for place, one in enumerate(units):
                    sums[place] += one
    return [InHand(tenant, order_id, *place, *sums) for place, sums in sorted(found.items())]


def _steps(work: NodeWork) -> Iterable[tuple[int, tuple[int, int, int]]]:
    packed = work_state(work) == "packed"
    for line, wanted in work.lines.items():
        picked = work.picked.get(line, 0)
        to_pick = max(0, wanted - picked - work.short.get(line, 0))
        yield line, (to_pick, 0 if packed else picked, picked if packed else 0)


def steps_of(row: Mapping[str, Any]) -> dict[str, int] | None:
    """How far a node's work is with a balance (`Queries.stock`); None where it has none."""
    return None if row["to_pick"] is None else {step: row[step] for step in STEPS}


def changed_in_hand(
    before: Iterable[InHand], now: Sequence[InHand]
) -> tuple[Sequence[tuple[str, ...]], Sequence[InHand]]:
    """Keys (tenant, order, node, SKU) of rows that go, in order, and rows that are new or otherwise."""
    known = set(before)
    gone = {row[:4] for row in known} - {row[:4] for row in now}
    return sorted(gone), [row for row in now if row not in known]
