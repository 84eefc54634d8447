"""Lives of orders that were promised for a day, and by what they say themselves whether they are late."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from libs.events.fulfillment import CarrierEventRecorded
from libs.events.order import Reason
from libs.events.places import Delivery
from libs.events.routing import OrderRouted
from tests.console_lives import Life, delivered
from tests.console_parts import at

Told = tuple[str, Mapping[str, Any], datetime]
"""An event of an order: its type without the stage, its payload, and when."""


def dated(order_id: str, by: date, zone: str = "Europe/London", leaves: date | None = None) -> Life:
    """Delivered on 2 March 2026, 12:20 UTC, and planned for a day."""
    life = delivered(order_id)
    [plan] = life["routing"]
    assert isinstance(plan, OrderRouted)
    return {**life, "routing": [plan.model_copy(update={"promised": delivery(by, zone, leaves)})]}


def delivery(by: date, zone: str = "Europe/London", leaves: date | None = None) -> Delivery:
    """A date as a plan states it; without a day on which it leaves, two days before."""
    return Delivery(
        service="standard",
        node="LON",
        ship_by=leaves or by - timedelta(days=2),
        deliver_by=by,
        time_zone=zone,
        nodes_version=1,
        why=(Reason(code="transit", message="It takes two days."),),
    )


def cut(life: Life, upto: int) -> Life:
    """Before it is closed: so many of fulfillment's events, nothing that follows from later ones."""
    return {
        **{stage: list(life[stage])[:1] for stage in ("intake", "routing")},
        "inventory": list(life["inventory"])[:2],
        "fulfillment": list(life["fulfillment"])[:upto],
    }


def trouble(life: Life, order_id: str) -> Life:
    """The carrier reports it, last of all."""
    scan = CarrierEventRecorded(
        order_id=order_id, shipment_id=f"{order_id}-S1", status="exception", occurred_at=at(120), note="Wet."
    )
    return {**life, "fulfillment": [*life["fulfillment"], scan]}


@dataclass
class Promised:
    """What the events of one order say of its date. Days are as told: the first, and the latest."""

    basket: Mapping[str, Any] | None = None
    waited: list[Mapping[str, Any]] = field(default_factory=list)
    plans: list[Mapping[str, Any]] = field(default_factory=list)
    waits: bool = False
    left: set[str] = field(default_factory=set)
    dispatched: set[str] = field(default_factory=set)
    troubled: dict[str, bool] = field(default_factory=dict)
    delivered_at: datetime | None = None
    over: bool = False

    @property
    def dates(self) -> tuple[Mapping[str, Any], Mapping[str, Any]] | None:
        told = [*([self.basket] if self.basket else self.waited[:1]), *self.plans]
        told += self.waited[-1:] if self.waits else []
        return (told[0], told[-1]) if told else None

    @property
    def ends_at(self) -> datetime:
        assert self.dates is not None
        first, last = self.dates
        return midnight_after(first["deliver_by"], last["time_zone"])

    def late(self, now: datetime) -> bool:
        """An open one whose day is over."""
        return self.dates is not None and not self.over and now >= self.ends_at

    def at_risk(self, now: datetime) -> bool:
        """One that is not late, and will be unless something changes."""
        if self.dates is None or self.over or self.late(now):
            return False
        first, last = self.dates
        if date.fromisoformat(last["deliver_by"]) > date.fromisoformat(first["deliver_by"]):
            return True
        here = not self.dispatched or self.dispatched - self.left
        missed = bool(here) and now >= midnight_after(last["ship_by"], last["time_zone"])
        return missed or any(self.troubled.values())


def promised(events: Iterable[tuple[str, Told]]) -> dict[str, Promised]:
    """By order, from (order, event): those of one stage in order, stages one after the other."""
    found: dict[str, Promised] = defaultdict(Promised)
    for order, (what, data, when) in events:
        _take(found[order], what, data, when)
    return found


def _take(one: Promised, what: str, data: Mapping[str, Any], when: datetime) -> None:
    told = data.get("delivery") or data.get("promised")
    told = told if told and told.get("deliver_by") else None
    shipment = str(data.get("shipment_id"))
    match what:
        case "promise_confirmed":
            one.basket = told or one.basket
        case "backorder_dated":
            one.waited, one.waits = [*one.waited, told] if told else one.waited, told is not None
        case "stock_reserved" | "stock_released":
            one.waits = False
        case "order_routed" if told:
            one.plans.append(told)
        case "fulfillment_released":
            one.dispatched.add(str(data["fulfillment_order_id"]))
        case "shipment_dispatched":
            one.left.add(str(data["fulfillment_order_id"]))
        case "carrier_event_recorded":
            one.troubled[shipment] = data["status"] == "exception"
        case "shipment_delivered" | "shipment_lost":
            one.troubled[shipment] = False
            if what == "shipment_delivered":
                there = datetime.fromisoformat(str(data["occurred_at"])).astimezone(UTC)
                one.delivered_at = max(there, one.delivered_at or there)
        case "fulfillment_completed" | "order_closed" | "order_rejected":
            one.over = True


def midnight_after(day: str, zone: str) -> datetime:
    """The end of a day there."""
    following = date.fromisoformat(day) + timedelta(days=1)
    return datetime(following.year, following.month, following.day, tzinfo=ZoneInfo(zone)).astimezone(UTC)


def in_sequence(stages: Mapping[str, Sequence[Any]]) -> list[tuple[str, Told]]:
    """Events of orders, of the envelopes that a test has published."""
    return [
        (str(one.stream), (one.body.TYPE.rpartition(".")[2], one.body.model_dump(mode="json"), one.at))
        for told in stages.values()
        for one in told
    ]
