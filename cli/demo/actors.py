"""The demo's actors: a carrier, a support desk and a buyer, and what all share. No part of the product.

Each hears what the stages publish and answers with the same commands as a real one would. What befalls them
(a short pick, a lost parcel, an unpaid order) depends on ids alone, and so does each command's id: hearing
something twice leads to the same command twice, which the stages know to be one. No I/O here.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from cli.demo.invoices import TakeBack
from cli.demo.people import share
from cli.demo.plan import replenish
from libs.events.changes import LinesReleased
from libs.events.contract import Command, Contract, Event
from libs.events.envelope import Envelope
from libs.events.fulfillment import (
    CarrierEventRecorded,
    CarrierStatus,
    FulfillmentCompleted,
    RecordCarrierEvent,
    ShipmentDispatched,
)
from libs.events.ids import command_id, order_id
from libs.events.intake import CancelOrder, OrderClosed, OrderHeld, ReleaseHold
from libs.events.inventory import (
    ReceiveStock,
    StockBackordered,
    StockPegged,
    StockReceived,
    StockReleased,
    StockReserved,
)
from libs.events.order import LineQuantity
from libs.events.refusal import CommandRefused
from libs.events.returns import (
    AuthoriseReturn,
    InspectedUnits,
    ReceiveReturn,
    ReturnAuthorised,
    ReturnClosed,
    ReturnLine,
    ReturnWindowOpened,
)

CHANNEL = "retail"
LOST_PER_MILLE = 7
EXCEPTIONS_PER_MILLE = 20
UNPAID_ONE_IN = 4
"""Of the orders whose payment is pending, one in so many is never paid, and cancelled."""
SCRAPPED_ONE_IN = 5
OPENED_ONE_IN = 4
RETURNS_TO = "LON"

Heard = Envelope[Contract]


@dataclass(frozen=True, slots=True)
class Order:
    """A command on its way to a stage."""

    stage: str
    id: UUID
    body: Command


class Carrier:
    """Collects what is dispatched and delivers it; now and then it loses a shipment."""

    hears: tuple[type[Event], ...] = (ShipmentDispatched, CarrierEventRecorded)

    def answer(self, heard: Heard) -> list[Order]:
        match heard.body:
            case ShipmentDispatched() as sent:
                return [_scan(heard, sent.order_id, sent.shipment_id, "picked_up")]
            case CarrierEventRecorded(status="picked_up") as scan:
                if share(f"{scan.shipment_id} exception", 1000) < EXCEPTIONS_PER_MILLE:
                    return [_scan(heard, scan.order_id, scan.shipment_id, "exception")]
                return [_scan(heard, scan.order_id, scan.shipment_id, _end(scan.shipment_id))]
            case CarrierEventRecorded(status="exception") as scan:
                return [_scan(heard, scan.order_id, scan.shipment_id, _end(scan.shipment_id))]
        return []


class Support:
    """Settles what is held, cancels what customers no longer want, and takes back what they return."""

    hears: tuple[type[Event], ...] = (
        OrderHeld,
        OrderClosed,
        FulfillmentCompleted,
        ReturnWindowOpened,
        ReturnAuthorised,
        ReturnClosed,
        CommandRefused,
    )

    def __init__(self, tenant: str) -> None:
        self._tenant = tenant
        self._wanted: dict[str, list[TakeBack]] = {}
        self._delivered: dict[str, Counter[int]] = {}
        self._returnable: dict[str, Counter[int]] = defaultdict(Counter)
        self._open: dict[UUID, str] = {}
        """Returns that were asked for → the order."""
        self._rmas: set[str] = set()
        self.moot = 0
        """Take-backs of units that never reached the customer."""

    @property
    def returns_open(self) -> int:
        """Take-backs that wait for a delivery, and returns that have not come to their end."""
        return sum(map(len, self._wanted.values())) + len(self._open) + len(self._rmas)

    def take_back(self, heard_of: TakeBack) -> list[Order]:
        """The customer wants to be rid of it: all of an order is cancelled, what arrives all the same or is
        only a part comes back once it was delivered."""
        of = order_id(self._tenant, CHANNEL, heard_of.of_invoice)
        self._wanted.setdefault(of, []).append(heard_of)
        if not heard_of.whole:
            return self._returns(of)
        cancel = CancelOrder(order_id=of, reason=f"credit note {heard_of.invoice}")
        key = command_id(self._tenant, f"cancel {of} {heard_of.invoice}")
        return [Order("intake", key, cancel), *self._returns(of)]

    def answer(self, heard: Heard) -> list[Order]:
        match heard.body:
            case OrderHeld() as held:
                return [self._settle(held)]
            case OrderClosed() as closed:
                if closed.outcome in ("delivered", "partly_delivered"):
                    return []  # FulfillmentCompleted says what arrived
                self._delivered.setdefault(closed.order_id, Counter())
                return self._returns(closed.order_id)
            case FulfillmentCompleted() as completed:
                self._delivered[completed.order_id] = by_line(completed.delivered)
                return self._returns(completed.order_id)
            case ReturnWindowOpened() as opened:
                self._returnable[opened.order_id].update(by_line(opened.lines))
                return self._returns(opened.order_id)
            case ReturnAuthorised() as authorised:
                self._open.pop(heard.causation_id, None)
                self._rmas.add(authorised.rma_id)
                return [to_stage("returns", heard, _inspect(authorised), f"receive {authorised.rma_id}")]
            case ReturnClosed() as closed_rma:
                self._rmas.discard(closed_rma.rma_id)
            case CommandRefused() as refused:
                self._open.pop(refused.command_id, None)
        return []

    def _settle(self, held: OrderHeld) -> Order:
        """Money that comes releases the order. An address that nobody knows, or money that does not come,
        cancels it: there is no command yet that would correct it."""
        names = {hold.name for hold in held.holds}
        if names == {"payment"} and share(f"{held.external_id} unpaid", UNPAID_ONE_IN):
            release = ReleaseHold(order_id=held.order_id, hold="payment", note="payment was confirmed")
            return Order("intake", command_id(self._tenant, f"release {held.order_id}"), release)
        cancel = CancelOrder(order_id=held.order_id, reason=f"not settled: {', '.join(sorted(names))}")
        return Order("intake", command_id(self._tenant, f"give up {held.order_id}"), cancel)

    def _returns(self, of: str) -> list[Order]:
        """Ask for what customers want to send back, once all that was delivered may be returned."""
        delivered = self._delivered.get(of)
        if delivered is None or of not in self._wanted:
            return []
        returnable = self._returnable[of]
        if any(returnable[line] < quantity for line, quantity in delivered.items()):
            return []
        asked: list[Order] = []
        for wanted in self._wanted.pop(of):
            lines = []
            for line, _, quantity in wanted.lines:
                units = min(quantity, delivered[line])
                delivered[line] -= units
                if units:
                    lines.append(
                        ReturnLine(line=line, quantity=units, reason=f"credit note {wanted.invoice}")
                    )
            if not lines:
                self.moot += 1
                continue
            key = command_id(self._tenant, f"return {of} {wanted.invoice}")
            self._open[key] = of
            asked.append(Order("returns", key, AuthoriseReturn(order_id=of, lines=tuple(lines))))
        return asked


class Buyer:
    """Buys what orders wait for, from what inventory says is short."""

    hears: tuple[type[Event], ...] = (
        StockBackordered,
        StockReserved,
        StockReleased,
        LinesReleased,
        StockPegged,
        StockReceived,
        CommandRefused,
    )

    def __init__(self, tenant: str) -> None:
        self._tenant = tenant
        self._short: dict[str, Counter[str]] = {}
        self._ordered: dict[UUID, tuple[str, int]] = {}
        self._purchases: Counter[str] = Counter()

    @property
    def waiting(self) -> int:
        """Orders that wait for stock."""
        return len(self._short)

    def answer(self, heard: Heard) -> list[Order]:
        """Only takes note; `buy` acts."""
        match heard.body:
            case StockBackordered() as backordered:
                self._short[backordered.order_id] = Counter(
                    {short.sku: short.quantity for short in backordered.short}
                )
            case StockReserved() | StockReleased():
                self._short.pop(heard.body.order_id, None)
            case LinesReleased() as fewer:
                if fewer.lines:  # what the order still waits for is said again
                    self._short.pop(fewer.order_id, None)
            case StockPegged() as pegged:
                for claim in pegged.claims:
                    if claim.order_id in self._short:
                        self._short[claim.order_id][pegged.sku] -= claim.quantity
            case StockReceived():
                self._ordered.pop(heard.causation_id, None)
            case CommandRefused() as refused:
                self._ordered.pop(refused.command_id, None)
        return []

    def buy(self) -> list[Order]:
        """A receipt for each SKU that is short by more than what is on its way."""
        need: Counter[str] = Counter()
        for short in self._short.values():
            need.update(+short)
        for sku, units in self._ordered.values():
            need[sku] -= units
        bought = []
        for sku, units in sorted((+need).items()):
            receipt = replenish(sku, units)
            self._purchases[sku] += 1
            reference = f"purchase {self._purchases[sku]}"
            key = command_id(self._tenant, f"{reference} of {sku}")
            self._ordered[key] = (sku, receipt.quantity)
            body = ReceiveStock(sku=sku, node=receipt.node, quantity=receipt.quantity, reference=reference)
            bought.append(Order("inventory", key, body))
        return bought


def to_stage(stage: str, heard: Heard, body: Command, key: str) -> Order:
    """A command that has the same id whenever it is called for."""
    return Order(stage, command_id(heard.tenant, key), body)


def _end(shipment_id: str) -> CarrierStatus:
    return "lost" if share(f"{shipment_id} lost", 1000) < LOST_PER_MILLE else "delivered"


def _scan(heard: Heard, of: str, shipment_id: str, status: CarrierStatus) -> Order:
    """Its time is that of what was heard, so that a repeat is the same scan."""
    scan = RecordCarrierEvent(order_id=of, shipment_id=shipment_id, status=status, occurred_at=heard.at)
    return to_stage("fulfillment", heard, scan, f"{status} {shipment_id}")


def _inspect(authorised: ReturnAuthorised) -> ReceiveReturn:
    """Some lines are scrapped; of some others a unit was opened, and is set aside."""
    units = []
    for line in authorised.lines:
        fate = share(f"{authorised.rma_id} {line.line} inspection", SCRAPPED_ONE_IN * OPENED_ONE_IN)
        good: dict[str, object] = {"line": line.line, "quantity": line.quantity, "disposition": "restock"}
        if fate % SCRAPPED_ONE_IN == 0:
            units.append(good | {"disposition": "scrap", "condition": "damaged"})
            continue
        if fate % OPENED_ONE_IN == 0:
            opened = {"disposition": "quarantine", "condition": "opened", "quantity": 1}
            units.append(good | opened)
            good["quantity"] = line.quantity - 1
        if good["quantity"]:
            units.append(good)
    return ReceiveReturn(
        order_id=authorised.order_id,
        rma_id=authorised.rma_id,
        node=RETURNS_TO,
        units=tuple(InspectedUnits.model_validate(one) for one in units),
    )


def by_line(lines: Iterable[LineQuantity]) -> Counter[int]:
    """Units by line."""
    units: Counter[int] = Counter()
    for line in lines:
        units[line.line] += line.quantity
    return units
