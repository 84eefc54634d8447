"""Everybody outside: customers, a support desk, warehouses, a carrier, suppliers. They send commands.

What befalls an order or a parcel depends on its id and the seed alone, not on the order of things, so a run
that is shortened keeps the lives of those that stay. People retry: a command may be sent up to five times
under its id; now and then an id is used for something else, and somebody sends what nobody can read.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random
from uuid import UUID, uuid5

from libs.events.amendments import AmendOrder
from libs.events.catalogue import encode
from libs.events.changes import (
    AddNote,
    CancelLines,
    HoldPlaced,
    LinesCancelled,
    LineUnits,
    PlaceHold,
)
from libs.events.contract import Command, Contract
from libs.events.envelope import Envelope
from libs.events.fulfillment import (
    ConfirmPack,
    ConfirmPick,
    DispatchShipment,
    FulfillmentReleased,
    Package,
    PackConfirmed,
    Pick,
    PickConfirmed,
    RecordCarrierEvent,
    ShipmentDispatched,
    ShippedPackage,
)
from libs.events.ids import partition_key
from libs.events.intake import CancelOrder, OrderHeld, ReleaseHold, SubmitOrder
from libs.events.inventory import AdjustStock, ReceiveStock
from libs.events.notifications import MessageRequested, RecordMessageOutcome
from libs.events.order import Destination, Sealed
from libs.events.places import NodeOperations, TransitBand
from libs.events.promise import HoldStock, ReleasePromise, Wanted
from libs.events.refusal import CommandRefused
from libs.events.returns import (
    AuthoriseReturn,
    InspectedUnits,
    ReceiveReturn,
    ReturnAuthorised,
    ReturnLine,
    ReturnWindowOpened,
)
from libs.events.routing import ApproveRouting, DefineNode, DefineReview, DefineTransit, RoutingHeld
from libs.runtime import wire
from libs.runtime.stage import commands_topic
from tests.flow.people import NODES, order
from tests.flow.world import START, TENANT
from tests.sim.broker import SimBroker
from tests.sim.faults import Faults

WORKS = NodeOperations(time_zone="Europe/London", cut_off="14:00", units_a_day=4)
"""Few units a day, so that days are full while orders are under way."""

SKUS = ("TEA", "MUG", "JAM")
"""Few, so that orders meet in them."""
BURST_ORDERS = 4
BURST_SECONDS = 8.0
PAUSE_SECONDS = 1800.0
_IDS = UUID("1c2b9b7e-2a10-5c8e-9a64-3f1f0a7c5d42")
PLACES = (
    Destination(country="GB", latitude=53.5, longitude=-2.2),
    Destination(country="FR", latitude=48.9, longitude=2.3),
)
"""Where orders are sent instead, once they were placed."""
_CONTACT = Sealed(subject="c:7", nonce="A" * 16, ciphertext="A" * 24)


@dataclass(frozen=True, slots=True)
class Sent:
    """A command as it was sent under an id, once or several times."""

    envelope: Envelope[Command]
    payload: bytes

    @property
    def stage(self) -> str:
        return self.envelope.body.TYPE.split(".")[1]


@dataclass
class People:
    """Sends from the broker's outside; hears what the stages publish, each event once."""

    seed: str
    orders: int
    broker: SimBroker
    faults: Faults
    lane_of: Callable[[str], int]
    sent: list[Sent] = field(default_factory=list)
    unreadable: int = 0
    """Records sent that nobody can be told about; each is to be parked once."""
    pending: int = 0
    _heard: dict[tuple[str, int], int] = field(default_factory=dict)
    _asked: dict[str, dict[int, int]] = field(default_factory=dict)
    """What each fulfillment order asks for, by line: less where lines were cancelled."""
    _picks: dict[UUID, ConfirmPick] = field(default_factory=dict)
    """As they were sent, by command id."""

    def __post_init__(self) -> None:
        self.broker.on_append.append(self._appended)

    def open_shop(self) -> None:
        """Nodes and opening stock, and all that will come from outside by itself."""
        dice = Random(f"shop {self.seed}")
        for node, (latitude, longitude) in NODES.items():
            self.send(
                DefineNode(
                    node=node,
                    name=node,
                    country="GB",
                    latitude=latitude,
                    longitude=longitude,
                    operations=WORKS,
                ),
                f"node {node}",
                at=0.0,
            )
        self.send(DefineTransit(service="standard", bands=(TransitBand(days=1),)), "transit", at=0.0)
        if self._dice("review").random() >= 0.5:
            self.send(DefineReview(nodes_max=1, farther_km_max=400), "review", at=0.0)
        for node in NODES:
            for sku in SKUS:
                if dice.random() < 0.6:
                    units = dice.randint(1, 6)
                    self.send(ReceiveStock(sku=sku, node=node, quantity=units), f"open {node} {sku}", at=0.1)
        at = 20.0
        for number in range(self.orders):
            at += PAUSE_SECONDS * dice.random() if number % BURST_ORDERS == 0 and number else 0.0
            moment = at + BURST_SECONDS * dice.random()
            self._order(number, moment)
            self._stock(number, moment)
        self.last_order_at = at + BURST_SECONDS
        for sku in SKUS:  # so much in the end that no order has to wait
            plenty = ReceiveStock(sku=sku, node="LON", quantity=50 * self.orders)
            self.send(plenty, f"plenty {sku}", at=self.last_order_at + 60 * dice.random())

    def heard_up_to(self, topic: str, lane: int) -> int:
        """The last sequence that a topic's lane has published."""
        return self._heard.get((f"{topic} sequence", lane), 0)

    def _order(self, number: int, at: float) -> None:
        dice = Random(f"order {self.seed} {number}")
        skus = [dice.choice(SKUS) for _ in range(dice.choice((1, 2, 2, 3)))]
        lines = [(sku, dice.randint(1, 3)) for sku in skus]
        submitted = order(
            f"{self.seed}/{number}",
            lines,
            country=dice.choice(("GB",) * 19 + ("AQ",)),
            payment=dice.choice(("paid", "paid", "paid", "on_account", "pending")),
            contact=_CONTACT if dice.random() < 0.3 else None,
        )
        if dice.random() < 0.25:
            submitted = self._hold(number, submitted, at)
        self.send(submitted, f"order {number}", at=at)
        for change_of_mind in range(dice.choice((0, 0, 0, 0, 1, 2))):
            cancel = CancelOrder(order_id=submitted.order_id)
            later = at + dice.choice((0.02, 0.5, 5.0, 60.0, 600.0)) * dice.random()
            self.send(cancel, f"cancel {number} {change_of_mind}", at=later)
        self._change(number, submitted, at)

    def _change(self, number: int, submitted: SubmitOrder, at: float) -> None:
        """Now and then support cancels a line, holds the order or writes something on it."""
        dice, of = Random(f"change {self.seed} {number}"), submitted.order_id
        for nth in range(dice.choice((0, 0, 0, 1, 1, 2))):
            line = dice.choice(submitted.lines)
            units = LineUnits(line=line.line, quantity=dice.randint(1, line.quantity))
            what = dice.choice(
                (
                    CancelLines(order_id=of, lines=(units,)),
                    CancelLines(order_id=of, lines=(units,)),
                    PlaceHold(order_id=of, hold=dice.choice(("fraud", "wait")), message="Ask first."),
                    AddNote(order_id=of, note=_CONTACT),
                    AmendOrder(order_id=of, destination=dice.choice(PLACES), contact=_CONTACT),
                    AmendOrder(order_id=of, service="express"),
                )
            )
            later = at + dice.choice((0.02, 0.1, 0.5, 2.0, 5.0, 60.0)) * dice.random()
            self.send(what, f"change {number} {nth}", at=later)

    def _hold(self, number: int, submitted: SubmitOrder, at: float) -> SubmitOrder:
        """A basket is held for the order, shortly before it, or after it; its end comes near, too."""
        dice = Random(f"basket {self.seed} {number}")
        basket = f"basket-{number}"
        wanted = [Wanted(sku=line.sku, quantity=line.quantity) for line in submitted.lines]
        if dice.random() < 0.3:
            wanted.append(Wanted(sku=dice.choice(SKUS), quantity=1))
        early = dice.choice((-0.01, 0.02, 0.5, 2.0, 8.0))
        hold = HoldStock(promise_id=basket, lines=tuple(wanted), ttl_seconds=dice.choice((1, 2, 3, 8, 30)))
        self.send(hold, f"hold {number}", at=max(0.2, at - early))
        if dice.random() < 0.2:
            self.send(ReleasePromise(promise_id=basket), f"release {number}", at=at + dice.random())
        return submitted.model_copy(update={"promise_id": basket})

    def _stock(self, number: int, at: float) -> None:
        """A delivery or a count near an order, and what somebody gets wrong."""
        dice = Random(f"stock {self.seed} {number}")
        sku, node, moment = dice.choice(SKUS), dice.choice(list(NODES)), at + 30 * dice.random()
        if dice.random() < 0.6:
            receipt = ReceiveStock(sku=sku, node=node, quantity=dice.randint(1, 5))
            self.send(receipt, f"receipt {number}", at=moment)
            if dice.random() < 0.2 and self.faults.count("command id reused", "people"):
                other = other_delivery(receipt, dice.choice(SKUS) if dice.random() < 0.3 else sku)
                self.send(other, f"receipt {number}", at=at + 30 * dice.random())
        if dice.random() < 0.4:
            count = AdjustStock(sku=sku, node=node, delta=dice.choice((-2, -1, 1)), reason_code="count")
            self.send(count, f"count {number}", at=moment + dice.random())
        if dice.random() < 0.3 and self.faults.count("record from nobody", "people"):
            self._send_unreadable(number, moment)

    def send(self, command: Command, what: str, *, at: float | None = None) -> UUID:
        """Send a command some time later, perhaps several times; `what` names it, and so its id."""
        id_ = uuid5(_IDS, f"{self.seed} {what}")
        dice = Random(f"client {self.seed} {what}")
        now = self.broker.loop.time()
        moment = now + 0.01 + 2 * dice.random() if at is None else at
        placed_at = START + timedelta(seconds=moment)
        envelope: Envelope[Command] = Envelope(
            id_, TENANT, command.stream, command, placed_at, "people", "", id_, id_, "orderlog/edge"
        )
        sent = Sent(envelope, encode(command))
        self.sent.append(sent)
        again = dice.choice((0, 0, 0, 0, 1, 1, 2, 4))
        if again and not self.faults.count("command repeated", "people"):
            again = 0
        for repeat in range(1 + again):
            later = moment + (dice.choice((0.001, 0.3, 10.0)) * dice.random() if repeat else 0.0)
            self.pending += 1
            self.broker.loop.call_at(later, self._publish, sent)
        return id_

    def _publish(self, sent: Sent) -> None:
        envelope = sent.envelope
        self.pending -= 1
        key = partition_key(envelope.tenant, envelope.stream)
        short = envelope.body.TYPE.rpartition(".")[2]
        self.faults.now = self.broker.loop.time()
        self.faults.note("people", f"send {short} {envelope.stream}", (envelope.stream,))
        message = (key.encode(), sent.payload, wire.headers(envelope), 0)
        self.broker.append(commands_topic(sent.stage), self.lane_of(key), [message])

    def _send_unreadable(self, number: int, at: float) -> None:
        self.unreadable += 1
        self.pending += 1
        headers = [("ce_type", b"oms.inventory.receive_stock"), ("ce_id", b"nonsense")]

        def publish() -> None:
            self.pending -= 1
            lane = number % self.broker.partitions
            self.broker.append(commands_topic("inventory"), lane, [(b"?", b"{}", headers, 0)])

        self.broker.loop.call_at(at, publish)

    def _appended(self, topic: str, partition: int) -> None:
        """Hear what is new on an events topic; repeats, told by their sequence, are not heard again."""
        if not topic.endswith(".events"):
            return
        end = self.broker.end((topic, partition))
        read = self._heard.get((topic, partition), 0)
        self._heard[topic, partition] = end
        for record in self.broker.read((topic, partition), read, end - read):
            headers = dict(record.headers)
            seen = self._heard.get((f"{topic} sequence", partition), 0)
            sequence = int(headers["ce_sequence"])
            if sequence > seen:
                self._heard[f"{topic} sequence", partition] = sequence
                if headers["ce_type"].decode() in _ANSWERED:
                    context = wire.context(record)
                    self._answer(wire.body(context, record.value))

    def _answer(self, event: Contract) -> None:
        match event:
            case FulfillmentReleased():
                self._pick(event)
            case PickConfirmed():
                id_ = event.fulfillment_order_id
                package = Package(package_id=f"{id_}-P1", weight_grams=900)
                pack = ConfirmPack(order_id=event.order_id, fulfillment_order_id=id_, packages=(package,))
                self.send(pack, f"pack {id_}")
            case PackConfirmed():
                id_ = event.fulfillment_order_id
                parcels = tuple(
                    ShippedPackage(package_id=package.package_id, tracking_number=f"T{n}-{id_}"[:60])
                    for n, package in enumerate(event.packages)
                )
                dispatch = DispatchShipment(
                    order_id=event.order_id, fulfillment_order_id=id_, carrier="Post", packages=parcels
                )
                self.send(dispatch, f"dispatch {id_}")
            case ShipmentDispatched():
                self._carry(event)
            case OrderHeld():
                for hold in event.holds:
                    self.send(
                        ReleaseHold(order_id=event.order_id, hold=hold.name),
                        f"release {event.order_id} {hold.name}",
                    )
            case RoutingHeld():
                self._review(event)
            case HoldPlaced():
                self.send(
                    ReleaseHold(order_id=event.order_id, hold=event.hold),
                    f"release {event.order_id} {event.hold} {self._next(event.order_id)}",
                )
            case LinesCancelled():
                for work in event.work:
                    for line in work.lines:
                        self._asked[work.fulfillment_order_id][line.line] -= line.quantity
            case CommandRefused(code="lines_cancelled"):
                self._pick_again(self._picks[event.command_id])
            case ReturnWindowOpened():
                self._return(event)
            case ReturnAuthorised():
                units = tuple(
                    InspectedUnits(
                        line=line.line,
                        quantity=line.quantity,
                        disposition="scrap" if self._dice(event.rma_id).random() < 0.3 else "restock",
                    )
                    for line in event.lines
                )
                self.send(
                    ReceiveReturn(order_id=event.order_id, rma_id=event.rma_id, node="MAN", units=units),
                    f"receive {event.rma_id}",
                )
            case MessageRequested():
                self.send(
                    RecordMessageOutcome(
                        order_id=event.order_id, message_id=event.message_id, outcome="sent"
                    ),
                    f"mail {event.message_id}",
                )

    def _dice(self, id_: str) -> Random:
        return Random(f"{self.seed} {id_}")

    def _pick(self, released: FulfillmentReleased) -> None:
        id_ = released.fulfillment_order_id
        self._asked[id_] = {line.line: line.quantity for line in released.lines}
        dice, picks = self._dice(id_), []
        for line in released.lines:
            short = dice.randint(1, line.quantity) if dice.random() < 0.12 else 0
            reason = "damaged" if dice.random() < 0.4 else "not_found"
            picks.append(
                Pick.model_validate(
                    {
                        "line": line.line,
                        "picked": line.quantity - short,
                        "short": short,
                        "short_reason": reason,
                    }
                )
            )
        confirm = ConfirmPick(order_id=released.order_id, fulfillment_order_id=id_, picks=tuple(picks))
        self._picks[self.send(confirm, f"pick {id_}")] = confirm

    def _pick_again(self, refused: ConfirmPick) -> None:
        """Without what was cancelled meanwhile: what is asked for is all found now."""
        id_ = refused.fulfillment_order_id
        picks = tuple(Pick(line=line, picked=units) for line, units in self._asked[id_].items() if units)
        if picks:
            again = ConfirmPick(order_id=refused.order_id, fulfillment_order_id=id_, picks=picks)
            self._picks[self.send(again, f"pick {id_} of {sum(p.picked for p in picks)}")] = again

    def _review(self, held: RoutingHeld) -> None:
        """Somebody lets it pass, perhaps after a try with other nodes, or cancels the order."""
        of, name = held.order_id, f"{held.order_id} {held.round}"
        dice = self._dice(f"review {name}")
        if dice.random() < 0.3:
            named = (dice.choice(list(NODES)), dice.choice(list(NODES)))
            self.send(ApproveRouting(order_id=of, round=held.round, nodes=named), f"name {name}")
        if dice.random() < 0.1:
            self.send(CancelOrder(order_id=of), f"turn down {name}")
            return
        later = self.broker.loop.time() + dice.choice((0.02, 0.5, 5.0, 60.0)) * (1 + dice.random())
        self.send(ApproveRouting(order_id=of, round=held.round), f"approve {name}", at=later)

    def _next(self, order_id: str) -> int:
        """How many holds were placed on the order by hand so far, this one counted."""
        self._heard[f"holds {order_id}", 0] = self._heard.get((f"holds {order_id}", 0), 0) + 1
        return self._heard[f"holds {order_id}", 0]

    def _carry(self, shipped: ShipmentDispatched) -> None:
        status = "lost" if self._dice(shipped.shipment_id).random() < 0.12 else "delivered"
        self.send(
            RecordCarrierEvent.model_validate(
                {
                    "order_id": shipped.order_id,
                    "shipment_id": shipped.shipment_id,
                    "status": status,
                    "occurred_at": START,
                }
            ),
            f"carry {shipped.shipment_id}",
        )

    def _return(self, opened: ReturnWindowOpened) -> None:
        if self._dice(f"return {opened.shipment_id}").random() < 0.7:
            line = ReturnLine(line=opened.lines[0].line, quantity=1, reason="too small")
            self.send(
                AuthoriseReturn(order_id=opened.order_id, lines=(line,)), f"return {opened.shipment_id}"
            )


def other_delivery(receipt: ReceiveStock, sku: str) -> ReceiveStock:
    """Another delivery, which somebody sends under the same id."""
    return ReceiveStock(sku=sku, node=receipt.node, quantity=receipt.quantity + 1)


_ANSWERED = {
    event.TYPE
    for event in (
        FulfillmentReleased,
        PickConfirmed,
        PackConfirmed,
        ShipmentDispatched,
        OrderHeld,
        RoutingHeld,
        HoldPlaced,
        LinesCancelled,
        CommandRefused,
        ReturnWindowOpened,
        ReturnAuthorised,
        MessageRequested,
    )
}
