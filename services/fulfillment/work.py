"""One fulfillment order: how far a node is with it, and what the node may report next.

Everything here is about one fulfillment order alone; what it means for the order is decided in `domain`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Literal, TypeAlias, assert_never

from libs.events.contract import Contract, Event
from libs.events.envelope import Envelope
from libs.events.fulfillment import (
    CarrierCharge,
    CarrierEventRecorded,
    CarrierStatus,
    ConfirmPack,
    ConfirmPick,
    DispatchShipment,
    Package,
    PackConfirmed,
    PickConfirmed,
    PickShorted,
    RecordCarrierEvent,
    ShipmentDelivered,
    ShipmentDispatched,
    ShipmentLost,
    ShippedPackage,
    ShortLine,
)
from libs.events.order import LineQuantity, Unpacked
from libs.events.record import record
from libs.events.refusal import refuse
from services.fulfillment.accounts import both, less, merged
from services.fulfillment.numbers import (
    Named,
    Numbers,
    by_line,
    misnamed,
    misnamed_short,
    numbered,
    told_by,
)

NodeReport: TypeAlias = ConfirmPick | ConfirmPack | DispatchShipment
Step = Literal["released", "picked", "packed", "dispatched", "delivered", "lost", "stopped", "nothing_picked"]
STOPPABLE: frozenset[Step] = frozenset({"released", "picked", "packed"})
NOWHERE: frozenset[Step] = frozenset({"stopped", "nothing_picked"})
"""Nothing of it is at its node any more."""


ONCE: frozenset[CarrierStatus] = frozenset({"picked_up", "delivered", "lost"})
"""Scans that a shipment has at most once; the others may come again at another time."""

YEARS = range(1970, 3000)
"""When a scan may have been."""


@record
class Scan:
    """One carrier event of a shipment."""

    status: CarrierStatus
    occurred_at: datetime


@record
class Work:
    """One fulfillment order: what a node was asked, and how far it is."""

    node: str
    asked: tuple[LineQuantity, ...]
    step: Step = "released"
    picked: tuple[LineQuantity, ...] = ()
    short: tuple[ShortLine, ...] = ()
    packages: tuple[Package, ...] = ()
    shipment_id: str = ""
    carrier: str = ""
    parcels: tuple[ShippedPackage, ...] = ()
    scans: tuple[Scan, ...] = ()
    taken_off: tuple[LineQuantity, ...] = ()
    """What was asked and cancelled before the pick; `asked` is without it."""
    numbers: Numbers | None = None
    """Where units of it have serial numbers."""
    service: str | None = None
    """Of the carriers, where the order names one."""
    charge: CarrierCharge | None = None
    """What the carrier asks for, where the dispatch said so."""

    @property
    def units(self) -> tuple[LineQuantity, ...]:
        """What it has in work: all that was asked until the pick, then what was picked."""
        return self.picked if self.picked or self.short else self.asked

    def without(self, lines: tuple[LineQuantity, ...]) -> "Work":
        """The same, these units not being asked any more; stopped where none is left."""
        asked = less(self.asked, lines)
        step: Step = self.step if asked else "stopped"
        return replace(self, asked=asked, step=step, taken_off=merged(self.taken_off, lines))


def report(work: Work, heard: Envelope[Contract], body: NodeReport, shipment_number: int) -> list[Event]:
    """What a node's report leads to. The same report again leads to nothing."""
    match body:
        case ConfirmPick():
            return _pick(work, heard, body)
        case ConfirmPack():
            return _pack(work, heard, body)
        case DispatchShipment():
            return _dispatch(work, heard, body, shipment_number)
        case _:
            assert_never(body)


