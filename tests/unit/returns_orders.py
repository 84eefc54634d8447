"""Orders that may come back: of plain lines and bundles, with any total; and a stage that has one."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import count

from hypothesis import strategies as st

from libs.events.contract import Contract, Event
from libs.events.intake import OrderAccepted, PaymentState
from libs.events.order import (
    Charge,
    Destination,
    LineQuantity,
    OrderLine,
    PartLine,
    UnpackedLine,
)
from libs.events.refusal import CommandRefused
from libs.events.returns import RefundRequested, ReturnedUnits
from services.returns import domain
from services.returns.state import State
from tests.spec import NOON, Spec, given

ORDER = "order-1"
_PAYMENTS: tuple[PaymentState, ...] = ("paid", "paid", "pending", "on_account")


@dataclass(frozen=True)
class Bought:
    """What was ordered, and how inventory will unpack it."""

    terms: OrderAccepted
    bundles: tuple[UnpackedLine, ...]
    numbered: frozenset[str]
    """SKUs whose units have serial numbers."""

    @property
    def prices(self) -> dict[int, int]:
        return {line.line: line.unit_price_minor for line in self.terms.lines}

    @property
    def goods_minor(self) -> int:
        return sum(line.unit_price_minor * line.quantity for line in self.terms.lines)

    @property
    def total_minor(self) -> int:
        charges = sum(charge.amount_minor for charge in self.terms.charges)
        said = self.terms.total_minor
        return self.goods_minor + charges if said is None else said

    def worth(self, line: int) -> Fraction:
        """Of one unit, by its weight where it is a part of a bundle."""
        for bundle in self.bundles:
            weights = sum(part.quantity * part.price_weight for part in bundle.parts)
            for part in bundle.parts:
                if part.line == line:
                    return Fraction(self.prices[bundle.line] * bundle.quantity * part.price_weight, weights)
        return Fraction(self.prices[line])


@st.composite
def bought(draw: st.DrawFn) -> Bought:
    lines, bundles, numbers = list[OrderLine](), list[UnpackedLine](), count(100)
    for number in range(1, draw(st.integers(1, 3)) + 1):
        quantity, price = draw(st.integers(1, 3)), draw(st.integers(0, 350))
        boxed = draw(st.booleans())
        sku = f"BOX{number}" if boxed else draw(st.sampled_from(("A", "B")))
        lines.append(OrderLine(line=number, sku=sku, quantity=quantity, unit_price_minor=price))
        if boxed:
            parts = _parts(draw, quantity, numbers)
            bundles.append(
                UnpackedLine(line=number, sku=sku, quantity=quantity, bundle_version=1, parts=parts)
            )
    goods = sum(line.unit_price_minor * line.quantity for line in lines)
    charge = draw(st.sampled_from((0, 500, -50)))
    total = max(0, goods + charge + draw(st.sampled_from((-70, 70)))) if draw(st.booleans()) else None
    terms = OrderAccepted(
        order_id=ORDER,
        channel="web",
        external_id="1",
        placed_at=NOON,
        currency="GBP",
        lines=tuple(lines),
        charges=(Charge(kind="postage", amount_minor=charge),) if charge else (),
        total_minor=total,
        payment=draw(st.sampled_from(_PAYMENTS)),
        destination=Destination(country="GB"),
    )
    return Bought(terms, tuple(bundles), frozenset(draw(st.sampled_from(("", "A", "ABC")))))


def _parts(draw: st.DrawFn, boxes: int, numbers: Iterator[int]) -> tuple[PartLine, ...]:
    """Lines of a bundle's parts: of one of them there may be several."""
    parts = list[PartLine]()
    for sku in draw(st.lists(st.sampled_from(("A", "B", "C")), min_size=1, max_size=3, unique=True)):
        units, weight = boxes * draw(st.integers(1, 2)), draw(st.integers(1, 3))
        first = draw(st.integers(1, units))
        for quantity in filter(None, (first, units - first)):
            number = next(numbers)
            parts.append(PartLine(line=number, sku=sku, quantity=quantity, price_weight=weight))
    return tuple(parts)


@dataclass
class Account:
    """One stage's life, and the money that it asked for."""

    life: Spec = field(default_factory=lambda: given(domain))
    refunds: dict[str, RefundRequested] = field(default_factory=dict)

    def take(self, body: Contract) -> list[Event]:
        events = self.life.when(body).events
        for event in events:
            if isinstance(event, RefundRequested):
                assert event.refund_id not in self.refunds, "the same refund was asked for twice"
                self.refunds[event.refund_id] = event
        return events

    @property
    def refunded_minor(self) -> int:
        return sum(event.amount_minor for event in self.refunds.values())

    @property
    def state(self) -> State:
        state = self.life.parts[ORDER]
        assert isinstance(state, State)
        return state


def counted(lines: Iterable[LineQuantity | ReturnedUnits]) -> Counter[int]:
    total = Counter[int]()
    for units in lines:
        total[units.line] += units.quantity
    return total


def unsigned(events: list[Event]) -> list[Event]:
    """Without the id of the command that was refused."""
    return [
        event.model_copy(update={"command_id": None}) if isinstance(event, CommandRefused) else event
        for event in events
    ]
