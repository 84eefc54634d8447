"""Facts from outside about one SKU: which module decides each, and which reminders they leave."""

from collections.abc import Iterable
from datetime import datetime
from typing import assert_never

from libs.events.conditions import MoveStock
from libs.events.contract import Contract, Event
from libs.events.dates import SupplyPegged
from libs.events.feed_maps import FeedSkuMapped, StockTold
from libs.events.feeds import FeedStale, ReportStock, StockReported
from libs.events.fulfillment import PickShorted
from libs.events.inventory import AdjustStock, ReceiveStock, StockAdjusted, StockShorted
from libs.events.items import DefineItem, ItemDefined, MoveBetweenBins, PlaceItem
from libs.events.lots import (
    LotDefined,
    LotExpired,
    LotQuarantined,
    LotReleased,
    LotsLimited,
    QuarantineLot,
    ReleaseLot,
)
from libs.events.outside import OUTSIDE_COMMANDS, OUTSIDE_EVENTS
from libs.events.routing import NODES_STREAM
from libs.events.serials import CorrectSerials
from libs.events.stocktaking import ProposeAdjustment, RecordCount, SettleDifference, SuspectStock
from libs.events.supply import (
    RULES_STREAM,
    CancelSupply,
    CloseTransfer,
    DispatchTransfer,
    ExpectSupply,
    ReceiveSupply,
    ReceiveTransfer,
    TransferClosed,
    TransferDispatched,
    TransferOverdue,
    TransferReceived,
)
from libs.events.timer import Timer, TimerDue
from services.inventory import (
    conditions,
    counts,
    feeds,
    inbound,
    items,
    lot_control,
    serial_control,
    settling,
    transfers,
)
from services.inventory.desk import Desk, in_bins, served
from services.inventory.feed_skus import told_streams
from services.inventory.measure import measured
from services.inventory.supplies import SUPPLY_STREAM

Told = (
    ExpectSupply
    | CancelSupply
    | ReceiveSupply
    | DispatchTransfer
    | ReceiveTransfer
    | CloseTransfer
    | MoveStock
    | RecordCount
    | ProposeAdjustment
    | SettleDifference
    | SuspectStock
    | ReportStock
    | DefineItem
    | PlaceItem
    | MoveBetweenBins
    | QuarantineLot
    | ReleaseLot
    | CorrectSerials
)
REMINDERS = frozenset({"transfers", "feeds", "feed_retired", "told", "picks", "lots", "lots_back", "bins"})
"""Names of the timers that are decided here."""
_ABOUT_SUPPLY: frozenset[type[Contract]] = frozenset(
    {*OUTSIDE_COMMANDS, *OUTSIDE_EVENTS, SupplyPegged, AdjustStock, StockAdjusted}
)
_CHECKED: dict[type[Event], str] = {
    TransferDispatched: "transfers",
    TransferReceived: "transfers",
    TransferOverdue: "transfers",
    TransferClosed: "transfers",
    StockReported: "feeds",
    FeedStale: "feeds",
    ItemDefined: "lots",
    LotDefined: "lots",
    LotExpired: "lots",
    LotQuarantined: "lots",
    LotReleased: "lots",
    LotsLimited: "lots",
}
"""Events that say when to look again, and the reminder that they ask for."""
REMINDS: frozenset[type[Event]] = frozenset({*_CHECKED, StockShorted, StockTold, FeedSkuMapped})


def streams(body: Contract) -> tuple[str, ...]:
    """What an input of a SKU's stream needs beside the SKU: an ordinary one, nothing."""
    if type(body) in _ABOUT_SUPPLY or (isinstance(body, TimerDue) and body.name in REMINDERS):
        return SUPPLY_STREAM + body.stream.partition("/")[2], RULES_STREAM, NODES_STREAM
    if not isinstance(body, ReceiveStock):
        return ()
    more = body.unit is not None or body.lot is not None
    both = RULES_STREAM, NODES_STREAM
    return (SUPPLY_STREAM + body.stream.partition("/")[2], *both) if more else both


def streams_of_short_pick(body: PickShorted | StockShorted) -> list[str]:
    """What a pick that found nothing needs beside its order and SKUs."""
    return [SUPPLY_STREAM + sku for sku in dict.fromkeys(line.sku for line in body.lines)]


def answer(desk: Desk, body: Told) -> list[Event]:
    """The events that answer what somebody told."""
    return in_bins(desk, _answer(desk, body))


def _answer(desk: Desk, body: Told) -> list[Event]:
    match body:
        case ExpectSupply():
            return measured(desk, body, inbound.expect)
        case CancelSupply():
            return inbound.cancel(desk, body)
        case ReceiveSupply():
            return measured(desk, body, _received)
        case DispatchTransfer():
            return transfers.dispatch(desk, body)
        case ReceiveTransfer():
            return transfers.receive(desk, body)
        case CloseTransfer():
            return transfers.close(desk, body)
        case MoveStock():
            return conditions.move(desk, body)
        case RecordCount():
            return measured(desk, body, counts.record_count)
        case ProposeAdjustment():
            return settling.propose(desk, body)
        case SettleDifference():
            return settling.settle(desk, body)
        case SuspectStock():
            return counts.doubt(desk, body)
        case ReportStock():
            return feeds.report(desk, body)
        case DefineItem():
            return items.define(desk, body)
        case PlaceItem():
            return items.place(desk, body)
        case MoveBetweenBins():
            return items.move(desk, body)
        case QuarantineLot():
            return lot_control.stop(desk, body)
        case ReleaseLot():
            return lot_control.put_back(desk, body)
        case CorrectSerials():
            return serial_control.correct(desk, body)
        case _:
            assert_never(body)


def _received(desk: Desk, body: ReceiveSupply) -> list[Event]:
    return lot_control.arrived(desk, body, inbound.receive)


def look_again(desk: Desk, reminder: str) -> list[Event]:
    """A reminder is due."""
    return in_bins(desk, _look_again(desk, reminder))


def _look_again(desk: Desk, reminder: str) -> list[Event]:
    match reminder:
        case "transfers":
            return transfers.overdue(desk)
        case "feeds" | "feed_retired":
            return feeds.lose_trust(desk)
        case "told":
            return feeds.take_up(desk)
        case "lots" | "lots_back":
            return served(desk)
        case "bins":
            return []
    assert reminder == "picks", f"nobody here asks for a timer {reminder!r}"
    return counts.suspect(desk)


def timers(event: Event, at: datetime) -> Iterable[Timer]:
    """When to look again, after one of `REMINDS`."""
    if isinstance(event, StockShorted):
        missed = dict.fromkeys(move.sku for move in event.movements if move.target == "missing")
        return [Timer(f"sku/{sku}", "picks", at) for sku in missed]
    if isinstance(event, StockTold | FeedSkuMapped):
        return [Timer(f"sku/{sku}", "told", at) for sku in told_streams(event)]
    check_at: datetime | None = getattr(event, "check_at", None)
    return [Timer(event.stream, _CHECKED[type(event)], check_at)] if check_at else []
