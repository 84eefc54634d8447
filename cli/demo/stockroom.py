"""The demo's stock room: what a retailer does to stock besides selling it. No part of the product.

It buys two articles of its own, which none of the month's orders names, so that what it reports depends on
nothing else: purchase orders that arrive with too many, too few or broken units, transfers, a kit that is put
together and taken apart, and two counts. Some of it is left open, to be seen in the console. No I/O here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

from cli.demo.actors import Heard, Order
from libs.events.bundles import (
    AssembleKit,
    BundleDefined,
    BundlePart,
    DefineBundle,
    KitAssembled,
    KitTakenApart,
    TakeKitApart,
)
from libs.events.conditions import MoveStock, StockMoved
from libs.events.contract import Event, SkuCommand
from libs.events.ids import command_id
from libs.events.stocktaking import CountRecorded, RecordCount
from libs.events.supply import (
    CloseTransfer,
    DefineSupplyRules,
    DispatchTransfer,
    ExpectSupply,
    ReceiveSupply,
    ReceiveTransfer,
    SupplyExpected,
    SupplyReceived,
    SupplyRules,
    TransferClosed,
    TransferDispatched,
    TransferReceived,
)

MUG, TIN, KIT = "HOUSE-MUG", "HOUSE-TEA-TIN", "HOUSE-GIFT-SET"
SUPPLIER = "Potteries Ltd"
COUNT_APPROVAL_UNITS = 3
"""A count that differs by more waits for a person."""
KITS_MADE, KITS_UNDONE = 10, 2


class Purchase(NamedTuple):
    """What is bought under a purchase order, and what of it arrives; None, nothing yet."""

    sku: str
    node: str
    quantity: int
    arrives: tuple[int, int] | None
    """Good and broken units."""


PURCHASES: Mapping[str, Purchase] = {
    "PO-1001": Purchase(MUG, "LON", 60, (60, 0)),
    "PO-1002": Purchase(TIN, "LON", 80, (78, 2)),
    "PO-1003": Purchase(TIN, "RTM", 30, (33, 0)),
    "PO-1004": Purchase(MUG, "MAN", 40, (36, 0)),
    "PO-1005": Purchase(MUG, "LON", 120, None),
}
ARRIVES_LATE, STAYS_ON_THE_WAY = "TR-501", "TR-502"
TO_SETTLE, BOOKED = "COUNT-71", "COUNT-72"


@dataclass(slots=True)
class _Book:
    """What London has of an article, by the movements of it that were heard."""

    moved: dict[int, int] = field(default_factory=dict)
    """Position → units more on hand or allocated there."""

    def stand(self) -> tuple[int, int]:
        """The last position up to which every movement was heard, and the units at it."""
        position = units = 0
        while position + 1 in self.moved:
            position += 1
            units += self.moved[position]
        return position, units


class Stockroom:
    """Buys, receives, moves, assembles and counts the house's own articles."""

    hears: tuple[type[Event], ...] = (
        SupplyExpected,
        SupplyReceived,
        TransferDispatched,
        TransferReceived,
        TransferClosed,
        BundleDefined,
        KitAssembled,
        KitTakenApart,
        StockMoved,
        CountRecorded,
    )

    def __init__(self, tenant: str) -> None:
        self._tenant = tenant
        self._books = {MUG: _Book(), TIN: _Book()}
        self._here: set[str] = set()
        """Purchases that arrived."""
        self._said: set[str] = set()
        self._left = {BOOKED, TO_SETTLE, ARRIVES_LATE, "PO-1003", "PO-1004", "quarantine"}
        """What has not come to its end."""

    @property
    def busy(self) -> bool:
        """Whether something is under way that comes to its end by itself."""
        return bool(self._left)

    def open(self, at: datetime) -> list[Order]:
        """The rules, and everything that is bought on the first day."""
        rules = SupplyRules(new_skus=True, count_approval_units=COUNT_APPROVAL_UNITS)
        orders = [self._order("rules", DefineSupplyRules(rules=rules))]
        for number, (supply_id, bought) in enumerate(PURCHASES.items()):
            expected = ExpectSupply(
                sku=bought.sku,
                supply_id=supply_id,
                node=bought.node,
                quantity=bought.quantity,
                expected_at=at + timedelta(days=number + 1),
                stated_at=at,
                supplier=SUPPLIER,
            )
            orders.append(self._order(supply_id, expected))
        return orders

    def answer(self, heard: Heard) -> list[Order]:
        body = heard.body
        if not isinstance(body, self.hears):
            return []
        self._note(body)
        match body:
            case SupplyExpected(supply_id=id_) if id_ in PURCHASES:
                return self._receive(id_)
            case SupplyReceived(supply_id=id_):
                self._here.add(id_)
                self._left.discard(id_)
                return self._arrived(id_, heard.at)
            case TransferDispatched(transfer_id=id_) if id_ == ARRIVES_LATE:
                part = ReceiveTransfer(sku=MUG, transfer_id=id_, receipt_id=f"{id_}-1", quantity=11)
                return self._once(f"{id_} arrives", part)
            case TransferReceived(transfer_id=id_):
                lost = CloseTransfer(sku=MUG, transfer_id=id_, outcome="lost", reason="never found")
                return self._once(f"{id_} ends", lost)
            case TransferClosed(transfer_id=id_):
                self._left.discard(id_)
            case BundleDefined():
                made = AssembleKit(sku=KIT, node="LON", quantity=KITS_MADE, reference="Christmas")
                return self._once("kits", made)
            case KitAssembled():
                undone = TakeKitApart(sku=KIT, node="LON", quantity=KITS_UNDONE, reference="too many")
                return self._once("kits undone", undone)
            case KitTakenApart():
                return [
                    *self._count(TO_SETTLE, MUG, -5, heard.at),
                    *self._count(BOOKED, TIN, -1, heard.at),
                ]
            case StockMoved():
                self._left.discard("quarantine")
            case CountRecorded(count_id=id_):
                self._left.discard(id_)
        return []

    def _receive(self, supply_id: str) -> list[Order]:
        bought = PURCHASES[supply_id]
        if bought.arrives is None:
            return []
        good, broken = bought.arrives
        arrived = ReceiveSupply(
            sku=bought.sku,
            supply_id=supply_id,
            receipt_id=f"{supply_id}-1",
            node=bought.node,
            quantity=good,
            damaged=broken,
            final=True,
        )
        return self._once(f"{supply_id} arrives", arrived)

    def _arrived(self, supply_id: str, at: datetime) -> list[Order]:
        """Manchester's mugs are looked at; once London has both articles, it sends mugs on and makes kits."""
        if supply_id == "PO-1004":
            doubted = MoveStock(
                sku=MUG,
                node="MAN",
                source="on_hand",
                target="quarantine",
                quantity=4,
                reason_code="chipped",
                reference=supply_id,
            )
            return self._once("quarantine", doubted)
        if not {"PO-1001", "PO-1002"} <= self._here:
            return []
        parts = (BundlePart(sku=MUG, quantity=1), BundlePart(sku=TIN, quantity=1))
        kit = DefineBundle(sku=KIT, parts=parts, kept="assembled")
        return [
            *self._once(ARRIVES_LATE, self._transfer(ARRIVES_LATE, "MAN", 12, at)),
            *self._once(STAYS_ON_THE_WAY, self._transfer(STAYS_ON_THE_WAY, "RTM", 6, at)),
            *self._once("kit", kit),
        ]

    def _transfer(self, id_: str, node: str, quantity: int, at: datetime) -> DispatchTransfer:
        return DispatchTransfer(
            sku=MUG,
            transfer_id=id_,
            source_node="LON",
            target_node=node,
            quantity=quantity,
            due_at=at + timedelta(days=3),
        )

    def _count(self, count_id: str, sku: str, variance: int, at: datetime) -> list[Order]:
        """Somebody counted so many more than the book says."""
        position, units = self._books[sku].stand()
        counted = RecordCount(
            sku=sku,
            count_id=count_id,
            node="LON",
            counted=units + variance,
            counted_at=at,
            book=units,
            position=position,
        )
        return self._once(count_id, counted)

    def _note(self, event: Event) -> None:
        """What the event moves into or out of London's sellable units."""
        sellable = ("on_hand", "allocated", "suspect")
        for move in getattr(event, "movements", ()):
            if move.sku in self._books:
                more = (move.target in sellable) - (move.source in sellable)
                self._books[move.sku].moved[move.position] = more * move.quantity * (move.node == "LON")

    def _once(self, key: str, body: SkuCommand) -> list[Order]:
        """The command the first time that it is called for: it says what was known then."""
        if key in self._said:
            return []
        self._said.add(key)
        return [self._order(key, body)]

    def _order(self, key: str, body: SkuCommand | DefineSupplyRules) -> Order:
        return Order("inventory", command_id(self._tenant, f"stock room {key}"), body)