def _out_of_turn(work: Work, heard: Envelope[Contract], body: NodeReport, done: bool) -> list[Event]:
    """Why a report cannot be taken now: it was made before, an earlier one is missing, or work has ended."""
    id_ = body.fulfillment_order_id
    verb = {ConfirmPick: "pick", ConfirmPack: "pack", DispatchShipment: "dispatch"}[type(body)]
    if work.step == "stopped":
        message = f"{id_} was cancelled before it was dispatched; there is nothing to {verb}."
        return refuse(heard, "fulfillment_order_cancelled", message, "Put its goods back on the shelf.")
    if done:
        message = f"The {verb} of {id_} was recorded before, with other content."
        return refuse(
            heard,
            f"{verb}_already_recorded",
            message,
            "Compare with the order's timeline; nothing was changed.",
        )
    if work.step == "nothing_picked":
        message = f"Nothing was picked for {id_}, so there is nothing to {verb}."
        return refuse(
            heard, "nothing_picked", message, "Its units are sourced again; wait for a new release."
        )
    missing = "pick" if work.step == "released" else "pack"
    message = f"{id_} is {work.step}: the {missing} comes before the {verb}."
    return refuse(heard, f"{missing}_missing", message, f"Report the {missing} of {id_} first.")


def _pick(work: Work, heard: Envelope[Contract], body: ConfirmPick) -> list[Event]:
    wrong = _wrong_pick(work, body)
    picks = {pick.line: pick for pick in body.picks}
    found = both(work.asked, {line: pick.picked for line, pick in picks.items()})
    short = tuple(
        ShortLine(
            line=units.line,
            sku=units.sku,
            quantity=pick.short,
            reason=pick.short_reason,
            serials=pick.short_serials or None,
        )
        for units in work.asked
        if (pick := picks.get(units.line)) is not None and pick.short
    )
    done = bool(work.picked or work.short)
    told = told_by(body)
    known = work.numbers.at_pick or work.numbers.named if work.numbers else ()
    if done and not wrong and (found, short) == (work.picked, work.short) and _same(known, told):
        return []
    if done or work.step != "released":
        return _out_of_turn(work, heard, body, done)
    if wrong and work.taken_off:
        off = ", ".join(
            f"{units.quantity} of line {units.line} ({units.sku})" for units in work.taken_off[:5]
        )
        next_step = f"Put back on the shelf what was cancelled ({off}), and report the pick of the others."
        return refuse(heard, "lines_cancelled", wrong, next_step)
    if wrong:
        next_step = (
            f"Report each line of {body.fulfillment_order_id} once, picked + short being what was asked."
        )
        return refuse(heard, "pick_does_not_match", wrong, next_step)
    refusal = misnamed(heard, work.numbers, found, told, all_of_them=False)
    if refusal := refusal or misnamed_short(heard, work.numbers, short, told):
        return refusal
    names = {"order_id": body.order_id, "fulfillment_order_id": body.fulfillment_order_id, "node": work.node}
    events: list[Event] = []
    if found:
        events.append(PickConfirmed(**names, lines=found, serials=numbered(work.numbers, found, told)))
    if short:
        events.append(PickShorted(**names, lines=short))
    return events


def _same(recorded: Named, told: Mapping[int, tuple[str, ...]]) -> bool:
    """Whether the serial numbers that a report tells are those that were recorded."""
    known = by_line(recorded)
    return all(known.get(line) == serials for line, serials in told.items())


def _wrong_pick(work: Work, body: ConfirmPick) -> str:
    """What is wrong with the first line that is wrong, or nothing."""
    asked = {units.line: units for units in work.asked}
    seen: set[int] = set()
    where = body.fulfillment_order_id
    for pick in body.picks:
        if pick.line in seen:
            return f"{where}: line {pick.line} is reported twice."
        seen.add(pick.line)
        units = asked.get(pick.line)
        if units is None:
            return f"{where}: line {pick.line} was not asked of node {work.node}."
        if pick.picked + pick.short != units.quantity:
            return (
                f"{where}: line {pick.line} ({units.sku}) asks for {units.quantity} units; "
                f"{pick.picked} picked and {pick.short} short are {pick.picked + pick.short}."
            )
    missing = next((line for line in asked if line not in seen), None)
    return "" if missing is None else f"{where}: line {missing} ({asked[missing].sku}) is not reported."


