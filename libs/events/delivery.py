"""The arithmetic of a promised date: from when units are ready at a node to the day they are delivered.

Two stages reckon by it, and must not come to different days: inventory for what could be sold, routing for
what it has planned. What is ready by a working day's cut-off is worked on that day; the cut-off is an
instant, so that a clock that is set back never makes a later order earlier. The time zone database is the
machine's, or that of the `tzdata` package; a date that was told is in its event, and never reckoned again.
"""

from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from libs.events.distance import tenths_of_km
from libs.events.order import Destination, Reason
from libs.events.places import WEEKDAYS, Delivery, NodeOperations, TransitBand, TransitTerms, Weekday
from libs.events.record import record
from libs.events.routing import NodeTerms
from libs.events.serving import serves

_DAY = timedelta(days=1)
CALENDARS_MAX = 4096
"""Calendars and clocks that are kept made up: of that many nodes and services."""


def zone_exists(time_zone: str) -> bool:
    """Whether the time zone database has a zone of that name."""
    try:
        ZoneInfo(time_zone)
    except (KeyError, ValueError, OSError):  # unknown; no name of a zone; a folder's name
        return False
    return True


@record
class WorkDays:
    """The days on which a place or a carrier works."""

    weekdays: frozenset[int]
    """Monday is 0."""
    holidays: frozenset[date]

    def works(self, day: date) -> bool:
        return day.weekday() in self.weekdays and day not in self.holidays

    def on_or_after(self, day: date) -> date:
        """The first working day that is not before `day`: there is one, as holidays are finite."""
        while not self.works(day):
            day += _DAY
        return day

    def later(self, day: date, days: int) -> date:
        """The working day that is so many working days after `day`."""
        for _ in range(days):
            day = self.on_or_after(day + _DAY)
        return day


@record
class Clock:
    """A node's time zone and working days, made up once."""

    zone: ZoneInfo
    days: WorkDays
    cut_off: time

    def worked_on(self, ready_at: datetime) -> date:
        """The first working day whose cut-off is not before `ready_at`."""
        day = self.days.on_or_after(ready_at.astimezone(self.zone).date())
        while datetime.combine(day, self.cut_off, self.zone).astimezone(UTC) < ready_at:
            day = self.days.on_or_after(day + _DAY)
        return day


@lru_cache(maxsize=CALENDARS_MAX)
def clock(operations: NodeOperations) -> Clock:
    """What a node's operations say. Its time zone must exist: routing takes no other."""
    days = work_days(operations.working_days, operations.holidays)
    return Clock(ZoneInfo(operations.time_zone), days, time.fromisoformat(operations.cut_off))


@lru_cache(maxsize=CALENDARS_MAX)
def work_days(weekdays: tuple[Weekday, ...], holidays: tuple[date, ...]) -> WorkDays:
    """Working days by name, less holidays."""
    return WorkDays(frozenset(WEEKDAYS.index(day) for day in weekdays), frozenset(holidays))


@lru_cache(maxsize=CALENDARS_MAX)
def hours(operations: NodeOperations, service: str) -> NodeOperations:
    """When the node works on what is sent by a service: with the cut-off that it has for that one."""
    for own in operations.services:
        if own.service == service:
            days = operations.processing_days if own.processing_days is None else own.processing_days
            return operations.model_copy(update={"cut_off": own.cut_off, "processing_days": days})
    return operations


def usable_on(operations: NodeOperations, arrives_at: datetime) -> date:
    """The day on which goods that arrive then can be sold, in the node's time zone."""
    made = clock(operations)
    arrival = made.days.on_or_after(arrives_at.astimezone(made.zone).date())
    return made.days.later(arrival, operations.receiving_days)


def usable_at(operations: NodeOperations, arrives_at: datetime) -> datetime:
    """The moment at which they can be sold: when they arrive, or the midnight that begins that day."""
    made = clock(operations)
    begins = datetime.combine(usable_on(operations, arrives_at), time(0), made.zone).astimezone(UTC)
    return max(begins, arrives_at.astimezone(UTC))


def band(transit: TransitTerms, node: NodeTerms, destination: Destination) -> TransitBand | None:
    """The first band that fits; None, the service does not go there from the node."""
    return next((one for one in transit.bands if _fits(one, node, destination)), None)


