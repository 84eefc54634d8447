"""Who is around fulfillment, as plainly as their contracts say: intake, inventory and routing of one order.

Each hears of the others through topics that keep their own order and no other, so that each may be late.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import timedelta

from hypothesis import strategies as st

from libs.events.amendments import AllocationOutdated, OrderAmended, OrderAmendmentRequested
from libs.events.backorders import BackorderRefused, NotAvailable
from libs.events.changes import (
    AllocationDeclined,
    HoldDeclined,
    LineCancellationDeclined,
    LineCancellationRequested,
    LinesCancelled,
)
from libs.events.contract import Event
from libs.events.fulfillment import (
    CancellationDeclined,
    CarrierCharge,
    CarrierStatus,
    ConfirmPack,
    ConfirmPick,
    DispatchShipment,
    FulfillmentCancelled,
    FulfillmentCompleted,
    Pick,
    PickShorted,
    RecordCarrierEvent,
    ShipmentDispatched,
    ShippedPackage,
    ShortLine,
)
from libs.events.inventory import StockAllocated
from libs.events.order import (
    Destination,
    LineQuantity,
    NodeLines,
    PartLine,
    Reason,
    Sealed,
    UnpackedLine,
    in_parts,
)
from libs.events.policy import BackorderLapsed
from libs.events.routing import OrderUnroutable
from services.fulfillment.state import State
from tests.spec import NOON

ORDER = "order-1"
PLACES = (Destination(country="GB"), Destination(country="IE"))
CONTACT = Sealed(subject="c:7", nonce="A" * 16, ciphertext="A" * 24)
Lines = tuple[LineQuantity, ...]
Report = ConfirmPick | ConfirmPack | DispatchShipment | RecordCarrierEvent


@dataclass(frozen=True)
class Bought:
    """What was ordered, and how inventory unpacks it."""

    lines: Lines
    bundles: tuple[UnpackedLine, ...]

    @property
    def parts(self) -> Lines:
        """All of it by the lines that are shipped."""
        return in_parts(self.bundles, self.lines)


@st.composite
def bought(draw: st.DrawFn) -> Bought:
    lines, bundles = list[LineQuantity](), list[UnpackedLine]()
    for number in range(1, draw(st.sampled_from((2, 3, 1))) + 1):
        boxed, quantity = draw(st.booleans()), draw(st.sampled_from((2, 3, 1)))
        lines.append(LineQuantity(line=number, sku=f"{'BOX' if boxed else 'SKU'}{number}", quantity=quantity))
        if boxed:
            each = draw(st.lists(st.integers(1, 2), min_size=1, max_size=2))
            parts = tuple(
                PartLine(line=100 * number + n, sku=f"P{n}", quantity=units * quantity)
                for n, units in enumerate(each)
            )
            bundles.append(
                UnpackedLine(line=number, sku=lines[-1].sku, quantity=quantity, bundle_version=1, parts=parts)
            )
    return Bought(tuple(lines), tuple(bundles))


def counted(*groups: Iterable[LineQuantity | ShortLine]) -> Counter[int]:
    total = Counter[int]()
    for group in groups:
        for units in group:
            total[units.line] += units.quantity
    return total


@dataclass
class Intake:
    """What support may ask for: no more of a line than is left, and nothing of an order at its end."""

    ordered: Counter[int]
    cancelled: Counter[int] = field(default_factory=Counter)
    holds: set[str] = field(default_factory=set)
    paused: bool = False
    cancelling: bool = False
    ends: list[str] = field(default_factory=list)
    asked: int = 0

    def hear(self, event: Event) -> None:
        match event:
            case LineCancellationDeclined():
                for kept in event.lines:
                    self.cancelled[kept.line] -= kept.quantity
                    assert self.cancelled[kept.line] >= 0, "more was declined than was asked for"
            case CancellationDeclined():
                self.cancelling = False
            case HoldDeclined():
                self.holds.discard(event.hold)
                self.paused = self.paused and bool(self.holds)
            case FulfillmentCompleted():
                self.ends.append(event.outcome)
            case _:
                pass

    @property
    def open(self) -> bool:
        return not self.ends and not self.cancelling


@dataclass
class Inventory:
    """Units of the order that have no node (`pending`) or have one, by node and line."""

    what: Bought
    pending: Counter[int] = field(default_factory=Counter)
    allocated: Counter[tuple[str, int]] = field(default_factory=Counter)
    round: int = 0
    known: bool = False
    closed: bool = False
    cut: Counter[int] = field(default_factory=Counter)
    """Cancelled before the order was heard of."""
    asks: bool = False
    """Routing is asked about what is pending, and what was said of earlier rounds is void."""
    place: Destination = PLACES[0]

    def accept(self) -> None:
        self.known = True
        if not self.closed:
            cut = counted(in_parts(self.what.bundles, self.lines(self.cut)))
            self.pending = counted(self.what.parts) - cut
            self.anew()

    def anew(self) -> None:
        self.asks = bool(+self.pending) and not self.closed
        self.round += self.asks

    def hear(self, event: Event) -> None:
        if self.closed:
            return
        match event:
            case PickShorted():
                for short in event.lines:
                    self.take(event.node, short.line, short.quantity)
                    self.pending[short.line] += short.quantity
                self.anew()
            case ShipmentDispatched():
                for units in event.lines:
                    self.take(event.node, units.line, units.quantity)
            case FulfillmentCancelled(cause="cancelled"):
                self.pending, self.allocated, self.closed, self.asks = Counter(), Counter(), True, False
            case FulfillmentCancelled():
                self.give_up(counted(event.lines))
            case LinesCancelled():
                stopped = counted(*(work.lines for work in event.work))
                for work in event.work:
                    for units in work.lines:
                        self.take(work.node, units.line, units.quantity)
                gone = counted(event.lines) - stopped
                if not self.known:
                    self.cut += gone
                else:
                    self.give_up(counted(in_parts(self.what.bundles, self.lines(gone))))
            case AllocationDeclined() | AllocationOutdated():
                for at_node in event.nodes:
                    for units in at_node.lines:
                        self.take(at_node.node, units.line, units.quantity)
                        if isinstance(event, AllocationOutdated):
                            self.pending[units.line] += units.quantity
                if isinstance(event, AllocationOutdated):
                    self.anew()
            case OrderAmended():
                self.place = event.destination or self.place
                self.anew()
            case _:
                pass

    def give_up(self, units: Counter[int]) -> None:
        given = self.pending & units
        self.pending -= given
        if given:
            self.anew()

    def take(self, node: str, line: int, units: int) -> None:
        self.allocated[node, line] -= units
        assert self.allocated[node, line] >= 0, f"{node} gives up units of line {line} that it does not have"

    # What becomes of a round

    def allocate(self, now: Counter[int], node_of: Callable[[int, int], str]) -> StockAllocated:
        """All of `now` gets nodes; the rest waits for another round."""
        nodes = dict[str, Counter[int]]()
        for line, units in now.items():
            for n in range(units):
                nodes.setdefault(node_of(line, n), Counter())[line] += 1
        for node, lines in nodes.items():
            for line, units in lines.items():
                self.allocated[node, line] += units
        self.pending -= now
        event = StockAllocated(
            order_id=ORDER,
            round=self.round,
            nodes=tuple(NodeLines(node=node, lines=self.lines(lines)) for node, lines in nodes.items()),
            destination=self.place,
            later=self.lines(self.pending) or None,
            bundles=self.what.bundles or None,
            movements=(),
        )
        self.anew()
        return event

    def unroutable(self, now: Counter[int]) -> OrderUnroutable:
        self.asks = False
        return OrderUnroutable(
            order_id=ORDER,
            round=self.round,
            lines=self.lines(now),
            reasons=(Reason(code="no_node", message="No node ships there."),),
            later=self.lines(self.pending - now) or None,
            candidates=(),
            rule_version=1,
            nodes_version=1,
            bundles=self.what.bundles or None,
            destination=self.place,
        )

    def lapse(self, now: Counter[int]) -> BackorderLapsed:
        self.asks = False
        return BackorderLapsed(
            order_id=ORDER,
            lines=self.lines(now),
            rest=self.lines(self.pending - now),
            since=NOON,
            wait_days=14,
            bundles=self.what.bundles or None,
        )

    def refuse(self, now: Counter[int]) -> BackorderRefused:
        """Lines whole, as the order is accepted; what is refused is not pending any more."""
        refused = self.lines(now)
        why = NotAvailable(sku=refused[0].sku, lacking=1, reason="backorder_full", terms_version=1)
        self.pending -= now
        self.anew()
        return BackorderRefused(
            order_id=ORDER,
            lines=refused,
            why=(why,),
            rest=self.lines(self.pending),
            bundles=self.what.bundles or None,
        )

    def lines(self, units: Counter[int]) -> Lines:
        named = {line.line: line for line in (*self.what.lines, *self.what.parts)}
        return tuple(
            LineQuantity(line=line, sku=named[line].sku, quantity=quantity)
            for line, quantity in sorted(units.items())
            if quantity > 0
        )


Topic = deque[Event]


def line_request(intake: Intake, what: Bought, units: Counter[int]) -> LineCancellationRequested:
    intake.asked += 1
    intake.cancelled += units
    return LineCancellationRequested(
        order_id=ORDER,
        cancellation_id=f"{ORDER}-C{intake.asked}",
        lines=tuple(
            line.model_copy(update={"quantity": units[line.line]}) for line in what.lines if units[line.line]
        ),
        ordered=what.lines,
    )


def amendment(intake: Intake, place: Destination) -> OrderAmendmentRequested:
    intake.asked += 1
    return OrderAmendmentRequested(
        order_id=ORDER, amendment_id=f"{ORDER}-A{intake.asked}", destination=place, contact=CONTACT
    )


def dispatched(of: str, ids: Iterable[str], asks: int | None = None) -> DispatchShipment:
    """These parcels of a fulfillment order left; the carrier asks so much for them, where it is known."""
    packages = tuple(ShippedPackage(package_id=id_, tracking_number=f"T{id_}") for id_ in ids)
    charge = None if asks is None else CarrierCharge(amount_minor=asks, currency="GBP")
    return DispatchShipment(
        order_id=ORDER, fulfillment_order_id=of, carrier="dpd", packages=packages, charge=charge
    )


def picked(of: str, asked: Counter[int], short: int = 0, wrong: int = 0) -> ConfirmPick | None:
    """A pick that found up to `short` units too few of each line; `wrong` are units that nobody asked for."""
    picks = tuple(
        Pick(line=line, picked=units - min(short, units), short=min(short, units) + wrong)
        for line, units in asked.items()
    )
    return ConfirmPick(order_id=ORDER, fulfillment_order_id=of, picks=picks) if picks else None


def scanned(shipment_id: str, status: CarrierStatus, hours: int = 0) -> RecordCarrierEvent:
    at = NOON + timedelta(hours=hours)
    return RecordCarrierEvent(order_id=ORDER, shipment_id=shipment_id, status=status, occurred_at=at)


def units_at_nodes(state: State) -> Counter[tuple[str, int]]:
    """Units by node and line that a node is to pick, or has and has not let go."""
    found = Counter[tuple[str, int]]()
    for one in state.work.values():
        for units in one.units if one.step in ("released", "picked", "packed") else ():
            found[one.node, units.line] += units.quantity
    return found


def tells_no_more(report: Report, before: Report) -> bool:
    """Whether a report says nothing that another has not said. Some scans come once, at whatever time."""
    if isinstance(report, RecordCarrierEvent) and isinstance(before, RecordCarrierEvent):
        same = (report.shipment_id, report.status) == (before.shipment_id, before.status)
        once = report.status in ("picked_up", "delivered", "lost")
        return same and (once or report.occurred_at == before.occurred_at)
    if (
        isinstance(report, DispatchShipment)
        and isinstance(before, DispatchShipment)
        and report.charge is None
    ):
        return report == before.model_copy(update={"charge": None})
    return report == before
