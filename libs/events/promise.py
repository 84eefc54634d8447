"""Inventory's contracts of promises that are made before an order: a basket held for a while at checkout.

A held promise claims units in the bucket `held`, at `NETWORK`, as a reservation does in `reserved`. It is
resolved once: confirmed by the order that names it, released, or expired; `position` counts what happened to
it from 1, so that an auditor sees it. Held and reserved units together never exceed what is on hand. What a
basket lacks of them, where it may wait, it waits for in the queue of the SKU, as an order does.
"""

from typing import Annotated, ClassVar, Literal

from pydantic import AwareDatetime, Field

from libs.events.backorders import Backorders
from libs.events.contract import (
    Command,
    Count,
    Event,
    Name,
    Note,
    OrderEvent,
    PromiseId,
    Quantity,
    Sku,
    SkuCommand,
    SkuEvent,
    Value,
)
from libs.events.dates import Due
from libs.events.inventory import QueueChange, Shortage, Units
from libs.events.order import Destination
from libs.events.places import Delivery
from libs.events.policy import KeptPlace, OrderPolicy, Rank, TermsUsed
from libs.events.serving import Served

SoftBucket = Literal["unreserved", "held", "reserved"]
HOLD_SECONDS_MAX = 86_400
Place = Annotated[int, Field(strict=True, ge=1)]
"""Counts what happened to one promise from 1, without a gap."""


def promise_stream(promise_id: str) -> str:
    """The stream of a held promise."""
    return f"promise/{promise_id}"


class HoldMovement(Value):
    """Promised units from one soft bucket to another, of the whole network. `position` counts on among all
    movements of the SKU."""

    sku: Sku
    node: Literal["*"] = "*"
    source: SoftBucket
    target: SoftBucket
    quantity: Units
    position: Place
    lot: ClassVar[None] = None
    serials: ClassVar[None] = None


class PromiseCommand(Command):
    """A command to one held promise."""

    promise_id: PromiseId

    @property
    def stream(self) -> str:
        return promise_stream(self.promise_id)


class PromiseEvent(Event):
    """An event of one held promise."""

    promise_id: PromiseId
    position: Place

    @property
    def stream(self) -> str:
        return promise_stream(self.promise_id)


class Wanted(Value):
    """So many units of a SKU, of a basket. Several lines may name one SKU."""

    sku: Sku
    quantity: Quantity


class Share(Value):
    """Free units of a SKU that are kept for one channel. A level: it is as high again after each sale."""

    channel: Name
    units: Annotated[int, Field(strict=True, ge=1, le=1_000_000_000)]
    lends_to: Annotated[tuple[Name, ...], Field(max_length=100)] = ()
    """Channels that may take from it all the same."""


class ChannelTerms(Value):
    """How a SKU is sold in one channel."""

    channel: Name
    buffer: Count = 0
    """Free units that this channel is not promised: for what it sells before we hear of it."""
    sold_out_at: Count = 0
    """With so many available or fewer it is shown as sold out. Who orders all the same is promised them."""
    shown_max: Annotated[int, Field(strict=True, ge=1, le=1_000_000_000)] | None = None
    """No more units than these are shown, however many are available."""
    shelf_days_min: Annotated[int, Field(strict=True, ge=0, le=3650)] | None = None
    """So many days before its last day a lot is given to this channel no more, where the SKU has lots; None,
    as many as the channel asks of all SKUs (`oms.inventory.channel_days_defined`), and 0, none whatever it
    asks."""


class ReorderHold(Value):
    """Free units below which only orders of a rank up to `rank_max` are promised any."""

    point: Annotated[int, Field(strict=True, ge=1, le=1_000_000_000)]
    rank_max: Rank


class PromiseTerms(Value):
    """What of a SKU's free units may be promised to whom, what is shown where, and when it runs low."""

    safety_stock: Count = 0
    """Units that nobody is promised: for what the books do not know."""
    shares: Annotated[tuple[Share, ...], Field(max_length=100)] = ()
    channels: Annotated[tuple[ChannelTerms, ...], Field(max_length=100)] = ()
    low_at: Count | None = None
    """With so many free units or fewer the SKU is low, which is told (`oms.inventory.stock_low`)."""
    recovered_at: Count | None = None
    """With so many it is not low any more; without it, with a tenth more than `low_at`, one at least."""
    reorder: ReorderHold | None = None
    backorders: Backorders | None = None
    """How many units may be waited for, and when; without it, any number, always."""


