"""The date of a plan: when the last of its nodes has delivered, by the calendars of nodes and carriers."""

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import Protocol

from libs.events.contract import Contract, Event, terms_alone
from libs.events.delivery import Way, delivery, way, zone_exists
from libs.events.envelope import Envelope
from libs.events.order import Destination
from libs.events.places import STANDARD, Delivery, ShipDay, TransitTerms
from libs.events.refusal import CommandRefused, refused
from libs.events.routing import DefineNode, DefineTransit, NodeTerms, TransitDefined
from services.routing.sourcing import Offer


class Known(Protocol):
    """Nodes and services as routing knows them."""

    @property
    def version(self) -> int: ...
    @property
    def nodes(self) -> Mapping[str, NodeTerms]: ...
    @property
    def transit(self) -> Mapping[str, TransitTerms]: ...
    @property
    def full(self) -> Mapping[str, tuple[date, ...]]: ...


class Asked(Protocol):
    """What is to be sent, where to and how."""

    @property
    def destination(self) -> Destination: ...
    @property
    def service(self) -> str | None: ...


def promised(
    known: Known, chosen: Iterable[Offer], asked: Asked, at: datetime
) -> tuple[Delivery | None, tuple[ShipDay, ...] | None]:
    """When the last of these nodes delivers, by the order's own service; None as long as one of them has no
    calendar or no way there, or nobody has said how long that service takes. And on which days those of them
    ship that state how much they can; None where there is none."""
    found: list[Delivery] = []
    days: list[ShipDay] = []
    service = asked.service or STANDARD
    transit = known.transit.get(service)
    for offer in chosen:
        node = known.nodes.get(offer.node)
        by = way(node, offer.node, transit, service, asked.destination, known.full.get(offer.node, ()))
        if not isinstance(by, Way):
            return None, None
        dated = by.dates(at)
        found.append(delivery(by, dated, known.version))
        if by.operations.units_a_day is not None:
            limit = by.operations.units_a_day
            days.append(ShipDay(node=offer.node, ship_on=dated.leaves_on, units_a_day=limit))
    return max(found, key=lambda one: (str(one.deliver_by), str(one.ship_by))), tuple(days) or None


def define(version: int, known: Mapping[str, TransitTerms], command: DefineTransit) -> list[Event]:
    """A service's new terms; nothing when they are so already."""
    stated = terms_alone(TransitTerms, command)
    if known.get(command.service) == stated:
        return []
    return [TransitDefined.model_validate({**dict(stated), "nodes_version": version + 1})]


def unknown_zone(heard: Envelope[Contract], command: DefineNode) -> CommandRefused | None:
    """A refusal of a node whose time zone nobody knows."""
    if command.operations is None or zone_exists(command.operations.time_zone):
        return None
    return refused(
        heard,
        "unknown_time_zone",
        f"{command.node}: there is no time zone {command.operations.time_zone}.",
        "Name one of the IANA time zone database, such as Europe/London.",
    )
