"""The demo's warehouse, which picks what it finds. No part of the product, and no I/O here."""

from collections import Counter, defaultdict

from cli.demo.actors import Heard, Order, by_line, to_stage
from cli.demo.people import share
from libs.events.changes import LinesCancelled
from libs.events.contract import Event
from libs.events.fulfillment import (
    CarrierCharge,
    ConfirmPack,
    ConfirmPick,
    DispatchShipment,
    FulfillmentReleased,
    Package,
    PackConfirmed,
    Pick,
    PickConfirmed,
    ShippedPackage,
)
from libs.events.ids import command_id
from libs.events.refusal import CommandRefused

SHORT_PICKS_PER_MILLE = 15
DAMAGES_PER_MILLE = 5
UNIT_GRAMS = 250
PARCEL_UNITS_MAX = 80
PARCELS_MAX = 500
PARCEL_MINOR, KILOGRAM_MINOR = 280, 35


class Warehouse:
    """Picks, packs and hands over what a node is asked for; sometimes it finds less, or finds it broken."""

    hears: tuple[type[Event], ...] = (
        FulfillmentReleased,
        LinesCancelled,
        CommandRefused,
        PickConfirmed,
        PackConfirmed,
    )

    def __init__(self) -> None:
        self._to_pick: dict[str, FulfillmentReleased] = {}
        self._stopped: dict[str, Counter[int]] = defaultdict(Counter)
        """Units by line that were taken off the work again."""

    def answer(self, heard: Heard) -> list[Order]:
        match heard.body:
            case FulfillmentReleased() as released:
                self._to_pick[released.fulfillment_order_id] = released
                return self._pick(heard, released, "pick")
            case LinesCancelled() as fewer:
                for stopped in fewer.work:
                    self._stopped[stopped.fulfillment_order_id].update(by_line(stopped.lines))
            case CommandRefused(code="lines_cancelled") as refused:
                for id_, released in self._to_pick.items():
                    if refused.command_id == command_id(heard.tenant, f"pick {id_}"):
                        return self._pick(heard, released, "pick again")
            case PickConfirmed() as picked:
                self._to_pick.pop(picked.fulfillment_order_id, None)
                pack = ConfirmPack(
                    order_id=picked.order_id,
                    fulfillment_order_id=picked.fulfillment_order_id,
                    packages=_parcels(picked),
                )
                return [to_stage("fulfillment", heard, pack, f"pack {picked.fulfillment_order_id}")]
            case PackConfirmed() as packed:
                dispatch = DispatchShipment(
                    order_id=packed.order_id,
                    fulfillment_order_id=packed.fulfillment_order_id,
                    carrier="Demo Parcel",
                    packages=tuple(
                        ShippedPackage(
                            package_id=parcel.package_id, tracking_number=_tracking(parcel.package_id)
                        )
                        for parcel in packed.packages
                    ),
                    charge=_asked(packed),
                )
                return [to_stage("fulfillment", heard, dispatch, f"dispatch {packed.fulfillment_order_id}")]
        return []

    def _pick(self, heard: Heard, released: FulfillmentReleased, key: str) -> list[Order]:
        """What is left of the work, picked."""
        id_ = released.fulfillment_order_id
        picks = _picks(released, self._stopped[id_])
        if not picks:
            return []
        confirm = ConfirmPick(order_id=released.order_id, fulfillment_order_id=id_, picks=picks)
        return [to_stage("fulfillment", heard, confirm, f"{key} {id_}")]


def _picks(released: FulfillmentReleased, stopped: Counter[int]) -> tuple[Pick, ...]:
    """All that was not stopped, or for a few fulfillment orders one line short: half of it not found, or a
    unit broken."""
    fate = share(f"{released.fulfillment_order_id} pick", 1000)
    unlucky = released.lines[share(f"{released.fulfillment_order_id} line", len(released.lines))]
    picks = []
    for units in released.lines:
        short, wanted = 0, units.quantity - stopped[units.line]
        if not wanted:
            continue
        if units is unlucky and fate < SHORT_PICKS_PER_MILLE:
            short = (wanted + 1) // 2
        elif units is unlucky and fate < SHORT_PICKS_PER_MILLE + DAMAGES_PER_MILLE:
            short = 1
        picks.append(
            Pick(
                line=units.line,
                picked=wanted - short,
                short=short,
                short_reason="not_found" if fate < SHORT_PICKS_PER_MILLE else "damaged",
            )
        )
    return tuple(picks)


def _parcels(picked: PickConfirmed) -> tuple[Package, ...]:
    units = sum(line.quantity for line in picked.lines)
    count = min(PARCELS_MAX, -(-units // PARCEL_UNITS_MAX))
    grams = max(1, units * UNIT_GRAMS // count)
    return tuple(
        Package(package_id=f"{picked.fulfillment_order_id}-P{number}", weight_grams=grams)
        for number in range(1, count + 1)
    )


def _asked(packed: PackConfirmed) -> CarrierCharge:
    """What Demo Parcel asks: a price for each parcel, and more for each kilogram that is begun."""
    kilograms = sum(-(-parcel.weight_grams // 1000) for parcel in packed.packages)
    minor = PARCEL_MINOR * len(packed.packages) + KILOGRAM_MINOR * kilograms
    return CarrierCharge(amount_minor=minor, currency="GBP")


def _tracking(package_id: str) -> str:
    return f"DEMO{share(package_id, 10**12):012}"
