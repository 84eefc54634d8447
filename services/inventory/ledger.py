"""The ledger's tables as plain data: which rows and which sums an event of inventory leaves in them.

For the runtime, which writes them in the transaction that writes the log, and knows neither stock nor nodes.
The tables themselves are in migrations/0001.ledger.sql, 0002.two-times.sql, 0090.lots.sql, 0095.serials.sql.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import TypeAlias, cast, get_args

from libs.events.amendments import StockDeallocated
from libs.events.bundles import KitAssembled, KitTakenApart
from libs.events.changes import LinesReleased
from libs.events.contract import Event
from libs.events.envelope import Envelope
from libs.events.inventory import (
    SOURCES,
    ReservationBroken,
    StockAdjusted,
    StockAllocated,
    StockBackordered,
    StockIssued,
    StockPegged,
    StockReceived,
    StockReleased,
    StockReserved,
    StockReturned,
    StockShorted,
)
from libs.events.outside import OUTSIDE_EVENTS
from libs.events.promise import (
    HoldsBroken,
    HoldsFilled,
    PromiseConfirmed,
    PromiseDated,
    PromiseExpired,
    PromiseHeld,
    PromiseMissed,
    PromiseReleased,
    PromiseTermsDefined,
    promise_stream,
)
from libs.events.reach import ReachChanged
from libs.events.set_aside import ReturnQuarantined
from services.inventory.stock import AnyMovement

ROW_TABLES: dict[str, tuple[str, ...]] = {
    "ledger": (
        "tenant",
        "sku",
        "position",
        "node",
        "source",
        "target",
        "quantity",
        "event_id",
        "lane",
        "sequence",
        "at",
    ),
    "ledger_stated": ("tenant", "sku", "position", "effective_at"),
    "ledger_lot": ("tenant", "sku", "position", "lot"),
    "ledger_serial": ("tenant", "sku", "position", "serial"),
}
"""Append-only tables and their columns, in the order of a row's values."""
SUM_TABLES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "balance": (("tenant", "sku", "node", "bucket"), ("quantity",)),
    "promise": (("tenant", "sku"), ("on_hand", "reserved")),
    "lot_balance": (("tenant", "sku", "lot", "node", "bucket"), ("quantity",)),
}
"""Tables of sums: key columns, then the columns that are added to."""
TABLES_CALL = ("commit_stock", ("ledger", "balance", "promise"))
"""What writes the tables that nearly every batch touches, in migrations/0114.commit-stock.sql."""

Placed: TypeAlias = (
    PromiseHeld | PromiseDated | PromiseExpired | PromiseReleased | PromiseConfirmed | PromiseMissed
)
_PLACED = frozenset(get_args(Placed))
"""Events that change a held promise; an order's event does it from the order's lane."""
_MOVES: frozenset[type[Event]] = frozenset(
    {
        StockReceived,
        StockAdjusted,
        StockPegged,
        ReservationBroken,
        StockReserved,
        StockBackordered,
        StockAllocated,
        StockReleased,
        LinesReleased,
        StockDeallocated,
        StockIssued,
        StockShorted,
        StockReturned,
        ReturnQuarantined,
        PromiseHeld,
        PromiseExpired,
        PromiseReleased,
        PromiseConfirmed,
        HoldsBroken,
        HoldsFilled,
        KitAssembled,
        KitTakenApart,
        *(event for event in OUTSIDE_EVENTS if "movements" in event.model_fields),
    }
)

_STATES = frozenset(event for event in _MOVES if "effective_at" in event.model_fields)
"""Events that may say when they were true."""

_QUEUES: frozenset[type[Event]] = frozenset[type[Event]]((PromiseTermsDefined, ReachChanged)) | {
    event for event in _MOVES if "queue" in event.model_fields
}
"""Events that may change who waits for a SKU, and who is served first."""
QUEUE_STREAM = "queue/"
"""A SKU's queue as `positions` names it; no event has this stream."""

