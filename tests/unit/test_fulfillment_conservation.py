"""Whatever happens in whatever order, an order's units are conserved and it is completed exactly once."""

from collections import Counter
from dataclasses import dataclass, field
from random import Random

from hypothesis import event, given, settings
from hypothesis import strategies as st

from libs.events.contract import Contract
from libs.events.fulfillment import (
    CarrierStatus,
    ConfirmPack,
    ConfirmPick,
    DispatchShipment,
    FulfillmentCancelled,
    FulfillmentCompleted,
    FulfillmentReleased,
    Package,
    Pick,
    PickShorted,
    RecordCarrierEvent,
    ShipmentDelivered,
    ShipmentLost,
    ShippedPackage,
)
from libs.events.intake import OrderCancellationRequested
from libs.events.inventory import StockAllocated
from libs.events.order import Destination, LineQuantity, NodeLines, Reason
from libs.events.refusal import CommandRefused
from libs.events.routing import OrderUnroutable
from services.fulfillment import domain
from services.fulfillment.state import INITIAL, State
from tests import spec

ORDER = "order-1"
NODES = ("north", "south", "west")


def lines_of(units: Counter[int]) -> tuple[LineQuantity, ...]:
    return tuple(
        LineQuantity(line=line, sku=f"sku-{line}", quantity=quantity)
        for line, quantity in sorted(units.items())
        if quantity > 0
    )


def counted(lines: tuple[LineQuantity, ...]) -> Counter[int]:
    total: Counter[int] = Counter()
    for units in lines:
        total[units.line] += units.quantity
    return total