def _fits(one: TransitBand, node: NodeTerms, destination: Destination) -> bool:
    if one.nodes is not None and node.node not in one.nodes:
        return False
    if one.countries is not None and destination.country not in one.countries:
        return False
    if one.postcode_areas is not None and destination.postcode_area not in one.postcode_areas:
        return False
    if one.km_max is None:
        return True
    if destination.latitude is None or destination.longitude is None:
        return False
    tenths = tenths_of_km(destination.latitude, destination.longitude, node.latitude, node.longitude)
    return tenths <= one.km_max * 10


@record
class Way:
    """How a node serves a destination by a service: the same for every moment."""

    node: str
    operations: NodeOperations
    clock: Clock
    service: str
    carrier: WorkDays
    days: int
    full: frozenset[date] = frozenset()
    """Days on which the node can ship no more."""

    def dates(self, ready_at: datetime) -> "WayDates":
        """The days on which what is ready then is worked on, leaves and arrives."""
        worked = self.clock.worked_on(ready_at)
        first = leaves = self.clock.days.later(worked, self.operations.processing_days)
        while leaves in self.full:
            leaves = self.clock.days.later(leaves, 1)
        arrives = self.carrier.later(self.carrier.on_or_after(leaves), self.days)
        return WayDates(ready_at, worked, leaves, arrives, first)


@record
class WayDates:
    """What is ready at a moment, and the days on which it is worked on, leaves and arrives."""

    ready_at: datetime
    worked_on: date
    leaves_on: date
    arrives_on: date
    would_leave_on: date
    """If the node could ship any number on a day."""


def way(
    node: NodeTerms | None,
    name: str,
    transit: TransitTerms | None,
    service: str,
    destination: Destination,
    full: Iterable[date] = (),
) -> Way | Reason:
    """The way from a node of that name, some of whose days are full, by a service; or what lacks of it."""
    if node is None or node.operations is None:
        return Reason(
            code="no_calendar",
            message=f"Nobody has said when {name} works; define it with a time zone and a cut-off.",
        )
    if not node.active or not serves(node.ships_to, destination.country):
        return Reason(code="not_served", message=f"{name} does not ship to {destination.country}.")
    if transit is None:
        return Reason(
            code="no_transit",
            message=f"Nobody has said how long {service} takes; define it: orderlog nodes transit.",
        )
    found = band(transit, node, destination)
    if found is None:
        return Reason(
            code="no_transit", message=f"The service {service} has no band from {name} to that destination."
        )
    carrier = work_days(transit.working_days, transit.holidays)
    operations = hours(node.operations, service)
    return Way(name, operations, clock(operations), service, carrier, found.days, frozenset(full))


def delivery(by: Way, found: WayDates, nodes_version: int, *before: Reason) -> Delivery:
    """The dates that were found, with their reasons; those `before` them come first."""
    return Delivery(
        service=by.service,
        node=by.node,
        ship_by=found.leaves_on,
        deliver_by=found.arrives_on,
        time_zone=by.operations.time_zone,
        nodes_version=nodes_version,
        why=(*before, *_why(by, found)),
    )


def unknown(service: str, nodes_version: int, *why: Reason) -> Delivery:
    """No date, and what lacks."""
    return Delivery(service=service, nodes_version=nodes_version, why=why)


def _why(by: Way, found: WayDates) -> list[Reason]:
    """What made the date what it is."""
    operations, name, why = by.operations, by.node, list[Reason]()
    local, worked = found.ready_at.astimezone(by.clock.zone).date(), found.worked_on
    if not by.clock.days.works(local):
        why.append(Reason(code="not_working", message=f"{name} does not work on {local:%Y-%m-%d}."))
    elif worked > local:
        text = f"the cut-off of {operations.cut_off} ({operations.time_zone}) had passed at {name}."
        why.append(Reason(code="cut_off_missed", message=f"On {local:%Y-%m-%d} {text}"))
    if operations.processing_days:
        text = f"{name} works on it for {_days(operations.processing_days)} from {worked:%Y-%m-%d}."
        why.append(Reason(code="processing", message=text))
    if found.leaves_on > found.would_leave_on:
        day = f"{found.would_leave_on:%Y-%m-%d}"
        text = f"{name} ships {operations.units_a_day} units a day, and no more on {day}."
        why.append(Reason(code="capacity", message=text))
    text = f"{by.service} takes {_days(by.days)} from {name}."
    why.append(Reason(code="transit", message=text))
    return why


def _days(days: int) -> str:
    return f"{days} working day{'' if days == 1 else 's'}"
