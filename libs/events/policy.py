"""Contracts of who gets what is scarce: a tenant's policies, what an order goes by, and waits that end.

Policies are configuration: the whole of them is replaced at a time, and each order goes by those that held
when it was accepted, which its events say.
"""

from typing import Annotated, ClassVar, Literal

from pydantic import AwareDatetime, Field

from libs.events.contract import Command, Event, Name, OrderEvent, OrderId, Sku, SkuEvent, Value
from libs.events.order import LineQuantity, Unpacked

POLICIES_STREAM = "order.policies"
"""Stream of a tenant's reservation policies."""
STANDARD_RANK = 50
"""Of an order that is of no class."""

Rank = Annotated[int, Field(strict=True, ge=1, le=99)]
"""Place of a class: a smaller one is served first."""
StepDays = Annotated[int, Field(strict=True, ge=1, le=365)]
"""Days of waiting after which an order stands one rank higher."""
Version = Annotated[int, Field(strict=True, ge=1)]
PolicyName = Literal[
    "together",  # what is there is held, and nothing ships before all is there
    "all_or_nothing",  # nothing is held before all is there
    "partial",  # what is there ships, the rest waits
]


class PriorityClass(Value):
    """Orders that are served alike: by age among themselves, and as a whole before those of a larger rank."""

    name: Name
    rank: Rank
    step_days: StepDays | None = None
    """With each so many days of waiting its orders move up a rank, among all that do and orders of rank 50:
    they stand where one of rank 50 would that was accepted (rank − 50) × `step_days` days later, or earlier.
    None: they stay at their rank."""


class PolicyRule(Value):
    """Which orders it is for (a field that is left out fits any), and what holds for them."""

    channel: Name | None = None
    order_type: Name | None = None
    service: Name | None = None
    priority: Name | None = None
    """Name of a class; without one the rank is 50."""
    policy: PolicyName = "together"
    wait_days: Annotated[int, Field(strict=True, ge=1, le=3650)] | None = None
    """After so many days since acceptance the wait ends; without it, never."""
    then: Literal["cancel", "ship"] = "cancel"
    """What happens then: what lacks is cancelled, or what is there ships and the rest waits on."""
    substitutes: Literal[True] | None = None
    """A line that lacks is replaced as a whole by a substitute of the SKU, where all of it is there."""
    baskets_wait: Literal[True] | None = None
    """A basket that lacks units, and says where it goes, is held all the same where what is to come covers
    them: it waits for these in the queue, as its order will."""
    reallocates: bool = False
    """Whether, where units lack, it is given those that orders behind it in the queue were promised, as long
    as these are not allocated."""


class ReservationPolicies(Value):
    """A tenant's classes, and its rules: of several that fit an order, the first counts."""

    classes: Annotated[tuple[PriorityClass, ...], Field(max_length=99)] = ()
    rules: Annotated[tuple[PolicyRule, ...], Field(max_length=500)]


class DefineReservationPolicies(ReservationPolicies, Command):
    """Replace the policies, the whole of them. Orders that were accepted before go by theirs."""

    TYPE: ClassVar[str] = "oms.inventory.define_reservation_policies"

    @property
    def stream(self) -> str:
        return POLICIES_STREAM


class ReservationPoliciesDefined(ReservationPolicies, Event):
    """These policies hold for orders that are accepted from now on."""

    TYPE: ClassVar[str] = "oms.inventory.reservation_policies_defined"

    version: Version

    @property
    def stream(self) -> str:
        return POLICIES_STREAM


class OrderPolicy(Value):
    """What one order goes by, and the version of the policies that it is from."""

    version: Version
    policy: PolicyName = "together"
    rank: Rank = STANDARD_RANK
    wait_days: int | None = None
    then: Literal["cancel", "ship"] = "cancel"
    reallocates: bool = False
    substitutes: Literal[True] | None = None
    step_days: StepDays | None = None
    """As its class has it."""
    baskets_wait: Literal[True] | None = None

    @property
    def stands_at(self) -> int:
        """The rank at which it is served: with age, that of orders without a class."""
        return self.rank if self.step_days is None else STANDARD_RANK


class KeptPlace(Value):
    """Since when an order waits for a SKU, where that is not since it was accepted."""

    sku: Sku
    since: AwareDatetime


class TermsUsed(Value):
    """Which version of a SKU's terms (`oms.inventory.promise_terms_defined`) a decision went by."""

    sku: Sku
    version: Annotated[int, Field(ge=1)]


class BackorderLapsed(OrderEvent):
    """The order has waited as long as its policy lets it: `lines` are to be given up. Fulfillment, which
    knows what is left of the order, cancels them; with that inventory frees what they held."""

    TYPE: ClassVar[str] = "oms.inventory.backorder_lapsed"

    lines: Annotated[tuple[LineQuantity, ...], Field(min_length=1)]
    rest: tuple[LineQuantity, ...] = ()
    """What else has no node yet, and goes on."""
    since: AwareDatetime
    """When the order was accepted."""
    wait_days: Annotated[int, Field(ge=1)]
    bundles: Unpacked | None = None
    """Ordered lines that are fulfilled by the lines of their parts, where there are any."""


class BackordersCalled(SkuEvent):
    """So many units are free as these orders, which hold nothing before they get all, want of the SKU. The
    units are kept for them until each has looked whether the rest is there too."""

    TYPE: ClassVar[str] = "oms.inventory.backorders_called"

    orders: Annotated[tuple[OrderId, ...], Field(min_length=1)]
    asks: Literal[True] | None = None
    """Some are asked where they go: a node of the SKU does not ship everywhere, which made no difference when
    they were promised units, or began to wait. Their next promise says it (`served`)."""


POLICY_COMMANDS = (DefineReservationPolicies,)
POLICY_EVENTS = (ReservationPoliciesDefined, BackorderLapsed, BackordersCalled)