@dataclass
class World:
    """Inventory, routing, warehouses, a carrier and a customer around one order, driven by drawn choices."""

    chance: Random
    ordered: Counter[int]
    life: spec.Spec = field(default_factory=lambda: spec.given(domain))
    round: int = 0
    to_source: Counter[int] = field(default_factory=Counter)
    """Units that inventory and routing are working on."""
    asked: dict[str, tuple[LineQuantity, ...]] = field(default_factory=dict)
    settled: dict[str, Counter[int]] = field(
        default_factory=lambda: {"delivered": Counter(), "lost": Counter(), "cancelled": Counter()}
    )
    completed: list[FulfillmentCompleted] = field(default_factory=list)
    shipments: int = 0

    def say(self, body: Contract) -> bool:
        """One input; the events it leads to are booked here, independently of the stage. False: refused."""
        answer = self.life.when(body)
        for happened in answer.events:
            match happened:
                case CommandRefused():
                    return False
                case FulfillmentReleased():
                    self.asked[happened.fulfillment_order_id] = happened.lines
                case PickShorted():
                    for short in happened.lines:
                        self.to_source[short.line] += short.quantity
                case ShipmentDelivered():
                    self.settled["delivered"] += counted(happened.lines)
                case ShipmentLost():
                    self.settled["lost"] += counted(happened.lines)
                case FulfillmentCancelled():
                    self.settled["cancelled"] += counted(happened.lines)
                case FulfillmentCompleted():
                    self.completed.append(happened)
                case _:
                    pass
        for account in self.state.accounts.values():
            places = account.in_work + account.awaiting + account.delivered + account.lost
            assert account.ordered == places + account.cancelled + account.unroutable
            assert account.ordered == self.ordered[account.line]
        assert len(self.completed) <= 1
        return True

    @property
    def state(self) -> State:
        state = self.life.parts.get(ORDER, INITIAL)
        assert isinstance(state, State)
        return state

    def source(self) -> None:
        """Inventory allocates everything it was asked for, each line perhaps split over two nodes."""
        if not self.to_source.total():
            return
        self.round += 1
        plan: dict[str, Counter[int]] = {}
        for line, quantity in self.to_source.items():
            first = self.chance.randint(0, quantity)
            for part in (first, quantity - first):
                node = self.chance.choice(NODES)
                plan.setdefault(node, Counter())[line] += part
        nodes = tuple(
            NodeLines(node=node, lines=lines) for node, part in plan.items() if (lines := lines_of(part))
        )
        to = Destination(country="GB")
        self.to_source = Counter()
        self.say(StockAllocated(order_id=ORDER, round=self.round, nodes=nodes, destination=to, movements=()))

    def refuse_route(self) -> None:
        if not self.to_source.total():
            return
        self.round += 1
        lines, self.to_source = lines_of(self.to_source), Counter()
        why = (Reason(code="no_node", message="no node has it"),)
        self.say(
            OrderUnroutable(
                order_id=ORDER,
                round=self.round,
                lines=lines,
                reasons=why,
                candidates=(),
                rule_version=1,
                nodes_version=1,
            )
        )

    def cancel(self) -> None:
        self.say(OrderCancellationRequested(order_id=ORDER, lines=lines_of(self.ordered)))

    def pick(self, of: str, *, short: bool) -> None:
        picks = []
        for units in self.asked[of]:
            missing = self.chance.randint(0, units.quantity) if short else 0
            picks.append(Pick(line=units.line, picked=units.quantity - missing, short=missing))
        self.say(ConfirmPick(order_id=ORDER, fulfillment_order_id=of, picks=tuple(picks)))

    def pack(self, of: str) -> None:
        packages = (Package(package_id=f"P-{of}", weight_grams=100),)
        self.say(ConfirmPack(order_id=ORDER, fulfillment_order_id=of, packages=packages))

    def dispatch(self, of: str) -> None:
        parcels = (ShippedPackage(package_id=f"P-{of}", tracking_number="T1"),)
        self.say(DispatchShipment(order_id=ORDER, fulfillment_order_id=of, carrier="dpd", packages=parcels))

    def scan(self, shipment: int, status: CarrierStatus) -> None:
        shipment_id = f"{ORDER}-S{shipment}"
        self.say(
            RecordCarrierEvent(order_id=ORDER, shipment_id=shipment_id, status=status, occurred_at=spec.NOON)
        )

    def something(self) -> None:
        """Any of them, at any time, fitting or not."""
        rare = self.chance.choice(["unroutable", "cancel", "source"])
        steps = ["pick"] * 3 + ["pack"] * 3 + ["dispatch"] * 3 + ["scan"] * 4 + ["source"] * 2 + [rare]
        what = self.chance.choice(steps if self.asked else ["source"] * 8 + [rare, "pack", "scan"])
        of = self.chance.choice([*self.asked] or [f"{ORDER}-F1"])
        match what:
            case "source":
                self.source()
            case "unroutable":
                self.refuse_route()
            case "cancel":
                self.cancel()
            case "pick" if of in self.asked:
                self.pick(of, short=self.chance.random() < 0.5)
            case "pack":
                self.pack(of)
            case "dispatch":
                self.dispatch(of)
            case _:
                statuses: tuple[CarrierStatus, ...] = ("picked_up", "in_transit", "delivered", "lost")
                self.scan(self.chance.randint(1, 3), self.chance.choice(statuses))

    def finish(self) -> None:
        """From wherever it is, everything goes well to the end."""
        self.source()
        for of in self.asked:
            self.pick(of, short=False)
            self.pack(of)
            self.dispatch(of)
        for shipment in range(1, len(self.asked) + 1):
            self.scan(shipment, "delivered")


@settings(max_examples=120, deadline=None)
@given(seed=st.integers(0, 2**32), ordered=st.lists(st.integers(1, 4), min_size=1, max_size=3))
def test_units_are_conserved_and_the_order_completes_once(seed: int, ordered: list[int]) -> None:
    chance = Random(seed)
    lines = Counter(dict(enumerate(ordered, start=1)))
    world = World(chance, lines, to_source=lines.copy())
    for _ in range(chance.randint(0, 45)):
        world.something()
    world.finish()

    [completed] = world.completed
    event(completed.outcome)
    assert counted(completed.delivered) == world.settled["delivered"]
    assert counted(completed.lost) == world.settled["lost"]
    gone = counted(completed.cancelled) + counted(completed.unroutable)
    assert gone == world.settled["cancelled"]
    assert counted(completed.delivered) + counted(completed.lost) + gone == lines
