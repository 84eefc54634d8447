"""Contracts of what may be waited for: how many units of a SKU beyond its stock, when, and what was refused.

A pre-order is a backorder of a SKU of which nothing has come yet: the same terms say from when, until when
and how many.
"""

from typing import Annotated, ClassVar, Literal

from pydantic import AwareDatetime, Field

from libs.events.contract import Count, Name, OrderEvent, Sku, Value
from libs.events.order import LineQuantity, Unpacked

RefusedFor = Literal[
    "backorder_full",  # as many wait as may
    "backorder_not_open",  # nobody may wait for it yet
    "backorder_closed",  # nobody may any more
]


class ChannelBackorders(Value):
    """Units that orders of one channel may wait for at most, within what all may."""

    channel: Name
    units_max: Count


class Backorders(Value):
    """How many units of a SKU may be waited for beyond its stock, and when. Of several caps each counts; what
    is left out does not limit."""

    units_max: Count | None = None
    inbound: bool = False
    """At most what is to come: open purchase orders, and transfers on their way."""
    channels: Annotated[tuple[ChannelBackorders, ...], Field(max_length=100)] = ()
    opens_at: AwareDatetime | None = None
    """Nobody may wait for it before."""
    closes_at: AwareDatetime | None = None
    """Nobody may begin to wait for it from then on."""


class OpenBackorders(Value):
    """What may still be waited for of a SKU, where its terms limit that."""

    units: Count | None = None
    """Units that may be waited for beyond those that are, while it is open; None, any number."""
    opens_at: AwareDatetime | None = None
    closes_at: AwareDatetime | None = None


class NotAvailable(Value):
    """Why lines of one SKU were refused."""

    sku: Sku
    lacking: Annotated[int, Field(strict=True, ge=1)]
    """Units of the refused lines that are not there."""
    open: Count = 0
    """Units that might still have been waited for."""
    reason: RefusedFor
    terms_version: Annotated[int, Field(ge=1)]
    """By which of the SKU's terms."""


class BackorderRefused(OrderEvent):
    """Units of these lines lack, and more of them than may be waited for: they are given up as the order is
    accepted, each line as a whole, and hold nothing. Fulfillment, which knows what is left of the order,
    cancels them."""

    TYPE: ClassVar[str] = "oms.inventory.backorder_refused"

    lines: Annotated[tuple[LineQuantity, ...], Field(min_length=1)]
    why: Annotated[tuple[NotAvailable, ...], Field(min_length=1)]
    rest: tuple[LineQuantity, ...] = ()
    """What else was ordered, and goes on."""
    bundles: Unpacked | None = None
    """Ordered lines that are fulfilled by the lines of their parts, where there are any."""


_WHY: dict[RefusedFor, str] = {
    "backorder_full": "{lacking} of {sku} lack, and no more than {open} may still be waited for",
    "backorder_not_open": "{lacking} of {sku} lack, and it cannot be waited for yet",
    "backorder_closed": "{lacking} of {sku} lack, and it cannot be waited for any more",
}


def why_refused(event: BackorderRefused) -> str:
    """A sentence for people."""
    found = "; ".join(_WHY[one.reason].format(**one.model_dump()) for one in event.why[:5])
    return f"Not available: {found}{'' if len(event.why) <= 5 else ' and others'}."


BACKORDER_EVENTS = (BackorderRefused,)
