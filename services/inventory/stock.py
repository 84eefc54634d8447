"""One SKU's stock: where its units are, who was promised some of them, and who waits for more.

For inventory's decisions, which lock a SKU's part before they read it. The queue of a SKU is its claims that
hold less than they want, served strictly by age: `since`, then order id. Units become free only by what
pegs them at once (a receipt, an adjustment) or leaves a `free` timer on the SKU (a release, a return), so
whenever the queue is not empty and units are free, such a timer is due; until then nobody else takes them.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter

from libs.events.contract import Event
from libs.events.inventory import (
    NETWORK,
    AdjustStock,
    Availability,
    Bucket,
    Claim,
    Movement,
    ReceiveStock,
    ReservationBroken,
    StockAdjusted,
    StockPegged,
    StockReceived,
)
from libs.events.record import record
from libs.events.supply import SupplyBucket, SupplyMovement

MOST_UNITS = 1_000_000_000
"""Units of one SKU that may be in the house, on hand and allocated; more is a typing error."""


@record
class OrderClaim:
    """What an order wants of a SKU and has no node for yet, and how much of it is promised."""

    wanted: int = 0
    held: int = 0
    since: str | None = None
    """ISO 8601: each change of a SKU writes all of its claims down, and a datetime takes twice as long."""


NO_CLAIM = OrderClaim()


@record
class SkuPart:
    """State of a stream `sku/…`: the sum of the SKU's movements, from whatever lane they came.

    Nothing at zero is kept. Folding is a sum, so the order in which lanes are folded does not matter.
    """

    position: int = 0
    """Movements so far; the next one is `position` + 1."""
    on_hand: dict[str, int] = field(default_factory=dict)
    """Units by node."""
    allocated: dict[str, int] = field(default_factory=dict)
    """Units by node."""
    reserved: int = 0
    """Sum of what the claims hold."""
    wanted: int = 0
    """Sum of what the claims want."""
    claims: dict[str, OrderClaim] = field(default_factory=dict)
    """By order id."""

    @property
    def free(self) -> int:
        """Units on hand that no order was promised."""
        return sum(self.on_hand.values()) - self.reserved

    @property
    def claimable(self) -> int:
        """Units that a new claim may take: none while others wait, for those are served first."""
        return 0 if self.wanted > self.reserved else self.free


EMPTY_SKU = SkuPart()
Moves = Iterable[Movement | SupplyMovement]
Skus = Mapping[str, SkuPart]
"""The SKU parts that a decision has before it, by SKU."""

# Parts of an event are validated all at once: a constructor each costs half as much again.
_MOVEMENTS = TypeAdapter(tuple[Movement, ...])
_AVAILABILITY = TypeAdapter(tuple[Availability, ...])


class Posting:
    """The movements of one event, numbered on from where each SKU stands."""

    def __init__(self, skus: Skus) -> None:
        self._skus = skus
        self._positions: dict[str, int] = {}
        self._posted: list[dict[str, Any]] = []

    def movements(self) -> tuple[Movement, ...]:
        """What was posted, validated."""
        return _MOVEMENTS.validate_python(self._posted)

    def post(
        self,
        sku: str,
        node: str,
        source: Bucket | SupplyBucket,
        target: Bucket | SupplyBucket,
        quantity: int,
    ) -> None:
        """Take `quantity` units from `source` to `target`; none is no movement."""
        assert quantity >= 0, f"{quantity} units of {sku} from {source} to {target}"
        if not quantity:
            return
        position = self._positions.get(sku)
        if position is None:
            position = self._skus.get(sku, EMPTY_SKU).position
        self._positions[sku] = position = position + 1
        self._posted.append(
            {
                "sku": sku,
                "node": node,
                "source": source,
                "target": target,
                "quantity": quantity,
                "position": position,
            }
        )


def added(sums: Mapping[str, int], key: str, delta: int) -> dict[str, int]:
    """A copy of `sums` with `delta` added at `key`; a sum of zero is left out."""
    copy = dict(sums)
    total = copy.pop(key, 0) + delta
    if total:
        copy[key] = total
    return copy


def _sums(part: SkuPart, movements: Moves) -> tuple[int, dict[str, int], dict[str, int], int]:
    """Position, on hand, allocated and reserved after these movements of the SKU."""
    position, reserved = part.position, part.reserved
    on_hand, allocated = part.on_hand, part.allocated
    for movement in movements:
        source, target, quantity = movement.source, movement.target, movement.quantity
        if movement.position > position:
            position = movement.position
        if source == "on_hand":
            on_hand = added(on_hand, movement.node, -quantity)
        elif source == "allocated":
            allocated = added(allocated, movement.node, -quantity)
        elif source == "reserved":
            reserved -= quantity
        if target == "on_hand":
            on_hand = added(on_hand, movement.node, quantity)
        elif target == "allocated":
            allocated = added(allocated, movement.node, quantity)
        elif target == "reserved":
            reserved += quantity
    return position, on_hand, allocated, reserved


def moved(part: SkuPart, movements: Moves) -> SkuPart:
    """The SKU after these movements of it; who holds `reserved` is for `claimed` to say."""
    return SkuPart(*_sums(part, movements), part.wanted, part.claims)


def claimed(part: SkuPart, changes: Iterable[tuple[str, int]]) -> SkuPart:
    """The SKU after claims won (+) or lost (−) units, each as (order id, units)."""
    claims = dict(part.claims)
    for order_id, won in changes:
        before = claims.pop(order_id, NO_CLAIM)
        wanted, held = before.wanted, before.held + won
        if wanted or held:
            claims[order_id] = OrderClaim(wanted, held, before.since)
    return SkuPart(part.position, part.on_hand, part.allocated, part.reserved, part.wanted, claims)


def asked(
    part: SkuPart, movements: Iterable[Movement], order_id: str, wanted: int, since: str | None
) -> SkuPart:
    """The SKU after these movements of it for an order, which wants `wanted` units of it from now on, and
    has waited `since`; None, as long as its claim says."""
    position, on_hand, allocated, reserved = _sums(part, movements)
    claims = dict(part.claims)
    before = claims.pop(order_id, NO_CLAIM)
    held = before.held + reserved - part.reserved
    if wanted or held:
        claims[order_id] = OrderClaim(wanted, held, since or before.since)
    return SkuPart(position, on_hand, allocated, reserved, part.wanted + wanted - before.wanted, claims)


def evolve_sku(
    part: SkuPart, event: StockReceived | StockAdjusted | StockPegged | ReservationBroken
) -> SkuPart:
    """The SKU after an event of its own stream."""
    after = moved(part, event.movements)
    match event:
        case StockPegged():
            return claimed(after, [(claim.order_id, claim.quantity) for claim in event.claims])
        case ReservationBroken():
            return claimed(after, [(claim.order_id, -claim.quantity) for claim in event.claims])
    return after


def availability(skus: Iterable[str], parts: Skus) -> tuple[Availability, ...]:
    """Unallocated units on hand by SKU and node, for routing."""
    return _AVAILABILITY.validate_python(
        [
            {"node": node, "sku": sku, "quantity": quantity}
            for sku in skus
            for node, quantity in sorted(parts[sku].on_hand.items())
        ]
    )


def receive(part: SkuPart, command: ReceiveStock) -> StockReceived:
    posting = Posting({command.sku: part})
    posting.post(command.sku, command.node, "supplier", "on_hand", command.quantity)
    return StockReceived(
        sku=command.sku,
        node=command.node,
        quantity=command.quantity,
        reference=command.reference,
        movements=posting.movements(),
    )


def adjust(part: SkuPart, command: AdjustStock) -> StockAdjusted:
    assert command.delta >= -part.on_hand.get(command.node, 0), "more is written off than is on hand"
    posting = Posting({command.sku: part})
    posting.post(command.sku, command.node, "adjustment", "on_hand", max(command.delta, 0))
    posting.post(command.sku, command.node, "on_hand", "written_off", max(-command.delta, 0))
    return StockAdjusted(
        sku=command.sku,
        node=command.node,
        delta=command.delta,
        reason_code=command.reason_code,
        reference=command.reference,
        movements=posting.movements(),
    )


def peg(sku: str, part: SkuPart) -> list[Event]:
    """Give the free units to those who wait, oldest first; nothing when nobody waits or nothing is free."""
    free = part.free
    assert free >= 0, f"{sku}: {-free} units are promised that do not exist"
    if not free or part.wanted == part.reserved:
        return []
    won = _share(
        free,
        (
            (order_id, claim.wanted - claim.held)
            for order_id, claim in _by_age(part.claims)
            if claim.wanted > claim.held
        ),
    )
    posting = Posting({sku: part})
    posting.post(sku, NETWORK, "unreserved", "reserved", sum(claim.quantity for claim in won))
    return [StockPegged(sku=sku, claims=won, movements=posting.movements())]


def break_youngest(sku: str, part: SkuPart, quantity: int) -> ReservationBroken:
    """Take `quantity` promised units back, from the youngest claims first."""
    lost = _share(
        quantity,
        ((order_id, claim.held) for order_id, claim in reversed(_by_age(part.claims)) if claim.held),
    )
    assert sum(claim.quantity for claim in lost) == quantity, f"{sku}: fewer units are promised than counted"
    posting = Posting({sku: part})
    posting.post(sku, NETWORK, "reserved", "unreserved", quantity)
    return ReservationBroken(sku=sku, claims=lost, movements=posting.movements())


def _share(units: int, takers: Iterable[tuple[str, int]]) -> tuple[Claim, ...]:
    """Hand out units in the takers' order, to each at most what it may take."""
    claims: list[Claim] = []
    for order_id, most in takers:
        quantity = min(units, most)
        claims.append(Claim(order_id=order_id, quantity=quantity))
        units -= quantity
        if not units:
            break
    return tuple(claims)


def _by_age(claims: Mapping[str, OrderClaim]) -> Sequence[tuple[str, OrderClaim]]:
    """Claims, oldest first."""

    def age(item: tuple[str, OrderClaim]) -> tuple[datetime, str]:
        order_id, claim = item
        assert claim.since is not None, f"nobody knows since when {order_id} waits"
        return datetime.fromisoformat(claim.since), order_id

    return sorted(claims.items(), key=age)
