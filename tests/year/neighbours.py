"""Inventory's topics, filled as its neighbours fill them: numbered lanes, derived ids, real bytes."""

from collections import Counter
from datetime import datetime
from uuid import UUID, uuid5

from cli.demo.invoices import Sale, StockCount, TakeBack
from cli.demo.play import adjustment
from libs.events.catalogue import encode
from libs.events.contract import Contract, Event
from libs.events.envelope import Envelope
from libs.events.fulfillment import FulfillmentCancelled, ShipmentDispatched, ShippedPackage
from libs.events.ids import command_id, order_id, partition_key
from libs.events.intake import OrderAccepted
from libs.events.inventory import ReceiveStock
from libs.events.order import Charge, Destination, LineQuantity, NodeLines, OrderLine
from libs.events.returns import ReturnedUnits, ReturnReceived
from libs.events.routing import OrderRouted
from libs.runtime import wire
from libs.runtime.kafka import Lanes
from libs.runtime.stage import commands_topic, events_topic
from libs.runtime.wire import Record
from tests.year.facts import LONDON_NODE, Receipt, home

TENANT, CHANNEL = "year", "retail"
PARTITIONS = 4
_IDS = UUID("8a7c2f14-6d0e-5b6b-9f43-0d1a6f3c7e52")


def id_of(invoice: str) -> str:
    return order_id(TENANT, CHANNEL, invoice)


class Neighbours:
    """Writes the next record of a lane. It takes no heed of what inventory does: the player does."""

    def __init__(self) -> None:
        self._lane_of = Lanes(PARTITIONS)
        self._offsets: Counter[tuple[str, int]] = Counter()
        self._sent = 0

    def event(self, at: datetime, body: Event) -> Record:
        """An event of the stage that its type names."""
        self._sent += 1
        return self._record(at, body, events_topic(body.TYPE.split(".")[1]), uuid5(_IDS, str(self._sent)))

    def _record(self, at: datetime, body: Contract, topic: str, id_: UUID) -> Record:
        key = partition_key(TENANT, body.stream)
        lane = self._lane_of(key)
        offset = self._offsets[topic, lane]
        self._offsets[topic, lane] += 1
        sequence = offset + 1 if isinstance(body, Event) else 0
        source = f"orderlog/{topic.split('.')[1]}" if sequence else "orderlog/edge"
        envelope = Envelope(
            id_, TENANT, body.stream, body, at, "retailer", "", id_, id_, source, lane, sequence
        )
        return Record(topic, lane, offset, key.encode(), encode(body), tuple(wire.headers(envelope)))

    def _command(self, at: datetime, body: Contract, id_: UUID) -> Record:
        return self._record(at, body, commands_topic("inventory"), id_)

    def receipt(self, at: datetime, receipt: Receipt) -> Record:
        body = ReceiveStock(
            sku=receipt.sku, node=receipt.node, quantity=receipt.quantity, reference=receipt.reference
        )
        return self._command(at, body, command_id(TENANT, f"{receipt.reference} {at} {receipt.sku}"))

    def count(self, at: datetime, count: StockCount) -> Record:
        """As the demo sends it, at the SKU's home."""
        order = adjustment(TENANT, count)
        return self._command(at, order.body.model_copy(update={"node": home(count.sku)}), order.id)

    def accepted(self, at: datetime, sale: Sale) -> Record:
        body = OrderAccepted(
            order_id=id_of(sale.invoice),
            channel=CHANNEL,
            external_id=sale.invoice,
            placed_at=sale.placed_at,
            currency="GBP",
            lines=tuple(
                OrderLine.model_construct(
                    line=line.line,
                    sku=line.sku,
                    quantity=line.quantity,
                    unit_price_minor=line.unit_price_minor,
                    description=line.description,
                )
                for line in sale.lines
            ),
            charges=tuple(Charge(kind=x.kind, amount_minor=x.amount_minor) for x in sale.charges),
            total_minor=sale.total_minor,
            customer_id=sale.customer,
            destination=Destination(country=sale.country),
        )
        return self.event(at, body)

    def routed(self, at: datetime, sale: Sale, round_: int) -> Record:
        body = OrderRouted(
            order_id=id_of(sale.invoice),
            round=round_,
            nodes=tuple(NodeLines(node=node, lines=lines) for node, lines in by_node(sale).items()),
            candidates=(),
            rule_version=1,
            nodes_version=2,
        )
        return self.event(at, body)

    def cancelled(self, at: datetime, sale: Sale, why: str) -> Record:
        """All of it, before dispatch; or because no node ships there."""
        body = FulfillmentCancelled(
            order_id=id_of(sale.invoice),
            lines=lines_of(sale),
            cause="unroutable" if why == "unroutable" else "cancelled",
            reason=why,
        )
        return self.event(at, body)

    def dispatched(self, at: datetime, sale: Sale) -> list[Record]:
        """A shipment from each node that has a part of it."""
        found = []
        for node, lines in by_node(sale).items():
            work = f"{id_of(sale.invoice)}-1-{node}"
            body = ShipmentDispatched(
                order_id=id_of(sale.invoice),
                fulfillment_order_id=work,
                node=node,
                shipment_id=f"{work}-S",
                carrier="Parcel",
                packages=(ShippedPackage(package_id=f"{work}-P1", tracking_number=sale.invoice),),
                lines=lines,
            )
            found.append(self.event(at, body))
        return found

    def returned(self, at: datetime, sale: Sale, wanted: TakeBack) -> Record:
        """All goods come back to London, which keeps what lies there and scraps what does not."""
        body = ReturnReceived(
            order_id=id_of(sale.invoice),
            rma_id=f"{wanted.invoice}-{sale.invoice}",
            node=LONDON_NODE,
            units=tuple(
                ReturnedUnits(
                    line=line,
                    sku=sku,
                    quantity=quantity,
                    disposition="restock" if home(sku) == LONDON_NODE else "scrap",
                )
                for line, sku, quantity in wanted.lines
            ),
        )
        return self.event(at, body)


def lines_of(sale: Sale) -> tuple[LineQuantity, ...]:
    return tuple(
        LineQuantity.model_construct(line=line.line, sku=line.sku, quantity=line.quantity)
        for line in sale.lines
    )


def by_node(sale: Sale) -> dict[str, tuple[LineQuantity, ...]]:
    """An order's lines by where they lie."""
    found: dict[str, list[LineQuantity]] = {}
    for line in lines_of(sale):
        found.setdefault(home(line.sku), []).append(line)
    return {node: tuple(lines) for node, lines in sorted(found.items())}