class DefinePromiseTerms(PromiseTerms, SkuCommand):
    """Set the terms of a SKU's promises: the whole of them is replaced."""

    TYPE: ClassVar[str] = "oms.inventory.define_promise_terms"


class PromiseTermsDefined(PromiseTerms, SkuEvent):
    """From now on the SKU is promised by these terms. What was promised before stays so."""

    TYPE: ClassVar[str] = "oms.inventory.promise_terms_defined"

    terms_version: Place
    queue: tuple[QueueChange, ...] | None = None
    """What it changes of the queues of SKUs."""
    shelf_days_of_channels: Annotated[tuple[Name, ...], Field(max_length=100)] | None = None
    """Channels whose `shelf_days_min` is what they ask of all SKUs, and not said of this one."""


class HoldStock(PromiseCommand):
    """Set a basket aside for an order that is yet to come: all of it, or nothing."""

    TYPE: ClassVar[str] = "oms.inventory.hold_stock"

    lines: Annotated[tuple[Wanted, ...], Field(min_length=1, max_length=1000)]
    ttl_seconds: Annotated[int, Field(strict=True, ge=1, le=HOLD_SECONDS_MAX)] = 900
    """How long it is held."""
    channel: Name | None = None
    """Whose stock it is taken from, where channels have shares of their own."""
    destination: Destination | None = None
    """Where it would be sent; with it, the promise has a date."""
    service: Name | None = None
    """By which service of the carriers; None, the standard one."""
    order_type: Name | None = None
    """What its order will say of itself. Service, order type and channel choose its class by the policies."""


class ReleasePromise(PromiseCommand):
    """Give a held basket up before it expires."""

    TYPE: ClassVar[str] = "oms.inventory.release_promise"

    reason: Note = ""


class PromiseHeld(PromiseEvent):
    """The basket is set aside until `expires_at`. The order that carries `promise_id` gets these units."""

    TYPE: ClassVar[str] = "oms.inventory.promise_held"

    lines: Annotated[tuple[Wanted, ...], Field(min_length=1)]
    """By SKU."""
    ttl_seconds: int
    expires_at: AwareDatetime
    """From then on it may be given up at any moment; an order that comes before it is, still gets it."""
    channel: Name | None = None
    terms: tuple[TermsUsed, ...] | None = None
    """By which terms, where its SKUs have any."""
    delivery: Delivery | None = None
    """The date that goes with it, where it was asked with a destination."""
    policy: OrderPolicy | None = None
    """What its order would go by as the policies were: its class is why it got what is kept from others."""
    served: Served | None = None
    """Where units of which SKUs go, where not all of their nodes ship everywhere; None, nobody said."""
    queue: tuple[QueueChange, ...] | None = None
    """What it changes of the queues of SKUs."""
    short: Annotated[tuple[Shortage, ...], Field(min_length=1)] | None = None
    """Units that are to come, and are waited for in the queues of their SKUs; None, it holds all it wants."""
    usable_at: AwareDatetime | None = None
    """When the last of what it waits for can be sold, as is known now."""
    destination: Destination | None = None
    """Of a basket that waits."""
    service: Name | None = None
    """Of a basket that waits, where it names one."""
    movements: tuple[HoldMovement, ...]


class PromiseDated(PromiseEvent):
    """When a basket that waits has all that it wants, as is known now. Told again only when that changes."""

    TYPE: ClassVar[str] = "oms.inventory.promise_dated"

    skus: tuple[Due, ...] = ()
    """What it waits for; nothing, all of it is there and held."""
    usable_at: AwareDatetime | None = None
    """When the last of these units can be sold; None where it waits, nobody knows any more."""
    told_before: AwareDatetime | None = None
    """The `usable_at` that was told last."""
    delivery: Delivery | None = None
    """When it is delivered then."""


