"""What every event and command is: a frozen pydantic model with an explicit type and version.

A consumer needs three things to read a record: `TYPE` and `VERSION` from its headers, and the JSON
Schema of that pair. Adding an optional field keeps the version; anything else bumps it and comes with
an upcast in `libs.events.upcasts`.
"""

from typing import Annotated, ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

Sku = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f/]{1,64}$")]
"""Stock keeping unit, as the merchant writes it; case matters."""

NodeId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,31}$")]
"""Any fulfilling place: warehouse, store, vendor."""

OrderId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9-]{1,64}$")]
"""`libs.events.ids.order_id` of tenant, channel and external id."""

PromiseId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9-]{1,64}$")]
"""Of a basket that inventory holds: the shop's own id of it, or one that is made for it."""

Name = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]{1,128}$")]
"""A short label without control characters: a channel, an external id, a carrier, a tracking number."""

Note = Annotated[str, StringConstraints(pattern=r"^[^\x00]{0,500}$")]
"""A person's sentence; never personal data."""

Country = Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")]
"""ISO 3166-1 alpha-2."""

Currency = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]
"""ISO 4217."""

Quantity = Annotated[int, Field(strict=True, ge=1, le=1_000_000)]
"""Whole units of the SKU."""

Count = Annotated[int, Field(strict=True, ge=0, le=1_000_000_000)]
"""Whole units of the SKU, none allowed."""

AmountMinor = Annotated[int, Field(strict=True, ge=-(10**12), le=10**12)]
"""Money in the currency's minor unit (pence, cents)."""

LineNumber = Annotated[int, Field(strict=True, ge=1, le=1_000_000)]
"""Number of an order line, unique within its order."""


class Value(BaseModel):
    """A part of a contract. Unknown fields are ignored, so that an optional addition breaks nobody. What
    reads it is built when it is first needed: a process needs a few of some four hundred."""

    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)


Terms = TypeVar("Terms", bound=Value)


def terms_alone(kind: type[Terms], source: Terms) -> Terms:
    """What a command and the event that answers it say alike (`kind`, their base), without what is each one's
    own: to compare it, to keep it, to tell it on."""
    return kind.model_validate({name: getattr(source, name) for name in kind.model_fields})


class Contract(Value):
    """A recorded fact or a request, as it travels."""

    TYPE: ClassVar[str]
    VERSION: ClassVar[int] = 1

    @property
    def stream(self) -> str:
        """The stream, within a tenant, that it belongs to: an order id, `sku/…`, or `nodes`."""
        raise NotImplementedError(type(self).__name__)


class Event(Contract):
    """A recorded fact, in the past tense."""


class Command(Contract):
    """A request that may be refused, in the imperative. Unknown fields are errors: a typo must not pass."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class OrderEvent(Event):
    """An event of one order's stream."""

    order_id: OrderId

    @property
    def stream(self) -> str:
        return self.order_id


class OrderCommand(Command):
    """A command to one order's stream."""

    order_id: OrderId

    @property
    def stream(self) -> str:
        return self.order_id


class SkuEvent(Event):
    """An event of one SKU's stream."""

    sku: Sku

    @property
    def stream(self) -> str:
        return f"sku/{self.sku}"


class SkuCommand(Command):
    """A command to one SKU's stream."""

    sku: Sku

    @property
    def stream(self) -> str:
        return f"sku/{self.sku}"
