"""How the console tells of dates: in sentences, and as the promise of an order."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.events.contract import Event
from libs.events.dates import BackorderDated, Due
from libs.events.fulfillment import (
    CarrierEventRecorded,
    CarrierStatus,
    FulfillmentCompleted,
    ShipmentDelivered,
    ShipmentDispatched,
    ShippedPackage,
)
from libs.events.order import Reason
from libs.events.places import Delivery
from libs.events.promise import PromiseConfirmed
from libs.events.routing import OrderRouted
from services.console.facts import INITIAL, State
from services.console.orders import evolve
from services.console.promises import due, missed, order_promise
from services.console.sentences import sentence
from services.console.stored import read_state, write_state
from tests.console_parts import T0, envelopes, units

ON = datetime(2026, 3, 4, tzinfo=UTC)
DELIVERY = Delivery(
    service="standard",
    node="LON",
    ship_by=date(2026, 3, 4),
    deliver_by=date(2026, 3, 6),
    time_zone="Europe/London",
    nodes_version=1,
    why=(Reason(code="transit", message="It takes two days."),),
)
UNKNOWN = DELIVERY.model_copy(update={"deliver_by": None})
DUE = (Due(sku="A", quantity=2, supply_id="PO-1", usable_at=ON),)


def by(day: int) -> Delivery:
    return DELIVERY.model_copy(update={"deliver_by": date(2026, 3, day)})


def taken(delivery: Delivery | None) -> PromiseConfirmed:
    return PromiseConfirmed(order_id="o1", promise_id="b1", position=2, delivery=delivery, movements=())


def dated(delivery: Delivery) -> BackorderDated:
    return BackorderDated(order_id="o1", skus=DUE, usable_at=ON, promised=delivery)


def plan(round_: int, delivery: Delivery | None) -> OrderRouted:
    terms: dict[str, Any] = {"candidates": (), "rule_version": 1, "nodes_version": 1}
    return OrderRouted.model_construct(order_id="o1", round=round_, nodes=(), promised=delivery, **terms)


def known(*events: Event) -> State:
    """The order after these events, as it is read back."""
    state = INITIAL
    for envelope in envelopes("any", events):
        state = evolve(state, envelope)
    return read_state(write_state(state).facts())


def delivered(day: int) -> tuple[Event, ...]:
    work: dict[str, Any] = {"order_id": "o1", "shipment_id": "S1", "lines": (units(1, 2),)}
    left = ShipmentDispatched(
        **work,
        fulfillment_order_id="F1",
        node="LON",
        carrier="royal",
        packages=(ShippedPackage(package_id="P1", tracking_number="RM1"),),
    )
    there = ShipmentDelivered(**work, occurred_at=datetime(2026, 3, day, 18, tzinfo=UTC))
    return left, there, FulfillmentCompleted(order_id="o1", outcome="delivered", delivered=(units(1, 2),))


def scan(status: CarrierStatus) -> CarrierEventRecorded:
    at = T0 if status == "exception" else T0 + timedelta(hours=1)
    return CarrierEventRecorded(order_id="o1", shipment_id="S1", status=status, occurred_at=at)


def test_a_date_that_was_promised_is_told_and_one_that_is_not_known_is_not() -> None:
    assert sentence(taken(DELIVERY)).endswith("Leaves by 2026-03-04, delivered by 2026-03-06.")
    assert "by 2026" not in sentence(taken(UNKNOWN))


def test_who_waits_reads_until_when_and_that_nobody_knows_any_more() -> None:
    assert sentence(dated(DELIVERY)).startswith("2 of A will be there on 2026-03-04. Leaves by 2026-03-04")
    lost = BackorderDated(order_id="o1", skus=(Due(sku="A", quantity=2),), told_before=ON)
    said = "Nobody knows any more when 2 of A will be there (2026-03-04 was told before)."
    assert sentence(lost) == said


@pytest.mark.parametrize(
    ("events", "promised", "expected", "standing"),
    [
        ((plan(1, by(6)),), 6, 6, "open"),
        ((taken(by(5)), plan(1, by(6))), 5, 6, "at_risk"),
        ((plan(1, by(6)), taken(by(7))), 7, 6, "open"),
        ((plan(1, by(6)), plan(2, by(9))), 6, 9, "at_risk"),
        ((plan(1, by(6)), plan(2, None)), 6, 6, "open"),
        ((dated(by(8)),), 8, 8, "open"),
        ((dated(by(8)), dated(by(12))), 8, 12, "at_risk"),
        ((plan(1, by(6)), *delivered(6)), 6, 6, "kept"),
        ((plan(1, by(6)), *delivered(7)), 6, 6, "missed"),
    ],
)
def test_the_first_date_told_is_the_promise_and_the_latest_is_to_be_expected(
    events: tuple[Event, ...], promised: int, expected: int, standing: str
) -> None:
    found = order_promise(known(*events))
    assert found is not None
    days = (found.promised.deliver_by.day, found.expected.deliver_by.day)
    assert (*days, found.standing) == (promised, expected, standing)


@given(
    day=st.dates(date(2026, 1, 1), date(2027, 12, 31)),
    zone=st.sampled_from(["Europe/London", "Pacific/Auckland", "America/Havana", "Asia/Beirut", "No/Where"]),
    after=st.timedeltas(timedelta(days=-2), timedelta(days=2)),
)
def test_what_lists_count_as_late_is_what_the_order_itself_says(
    day: date, zone: str, after: timedelta
) -> None:
    told = DELIVERY.model_copy(update={"deliver_by": day, "ship_by": day, "time_zone": zone})
    there = datetime(day.year, day.month, day.day, 23, 59, tzinfo=UTC) + after
    left, arrived, done = delivered(6)
    arrived = arrived.model_copy(update={"occurred_at": there})
    state = known(plan(1, told), left, arrived, done)
    found, promise = due(state, "delivered"), order_promise(state)
    assert found is not None
    assert promise is not None
    assert found.risk_at is None
    assert (there < found.ends_at) == (promise.standing == "kept")
    assert missed(state) == (promise.standing == "missed")


@pytest.mark.parametrize(
    ("events", "status", "at_risk"),
    [
        ((plan(1, by(6)),), "picking", datetime(2026, 3, 5, tzinfo=UTC)),
        ((plan(1, by(6)), delivered(6)[0]), "shipped", datetime(2026, 3, 7, tzinfo=UTC)),
        ((plan(1, by(6)), delivered(6)[0], scan("exception")), "in_transit", T0),
        ((plan(1, by(6)), delivered(6)[0], scan("exception"), scan("in_transit")), "in_transit", None),
        ((plan(1, by(6)), plan(2, by(9))), "routed", T0),
        ((plan(1, by(6)), *delivered(6)), "delivered", None),
    ],
)
def test_when_a_promise_is_at_risk(events: tuple[Event, ...], status: str, at_risk: datetime | None) -> None:
    found = due(known(*events), status)
    assert found is not None
    assert found.ends_at == datetime(2026, 3, 7, tzinfo=UTC)
    if at_risk == T0:
        assert found.risk_at is not None
        assert found.risk_at < T0 + timedelta(hours=1)
    elif status == "in_transit":
        assert found.risk_at == found.ends_at
    else:
        assert found.risk_at == at_risk


def test_an_order_that_was_told_no_date_has_no_promise() -> None:
    state = known(taken(None), taken(UNKNOWN), plan(1, None), dated(UNKNOWN))
    assert order_promise(state) is None
    assert due(state, "routed") is None