class PromiseExpired(PromiseEvent):
    """No order came in time. The units are free again."""

    TYPE: ClassVar[str] = "oms.inventory.promise_expired"

    waited: tuple[Wanted, ...] | None = None
    """Of a basket that might wait: what it still lacked. It leaves these queues."""
    queue: tuple[QueueChange, ...] | None = None
    """What it changes of the queues of SKUs."""
    movements: tuple[HoldMovement, ...]


class PromiseReleased(PromiseEvent):
    """Held units are free again, and not because time was up.

    `asked`: somebody gave the basket up. `not_ordered`: the order that confirmed it wanted less. `broken`:
    some of the units turned out not to exist, so that the basket cannot be kept.
    """

    TYPE: ClassVar[str] = "oms.inventory.promise_released"

    cause: Literal["asked", "not_ordered", "broken"]
    reason: Note = ""
    waited: tuple[Wanted, ...] | None = None
    """Of a basket that might wait: what it still lacked. It leaves these queues."""
    queue: tuple[QueueChange, ...] | None = None
    """What it changes of the queues of SKUs."""
    movements: tuple[HoldMovement, ...]


class PromiseConfirmed(OrderEvent):
    """The order took over units that were held for it. What else it wants is promised as to any order."""

    TYPE: ClassVar[str] = "oms.inventory.promise_confirmed"

    promise_id: PromiseId
    position: Place
    left: bool = False
    """More was held than the order wants: that is given back next."""
    delivery: Delivery | None = None
    """The date that was promised with the basket, or the last that was told since."""
    waited: tuple[Wanted, ...] | None = None
    """Of a basket that might wait: units that it lacked, and the order waits for from now on."""
    places: tuple[KeptPlace, ...] | None = None
    """Since when the order waits for each of these SKUs: since the basket was held, where it wants no more of
    the SKU than that."""
    queue: tuple[QueueChange, ...] | None = None
    """What it changes of the queues of SKUs."""
    movements: tuple[HoldMovement, ...]


class PromiseMissed(OrderEvent):
    """The order names a promise that holds nothing for it; it is promised units as any other order is.

    `unknown`: no such basket was held yet, and none will be under this id.
    """

    TYPE: ClassVar[str] = "oms.inventory.promise_missed"

    promise_id: PromiseId
    cause: Literal["unknown", "expired", "released", "used"]
    position: Place | None = None
    """Of the promise, where this is the first that is heard of it."""


class HeldUnits(Value):
    """Units of one SKU that a held promise lost, or was given."""

    promise_id: PromiseId
    quantity: Units


class HoldsBroken(SkuEvent):
    """Held units turned out not to exist; the youngest baskets lose them, before any order does."""

    TYPE: ClassVar[str] = "oms.inventory.holds_broken"

    holds: Annotated[tuple[HeldUnits, ...], Field(min_length=1)]
    supplied: Literal[True] | None = None
    """More of it is to come, so that the date of who waits may change."""
    queue: tuple[QueueChange, ...] | None = None
    """Of baskets that may wait, and wait for these units again: what it changes of the queues of SKUs."""
    movements: tuple[HoldMovement, ...]


class HoldsFilled(SkuEvent):
    """Arrived units were given to baskets that wait for this SKU: by class, then by age, among the orders."""

    TYPE: ClassVar[str] = "oms.inventory.holds_filled"

    holds: Annotated[tuple[HeldUnits, ...], Field(min_length=1)]
    terms_version: Annotated[int, Field(ge=1)] | None = None
    """The terms of the SKU that it was decided by, if it has any."""
    supplied: Literal[True] | None = None
    """More of it is to come, so that the date of who still waits may change."""
    queue: Annotated[tuple[QueueChange, ...], Field(min_length=1)]
    """What it changes of the queues of SKUs."""
    movements: tuple[HoldMovement, ...]


PROMISE_COMMANDS = (HoldStock, ReleasePromise, DefinePromiseTerms)
PROMISE_EVENTS = (
    PromiseHeld,
    PromiseExpired,
    PromiseReleased,
    PromiseConfirmed,
    PromiseMissed,
    PromiseDated,
    HoldsBroken,
    HoldsFilled,
    PromiseTermsDefined,
)