def _pack(work: Work, heard: Envelope[Contract], body: ConfirmPack) -> list[Event]:
    packages = tuple(sorted(body.packages, key=lambda package: package.package_id))
    if work.packages == packages:
        return []
    if work.packages or work.step != "picked":
        return _out_of_turn(work, heard, body, bool(work.packages))
    twice = _twice([package.package_id for package in packages])
    if twice is not None:
        message = f"{body.fulfillment_order_id}: package {twice} is named twice."
        return refuse(heard, "package_twice", message, "Name each package once.")
    confirmed = PackConfirmed(
        order_id=body.order_id,
        fulfillment_order_id=body.fulfillment_order_id,
        node=work.node,
        packages=packages,
    )
    return [confirmed]


def _twice(ids: Sequence[str]) -> str | None:
    seen: set[str] = set()
    return next((id_ for id_ in ids if id_ in seen or seen.add(id_)), None)  # type: ignore[func-returns-value]


def _dispatch(
    work: Work, heard: Envelope[Contract], body: DispatchShipment, shipment_number: int
) -> list[Event]:
    parcels = tuple(sorted(body.packages, key=lambda package: package.package_id))
    told = told_by(body)
    same = (work.carrier, work.parcels) == (body.carrier, parcels) and body.charge in (None, work.charge)
    if work.shipment_id and same and _same(work.numbers.named if work.numbers else (), told):
        return []
    if work.shipment_id or work.step != "packed":
        return _out_of_turn(work, heard, body, bool(work.shipment_id))
    named = [package.package_id for package in parcels]
    packed = [package.package_id for package in work.packages]
    if named != packed:
        missing = [id_ for id_ in packed if id_ not in named]
        extra = _twice(named) or next((id_ for id_ in named if id_ not in packed), None)
        wrong = (
            f"package {missing[0]} is missing"
            if missing
            else f"package {extra} was not packed, or is named twice"
        )
        message = f"{body.fulfillment_order_id}: {wrong}."
        return refuse(
            heard, "packages_do_not_match", message, f"Packed were: {', '.join(packed[:5])}. Name each once."
        )
    dispatched = ShipmentDispatched(
        order_id=body.order_id,
        fulfillment_order_id=body.fulfillment_order_id,
        node=work.node,
        shipment_id=f"{body.order_id}-S{shipment_number}",
        carrier=body.carrier,
        packages=parcels,
        lines=work.picked,
        serials=numbered(work.numbers, work.picked, told),
        service=work.service,
        charge=body.charge,
    )
    return misnamed(heard, work.numbers, work.picked, told, all_of_them=True) or [dispatched]


def scanned(
    work: Work, heard: Envelope[Contract], body: RecordCarrierEvent, bundles: Unpacked | None = None
) -> list[Event]:
    """What a carrier's scan of the shipment leads to; the last one to its end as well."""
    if body.occurred_at.year not in YEARS:
        message = f"Shipment {body.shipment_id} cannot be {body.status} in the year {body.occurred_at.year}."
        return refuse(heard, "impossible_time", message, "Correct occurred_at, or the scanner's clock.")
    once = body.status in ONCE
    if any(s.status == body.status and (once or s.occurred_at == body.occurred_at) for s in work.scans):
        return []
    if (work.step, body.status) in (("delivered", "lost"), ("lost", "delivered")):
        message = (
            f"Shipment {body.shipment_id} was recorded as {work.step}; it cannot be {body.status} as well."
        )
        next_step = (
            "If the customer does not have it, open a claim with the carrier and authorise a return."
            if work.step == "delivered"
            else "Its value has been dealt with as lost; settle the late arrival with the customer."
        )
        return refuse(heard, f"already_{work.step}", message, next_step)
    recorded = CarrierEventRecorded(
        order_id=body.order_id,
        shipment_id=body.shipment_id,
        status=body.status,
        occurred_at=body.occurred_at,
        note=body.note,
    )
    names = {"order_id": body.order_id, "shipment_id": body.shipment_id}
    if body.status == "delivered":
        delivered = ShipmentDelivered(
            **names,
            occurred_at=body.occurred_at,
            lines=work.picked,
            bundles=bundles,
            serials=numbered(work.numbers, work.picked, {}),
        )
        return [recorded, delivered]
    if body.status == "lost":
        return [recorded, ShipmentLost(**names, occurred_at=body.occurred_at, lines=work.picked)]
    return [recorded]
