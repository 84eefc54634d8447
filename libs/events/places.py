"""When a place works, how long a carrier travels, and the date that follows: parts of several contracts.

Routing owns the facts (`oms.routing.node_defined`, `oms.routing.transit_defined`); whoever promises a date
hears them. `libs.events.delivery` has the arithmetic.
"""

from datetime import date
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from libs.events.contract import Country, Name, NodeId, Value
from libs.events.order import Reason

STANDARD = "standard"
"""The service that a basket or an order travels by when it names none."""

Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
WEEKDAYS: tuple[Weekday, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MON_TO_FRI: tuple[Weekday, ...] = ("mon", "tue", "wed", "thu", "fri")
WorkingDays = Annotated[tuple[Weekday, ...], Field(min_length=1, max_length=7)]
Holidays = Annotated[tuple[date, ...], Field(max_length=400)]
TimeZone = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_+/-]{0,63}$")]
"""A name of the IANA time zone database, e.g. Europe/London."""
LocalTime = Annotated[str, StringConstraints(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]
Days = Annotated[int, Field(strict=True, ge=0, le=120)]
PostcodeArea = Annotated[str, StringConstraints(pattern=r"^[A-Z0-9 -]{1,8}$")]


class ServiceHours(Value):
    """How a node works on what is sent by one service, where that is not as it works on all else."""

    service: Name
    cut_off: LocalTime
    processing_days: Days | None = None
    """None: as many as for all else."""


class NodeOperations(Value):
    """When a node works."""

    time_zone: TimeZone
    working_days: WorkingDays = MON_TO_FRI
    holidays: Holidays = ()
    """Days on which it does not work all the same."""
    cut_off: LocalTime
    """What comes until then on a working day is worked on that day; in the node's time zone."""
    processing_days: Days = 0
    """Working days from the day it is worked on to the day it leaves."""
    receiving_days: Days = 0
    """Working days from the arrival of goods to the day they can be sold."""
    services: Annotated[tuple[ServiceHours, ...], Field(max_length=50)] = ()
    """Those with a cut-off of their own; the first of a name counts."""
    units_a_day: Annotated[int, Field(strict=True, ge=1, le=1_000_000_000)] | None = None
    """Units that can leave it on a day; None, as many as there are."""


class TransitBand(Value):
    """How long the carrier travels, from these nodes to these places; what is left out is no condition."""

    nodes: Annotated[tuple[NodeId, ...], Field(max_length=1000)] | None = None
    countries: Annotated[tuple[Country, ...], Field(max_length=300)] | None = None
    postcode_areas: Annotated[tuple[PostcodeArea, ...], Field(max_length=3000)] | None = None
    km_max: Annotated[float, Field(ge=1, le=21_000)] | None = None
    """Great-circle distance; never met by a destination without coordinates."""
    days: Days
    """Working days of the carrier from the day it collects."""


class TransitTerms(Value):
    """One service of the carriers: on which days it works, and how long it takes. The first band that fits
    counts."""

    service: Name
    working_days: WorkingDays = MON_TO_FRI
    holidays: Holidays = ()
    bands: Annotated[tuple[TransitBand, ...], Field(min_length=1, max_length=200)]


class ShipDay(Value):
    """The day on which a node that states a capacity is to ship its part of an order."""

    node: NodeId
    ship_on: date
    """In the node's time zone."""
    units_a_day: Annotated[int, Field(strict=True, ge=1)]
    """What it can ship on a day."""


class DayLoad(Value):
    """Units more, or less, that a node is to ship on a day."""

    node: NodeId
    day: date
    units: Annotated[int, Field(strict=True)]
    look: Literal[True] | None = None
    """The day is full with them, or may be open again without them."""


class Delivery(Value):
    """The date that was promised, or why none can be; always with its reasons."""

    service: Name
    node: NodeId | None = None
    """Which ships last of what is sent."""
    ship_by: date | None = None
    """In the node's time zone."""
    deliver_by: date | None = None
    """At the destination; None: not known, and `why` says what lacks."""
    time_zone: TimeZone | None = None
    """The node's."""
    nodes_version: Annotated[int, Field(ge=0)]
    """Of the nodes and services that it was reckoned by."""
    why: Annotated[tuple[Reason, ...], Field(min_length=1)]
