"""Who waits for a SKU, as the log tells it: orders and held baskets, their places, and what each lacks.

For `proof_queue`, which holds what is given and taken against them.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field
from datetime import datetime, timedelta

from libs.events.inventory import QueueChange, ReservationBroken, StockBackordered, StockPegged, StockReserved
from libs.events.order import LineQuantity
from libs.events.policy import STANDARD_RANK, OrderPolicy
from libs.events.promise import HoldsBroken, HoldsFilled, PromiseHeld, promise_stream
from libs.events.record import record
from services.inventory.stock import AnyMovement

Place = tuple[int, datetime, str]
"""A smaller place is served first."""
STANDARD = OrderPolicy(version=1)
Promise = StockReserved | StockBackordered


@record
class Waiter:
    """What the place of an order or a basket depends on, and what it may have."""

    since: datetime
    policy: OrderPolicy
    channel: str | None
    channel_known: bool
    places: Mapping[str, datetime] = field(default_factory=dict)
    """Since when it waits for SKUs of which it took over a basket's place."""

    def place(self, order_id: str, sku: str) -> Place:
        """An order that moves up with age stands where one of rank 50 would that is so much older."""
        policy, since = self.policy, self.places.get(sku, self.since)
        if "/" in order_id:
            order_id = f"~{order_id}"  # of a basket: behind the order that took it over
        if policy.step_days is None:
            return policy.rank, since, order_id
        days = (policy.rank - STANDARD_RANK) * policy.step_days
        return STANDARD_RANK, since + timedelta(days=days), order_id


@record
class Wait:
    """Units that an order waits for."""

    units: int
    seen: int
    """The SKU's position up to which nobody has taken units as though it did not wait."""
    whole: bool = False
    """All of them, or none."""
    passed: bool = False
    """They were there when it looked, and units of other SKUs lacked."""


def met(event: Promise, before: Waiter | None) -> Waiter:
    """The order as its promise tells of it. Without terms it does not tell the channel: what was told once
    holds on, as long as the order was followed."""
    channel = event.channel or (None if before is None else before.channel)
    known = channel is not None or event.round == 1 or (before is not None and before.channel_known)
    policy = event.policy or (STANDARD if before is None else before.policy)
    places = {place.sku: place.since for place in event.places or ()}
    return Waiter(event.since, policy, channel, known, places)


def basket(event: PromiseHeld) -> Waiter:
    """A held basket that waits: what others were promised is never given to it."""
    since = event.expires_at - timedelta(seconds=event.ttl_seconds)
    policy = (event.policy or STANDARD).model_copy(update={"reallocates": False})
    return Waiter(since, policy, event.channel, channel_known=True)


def lacks(event: Promise, sku: str, position: int) -> Wait | None:
    """What the order waits for of a SKU once it was promised what there was."""
    if isinstance(event, StockReserved):
        units = _units(event.later or (), sku)
        return Wait(units, position) if units else None
    short = sum(one.quantity for one in event.short if one.sku == sku)
    if event.policy is not None and event.policy.policy == "all_or_nothing":
        return Wait(_units(event.lines, sku), position, whole=True, passed=not short)
    return Wait(short, position) if short else None


def _units(lines: Iterable[LineQuantity], sku: str) -> int:
    return sum(line.quantity for line in lines if line.sku == sku)


def units_of(event: StockPegged | ReservationBroken | HoldsFilled | HoldsBroken) -> dict[str, int]:
    """Units by who wins or loses them: orders, and baskets by their streams."""
    if isinstance(event, HoldsFilled | HoldsBroken):
        return {promise_stream(one.promise_id): one.quantity for one in event.holds}
    return {one.order_id: one.quantity for one in event.claims}


def position_of(change: QueueChange, movements: Iterable[AnyMovement]) -> int:
    """Behind which of the SKU's movements a change of its queue stands, or with which it comes."""
    if change.up_to is not None:
        return change.up_to
    return max((move.position for move in movements if move.sku == change.sku), default=0)


def misallotted(
    sku: str, line: Iterable[tuple[str, Waiter, Wait]], given: Mapping[str, int], losers: Sequence[Place]
) -> str:
    """What is wrong with units that `losers` have just lost, held against who of the line may have them."""
    winners = list[Place]()
    for order_id, order, wait in reversed([*line]):
        place, got = order.place(order_id, sku), given.get(order_id, 0)
        gives = f"gives {got} promised units of {sku} to order {order_id}"
        if got > wait.units:
            return f"{gives}, which lacks {wait.units}"
        if got and not order.policy.reallocates:
            return f"{gives}, whose policy does not let it have them"
        if got and losers and losers[-1] < place:
            return f"{gives}, none of which stood behind it"
        if winners and order.policy.reallocates and not wait.whole and wait.units > got:
            return (
                f"gives promised units of {sku} to order {winners[-1][2]} before order {order_id}, "
                f"which lacks {wait.units - got} and may have them too"
            )
        if got:
            winners.append(place)
    if winners and losers and losers[0] < winners[-1]:
        return f"gives units of order {losers[0][2]} to others, all of which stand behind it"
    return ""
