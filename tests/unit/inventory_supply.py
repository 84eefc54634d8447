"""Words for the tests of facts from outside: what is bought, moved, counted and told, in one line each."""

from datetime import datetime, timedelta
from typing import Any

from libs.events.conditions import Condition, MoveStock
from libs.events.feed_maps import MapFeedSku, TellStock
from libs.events.feeds import DefineFeed, Feed, OpenFeedRun, ReportStock
from libs.events.stocktaking import ProposeAdjustment, RecordCount, SettleDifference
from libs.events.supply import (
    CloseTransfer,
    DefineSupplyRules,
    DispatchTransfer,
    ExpectSupply,
    ReceiveSupply,
    ReceiveTransfer,
    SupplyBucket,
    SupplyMovement,
    SupplyRules,
)
from services.inventory.supplies import SupplyPart
from tests.spec import NOON, Spec

DUE = NOON + timedelta(days=3)


def minutes(number: float) -> datetime:
    """So long after noon."""
    return NOON + timedelta(minutes=number)


def rules(**set_: Any) -> DefineSupplyRules:
    return DefineSupplyRules(rules=SupplyRules(**{"new_skus": True, **set_}))


def expect(
    sku: str, id_: str, quantity: int, node: str = "N1", stated: float = 0, **more: Any
) -> ExpectSupply:
    terms = {"expected_at": DUE, "stated_at": minutes(stated), **more}
    return ExpectSupply(sku=sku, supply_id=id_, node=node, quantity=quantity, **terms)


def arrive(
    sku: str, id_: str, receipt: str, quantity: int, damaged: int = 0, node: str = "N1", final: bool = False
) -> ReceiveSupply:
    return ReceiveSupply(
        sku=sku,
        supply_id=id_,
        receipt_id=receipt,
        node=node,
        quantity=quantity,
        damaged=damaged,
        final=final,
    )


def send(
    sku: str, id_: str, quantity: int, source: str = "N1", target: str = "N2", due: datetime = DUE
) -> DispatchTransfer:
    return DispatchTransfer(
        sku=sku, transfer_id=id_, source_node=source, target_node=target, quantity=quantity, due_at=due
    )


def land(
    sku: str, id_: str, receipt: str, quantity: int, damaged: int = 0, final: bool = False
) -> ReceiveTransfer:
    return ReceiveTransfer(
        sku=sku, transfer_id=id_, receipt_id=receipt, quantity=quantity, damaged=damaged, final=final
    )


def lost(sku: str, id_: str) -> CloseTransfer:
    return CloseTransfer(sku=sku, transfer_id=id_, outcome="lost")


def move(sku: str, quantity: int, source: Condition, target: Condition, node: str = "N1") -> MoveStock:
    return MoveStock(sku=sku, node=node, source=source, target=target, quantity=quantity, reason_code="found")


def count(
    sku: str, id_: str, counted: int, book: int, position: int, at: datetime = NOON, node: str = "N1"
) -> RecordCount:
    return RecordCount(
        sku=sku, count_id=id_, node=node, counted=counted, counted_at=at, book=book, position=position
    )


def propose(
    sku: str, id_: str, variance: int, at: float = 0, node: str = "N1", position: int | None = None
) -> ProposeAdjustment:
    """What a warehouse's snapshot of so many minutes after noon differs by."""
    return ProposeAdjustment(
        sku=sku,
        proposal_id=id_,
        node=node,
        variance=variance,
        as_of=minutes(at),
        system="wms",
        position=position,
    )


def approve(sku: str, id_: str, *, yes: bool = True) -> SettleDifference:
    return SettleDifference(sku=sku, proposal_id=id_, approve=yes)


def feed(**terms: Any) -> DefineFeed:
    return DefineFeed(definition=Feed(**{"feed": "acme", "node": "V1", "kind": "vendor", **terms}))


def run(id_: str, units: int, stated: float = 0) -> OpenFeedRun:
    return OpenFeedRun(feed="acme", run_id=id_, rows=1, units=units, stated_at=minutes(stated))


def told(sku: str, packs: int, stated: float = 0, **more: Any) -> ReportStock:
    return ReportStock(sku=sku, feed="acme", packs=packs, stated_at=minutes(stated), **more)


def maps(theirs: str, sku: str | None, pack_size: int = 1, per: int = 1) -> MapFeedSku:
    return MapFeedSku(feed="acme", theirs=theirs, sku=sku, pack_size=pack_size, per=per)


def tells(theirs: str, packs: int, stated: float = 0, **more: Any) -> TellStock:
    return TellStock(feed="acme", theirs=theirs, packs=packs, stated_at=minutes(stated), **more)


def moves(
    sku: str, position: int, quantity: int, source: SupplyBucket, target: SupplyBucket, node: str = "N1"
) -> SupplyMovement:
    return SupplyMovement(
        sku=sku, node=node, source=source, target=target, quantity=quantity, position=position
    )


def supply(spec: Spec, sku: str) -> SupplyPart:
    part = spec.parts[f"supply/{sku}"]
    assert isinstance(part, SupplyPart)
    return part