PROMISED = {"on_hand": 0, "reserved": 1, "held": 1}
"""Buckets that the promise table sums over a SKU's nodes, and the column of each."""

Sums = dict[str, dict[tuple[str, ...], list[int]]]
"""Table → key of a row → what to add to each of its quantities."""


def movements(event: Event) -> tuple[AnyMovement, ...]:
    """The units that an event moves; none for an event that moves nothing, or is not inventory's."""
    if type(event) not in _MOVES:
        return ()
    found: tuple[AnyMovement, ...] = event.movements  # type: ignore[attr-defined]
    return found


def positions(event: Event) -> Iterator[tuple[str, int]]:
    """(stream, position) of each movement of an event, and of each change of a held promise or of a SKU's
    queue: what is changed from several lanes."""
    for move in movements(event):
        yield f"sku/{move.sku}", move.position
    kind = type(event)
    if kind in _PLACED:
        yield from _place(cast(Placed, event))
    if kind in _QUEUES:
        for change in event.queue or ():  # type: ignore[attr-defined]
            yield QUEUE_STREAM + change.sku, change.number


def _place(event: Placed) -> Iterator[tuple[str, int]]:
    if event.position is not None:
        yield promise_stream(event.promise_id), event.position


def ledger_rows(envelope: Envelope[Event]) -> list[tuple[str, tuple[object, ...]]]:
    """(table, values) for each movement of an event on its way into the log, and when it was true where the
    event says that: else it is true from when it is known."""
    tenant, id_, lane = envelope.tenant, envelope.id, envelope.lane
    sequence, at = envelope.sequence, envelope.at
    moves = movements(envelope.body)
    rows: list[tuple[str, tuple[object, ...]]] = [
        (
            "ledger",
            (
                tenant,
                move.sku,
                move.position,
                move.node,
                move.source,
                move.target,
                move.quantity,
                id_,
                lane,
                sequence,
                at,
            ),
        )
        for move in moves
    ]
    lots = [
        ("ledger_lot", (tenant, move.sku, move.position, move.lot)) for move in moves if move.lot is not None
    ]
    if (effective := stated(envelope.body)) is not None:
        rows += [("ledger_stated", (*values[:3], effective)) for _, values in rows]
    serials = [
        ("ledger_serial", (tenant, move.sku, move.position, serial))
        for move in moves
        if move.serials is not None
        for serial in move.serials
    ]
    return rows + lots + serials


def stated(event: Event) -> datetime | None:
    """When an event says that it was true."""
    if type(event) not in _STATES:
        return None
    effective: datetime | None = event.effective_at  # type: ignore[attr-defined]
    return effective


def add_balances(envelope: Envelope[Event], sums: Sums) -> None:
    """Add both sides of each of an event's movements to the sums of a batch, by table and key. What `SOURCES`
    gave is no stock of anybody: it is in the ledger, and no sum is kept of it."""
    balance, promise = sums.setdefault("balance", {}), sums.setdefault("promise", {})
    tenant = envelope.tenant
    for move in movements(envelope.body):
        sku, node, quantity, source, target = move.sku, move.node, move.quantity, move.source, move.target
        if source not in SOURCES:
            key = (tenant, sku, node, source)
            found = balance.get(key)
            if found is None:
                balance[key] = [-quantity]
            else:
                found[0] -= quantity
        if target not in SOURCES:
            key = (tenant, sku, node, target)
            found = balance.get(key)
            if found is None:
                balance[key] = [quantity]
            else:
                found[0] += quantity
        if move.lot is not None:
            by_lot = sums.setdefault("lot_balance", {})
            for bucket, delta in ((source, -quantity), (target, quantity)):
                if bucket not in SOURCES:
                    by_lot.setdefault((tenant, sku, move.lot, node, bucket), [0])[0] += delta
        if source in PROMISED or target in PROMISED:
            found = promise.setdefault((tenant, sku), [0, 0])
            if source in PROMISED:
                found[PROMISED[source]] -= quantity
            if target in PROMISED:
                found[PROMISED[target]] += quantity
