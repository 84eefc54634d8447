"""What of supply needs a person: transfers that do not come or were never sent, receipts that are over or
short, feeds that have gone silent or tell too little.

Pure, as `services.console.stock_items`, of whose rows these are more. What is about one transfer is one item:
its dispatch, the last of its receipts or its closing ends whatever is the matter. What is about a feed is of
no one SKU, so a feed of a million of them is one item.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from libs.events.conditions import StockMoved
from libs.events.envelope import Envelope
from libs.events.feeds import FeedRetired, FeedRunApproved, FeedRunOpened, FeedStale, StockReported
from libs.events.supply import (
    SupplyExpected,
    SupplyReceived,
    TransferClosed,
    TransferDispatched,
    TransferOverdue,
    TransferReceiptHeld,
    TransferReceived,
)
from services.console.stock_items import NETWORK, StockItemChange, StockItemKey

NO_SKU = ""
"""In the place of a SKU: of a feed."""
OVER_RECEIPT = "over_receipt"
OF_NO_UNITS = (
    "low_stock",
    "transfer_overdue",
    "transfer_undispatched",
    "supply_over",
    "feed_stale",
    "feed_held",
)
"""Kinds that are open by their moments alone; the others are while there are units."""
_TELLS = " tells "
"""In what is said of a run that is held, behind its name."""
_OF_SKU = frozenset(
    event.TYPE
    for event in (
        TransferOverdue,
        TransferReceiptHeld,
        TransferDispatched,
        TransferClosed,
        TransferReceived,
        SupplyReceived,
        SupplyExpected,
        StockMoved,
    )
)
_OF_FEED = frozenset(
    event.TYPE for event in (FeedStale, StockReported, FeedRunOpened, FeedRunApproved, FeedRetired)
)
SUPPLY_ITEM_EVENTS = _OF_SKU | _OF_FEED
Said = tuple[str, StockItemChange]


def supply_item_changes(envelope: Envelope[Any]) -> Iterator[tuple[StockItemKey, StockItemChange]]:
    """What one of `SUPPLY_ITEM_EVENTS` means for items of its SKU, or of its feed."""
    event, at = envelope.body, envelope.at
    feed = event.TYPE in _OF_FEED
    for item, change in _of_feed(event, at) if feed else _of_sku(event, at):
        yield StockItemKey(envelope.tenant, NO_SKU if feed else event.sku, item), change


def _of_sku(event: Any, at: datetime) -> Iterator[Said]:
    match event:
        case TransferOverdue():
            why = (
                f"{event.open} units of transfer {event.transfer_id} from {event.source_node} were due at"
                f" {event.target_node} by {event.due_at:%Y-%m-%d %H:%M} UTC."
            )
            yield _transfer(event), StockItemChange("transfer_overdue", 0, at, None, event.target_node, why)
        case TransferReceiptHeld():
            came = event.quantity + event.damaged
            why = f"{came} units came under transfer {event.transfer_id}, which nobody has dispatched."
            yield _transfer(event), StockItemChange("transfer_undispatched", 0, at, None, NETWORK, why)
        case TransferDispatched() | TransferClosed():
            yield _transfer(event), StockItemChange("transfer_overdue", 0, None, at)
        case TransferReceived():
            yield from _received(event, at)
        case SupplyReceived() if event.outcome in ("short", "over"):
            over = event.outcome == "over"
            units = event.over if over else event.short
            why = (
                f"{units} units {'more than were bought came' if over else 'will not come'} under"
                f" {event.supply_id} (receipt {event.receipt_id})."
            )
            kind, left = f"supply_{event.outcome}", 0 if over else units
            yield f"{kind}/{event.supply_id}", StockItemChange(kind, left, at, None, event.node, why)
        case SupplyExpected() if event.open < event.quantity:
            yield f"supply_over/{event.supply_id}", StockItemChange("supply_over", 0, None, at)
        case StockMoved() if event.source == "quarantine" and event.reference is not None:
            name = f"{OVER_RECEIPT}/{event.reference}"
            yield name, StockItemChange(OVER_RECEIPT, -event.quantity, node=event.node)
        case _:
            pass


def _of_feed(event: Any, at: datetime) -> Iterator[Said]:
    """Items of a feed. It is silent while the last that was heard of it is that what it told is too old."""
    match event:
        case FeedRetired():
            for item in ("feed_stale", "feed_held"):
                yield f"{item}/{event.feed}", StockItemChange(item, 0, None, at)
        case FeedStale() if event.retired:
            yield f"feed_stale/{event.feed}", StockItemChange("feed_stale", 0, None, at)
        case FeedStale():
            why = "What it told is too old: what nobody was promised of it is not sold."
            yield f"feed_stale/{event.feed}", StockItemChange("feed_stale", 0, at, None, event.node, why)
        case StockReported() if event.stale_at > at:
            yield f"feed_stale/{event.feed}", StockItemChange("feed_stale", 0, None, at)
        case FeedRunOpened() if event.held:
            why = (
                f"Run {event.run_id}{_TELLS}{event.units} units, where the one before told"
                f" {event.units_before}: its rows are refused."
            )
            yield f"feed_held/{event.feed}", StockItemChange("feed_held", 0, at, None, NETWORK, why)
        case FeedRunOpened() | FeedRunApproved():
            yield f"feed_held/{event.feed}", StockItemChange("feed_held", 0, None, at)
        case _:
            pass


def held_run(why: str) -> str:
    """The run that an item `feed_held` is about, of what is said there."""
    return why.removeprefix("Run ").rpartition(_TELLS)[0]


def _received(event: TransferReceived, at: datetime) -> Iterator[Said]:
    if not event.open:
        yield _transfer(event), StockItemChange("transfer_overdue", 0, None, at)
    if event.over:
        why = f"More came than was sent under transfer {event.transfer_id} (receipt {event.receipt_id})."
        name = f"{OVER_RECEIPT}/{event.transfer_id}"
        yield name, StockItemChange(OVER_RECEIPT, event.over, at, None, event.node, why)
    if event.short:
        why = f"{event.short} units of transfer {event.transfer_id} did not come, and are missing."
        name = f"transfer_short/{event.transfer_id}"
        yield name, StockItemChange("transfer_short", event.short, at, None, event.node, why)


def _transfer(
    event: TransferOverdue | TransferReceiptHeld | TransferDispatched | TransferClosed | TransferReceived,
) -> str:
    return f"transfer/{event.transfer_id}"
