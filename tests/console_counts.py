"""Counts, differences with other systems and corrections of stock, for the read side's tests."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Literal

from libs.events.contract import Event
from libs.events.inventory import StockAdjusted
from libs.events.stocktaking import (
    AdjustmentProposed,
    CountRecorded,
    DifferenceSettled,
    DifferenceSuperseded,
    LotCount,
)
from tests.console_parts import T0

Outcome = Literal["matched", "booked", "held"]


def counted(count_id: str, sku: str, book: int, found: int, **more: Any) -> CountRecorded:
    """At LON, an hour before T0, unless it says more."""
    variance = found - book
    stated: dict[str, Any] = {
        "node": "LON",
        "effective_at": T0 - timedelta(hours=1),
        "outcome": "booked" if variance or more.get("lots") else "matched",
        "up_to": 0,
    }
    return CountRecorded(
        sku=sku,
        count_id=count_id,
        counted=found,
        book=book,
        variance=variance,
        movements=(),
        **(stated | more),
    )


def settled(sku: str, id_: str, variance: int, at: datetime, **more: Any) -> DifferenceSettled:
    """Of a count, and approved, unless it says more."""
    stated: dict[str, Any] = {"source": "count", "approved": True, "node": "LON"}
    return DifferenceSettled(
        sku=sku, proposal_id=id_, variance=variance, effective_at=at, movements=(), **(stated | more)
    )


def overtaken(sku: str, id_: str, variance: int, at: datetime, **more: Any) -> DifferenceSuperseded:
    """A count, by another one, unless it says more."""
    stated: dict[str, Any] = {"source": "count", "node": "LON"}
    return DifferenceSuperseded(
        sku=sku, proposal_id=id_, variance=variance, as_of=at, cause="count", by="later", **(stated | more)
    )


def differs(id_: str, sku: str, variance: int, at: datetime, node: str = "LON") -> AdjustmentProposed:
    """The warehouse's system has other figures."""
    return AdjustmentProposed(sku=sku, proposal_id=id_, node=node, variance=variance, as_of=at, system="wms")


def stocktaking() -> Sequence[Event]:
    """Two days at two nodes: each way in which a count can end, by lot too; another system; by hand."""
    first, second = T0 - timedelta(hours=1), T0 + timedelta(days=1)
    lots = (LotCount(lot="L1", counted=7, book=5), LotCount(lot="L2", counted=3, book=5))
    same = (LotCount(lot="L1", counted=4, book=4),)
    return [
        counted("c1", "A", 10, 10),
        counted("c2", "B", 10, 8, reason_code="yearly"),
        counted("c3", "A", 50, 50, node="MAN", effective_at=second),
        counted("c4", "C", 10, 10, lots=lots),
        counted("c5", "C", 4, 4, lots=same, effective_at=second),
        counted("c6", "D", 100, 40, outcome="held"),
        counted("c7", "E", 30, 90, outcome="held", reason_code="yearly", node="MAN"),
        counted("c8", "F", 30, 60, outcome="held"),
        counted("c9", "G", 70, 20, outcome="held", effective_at=second),
        settled("D", "c6", -60, first),
        settled("E", "c7", 60, first, approved=False, node="MAN"),
        overtaken("F", "c8", 30, first),
        counted("c10", "F", 30, 31, effective_at=second),
        differs("s1", "A", -3, second),
        differs("s2", "B", 4, second, "MAN"),
        differs("s3", "C", 9, second),
        settled("A", "s1", -3, second, source="snapshot"),
        settled("B", "s2", 4, second, source="snapshot", approved=False, node="MAN"),
        StockAdjusted(sku="A", node="LON", delta=-2, reason_code="damaged", movements=()),
        StockAdjusted(sku="A", node="MAN", delta=5, reason_code="found", movements=(), effective_at=second),
        StockAdjusted(sku="B", node="LON", delta=-4, reason_code="damaged", movements=()),
    ]
