"""Where each unit of an order is, line by line. Units only ever move between places, so none is lost here."""

from collections.abc import Iterable, Mapping
from typing import Any, Literal, Protocol

from libs.events.fulfillment import FulfillmentCompleted
from libs.events.intake import Outcome
from libs.events.order import LineQuantity, Unpacked, in_parts
from libs.events.record import record

Place = Literal["in_work", "awaiting", "delivered", "lost", "cancelled", "unroutable"]


class Units(Protocol):
    """So many units of a line: `LineQuantity`, and what looks like it."""

    @property
    def line(self) -> int: ...
    @property
    def sku(self) -> str: ...
    @property
    def quantity(self) -> int: ...


@record
class Account:
    """One order line. `ordered` is the sum of all places, always."""

    line: int
    sku: str
    ordered: int = 0
    in_work: int = 0
    """With a node or under way."""
    awaiting: int = 0
    """Not found at a pick; inventory and routing source them again."""
    delivered: int = 0
    lost: int = 0
    cancelled: int = 0
    unroutable: int = 0


Accounts = Mapping[int, Account]


_ORDERED = 2
_POSITIONS: Mapping[Place, int] = {
    "in_work": 3,
    "awaiting": 4,
    "delivered": 5,
    "lost": 6,
    "cancelled": 7,
    "unroutable": 8,
}
"""Where a place stands among an account's fields."""


def _fields(account: Account) -> list[Any]:
    # Spelt out, as this runs for each line of each order: dataclasses.replace costs three times as much.
    return [
        account.line,
        account.sku,
        account.ordered,
        account.in_work,
        account.awaiting,
        account.delivered,
        account.lost,
        account.cancelled,
        account.unroutable,
    ]


def entered(accounts: Accounts, lines: Iterable[Units], target: Place) -> dict[int, Account]:
    """Units that the order is now known to have, put at `target`."""
    after, to = dict(accounts), _POSITIONS[target]
    for units in lines:
        line, quantity = units.line, units.quantity
        account = after.get(line)
        fields: list[Any] = _fields(account) if account else [line, units.sku, 0, 0, 0, 0, 0, 0, 0]
        fields[_ORDERED] += quantity
        fields[to] += quantity
        after[line] = Account(*fields)
    return after


def moved(accounts: Accounts, lines: Iterable[Units], source: Place, target: Place) -> dict[int, Account]:
    """Units from one place to another. Each line must have that many at `source`."""
    after, from_, to = dict(accounts), _POSITIONS[source], _POSITIONS[target]
    for units in lines:
        fields = _fields(after[units.line])
        fields[from_] -= units.quantity
        fields[to] += units.quantity
        assert fields[from_] >= 0, f"line {units.line}: more units leave {source} than are there"
        after[units.line] = Account(*fields)
    return after


def place(accounts: Accounts, which: Place) -> tuple[LineQuantity, ...]:
    """All units at a place, by line."""
    found = ((account, getattr(account, which)) for account in accounts.values())
    return tuple(
        LineQuantity(line=account.line, sku=account.sku, quantity=quantity)
        for account, quantity in found
        if quantity
    )


def merged(*groups: Iterable[Units]) -> tuple[LineQuantity, ...]:
    """The same units, each line once, in the order of first mention."""
    total: dict[int, tuple[str, int]] = {}
    for group in groups:
        for units in group:
            sku, quantity = total.get(units.line, (units.sku, 0))
            total[units.line] = sku, quantity + units.quantity
    return tuple(
        LineQuantity(line=line, sku=sku, quantity=quantity) for line, (sku, quantity) in total.items()
    )


def once(lines: tuple[LineQuantity, ...]) -> tuple[LineQuantity, ...]:
    """The same units, each line once: the very same object where they are so, as they nearly always are."""
    return lines if len({units.line for units in lines}) == len(lines) else merged(lines)


def less(lines: Iterable[Units], gone: Iterable[Units]) -> tuple[LineQuantity, ...]:
    """`lines` without `gone`, each line once; what is gone beyond them is ignored."""
    taken = {units.line: units.quantity for units in merged(gone)}
    return tuple(
        LineQuantity(line=units.line, sku=units.sku, quantity=left)
        for units in merged(lines)
        if (left := units.quantity - taken.get(units.line, 0)) > 0
    )


def both(lines: Iterable[Units], limit: Mapping[int, int]) -> tuple[LineQuantity, ...]:
    """`lines`, no line beyond its limit; a line without a limit has none to give."""
    if not any(limit.values()):
        return ()
    return tuple(
        LineQuantity(line=units.line, sku=units.sku, quantity=quantity)
        for units in merged(lines)
        if (quantity := min(units.quantity, limit.get(units.line, 0))) > 0
    )


def resolved(accounts: Accounts) -> bool:
    """Nothing is in work and nothing awaited, of an order that is known."""
    return bool(accounts) and not any(account.in_work or account.awaiting for account in accounts.values())


def unpacked(accounts: Accounts, bundles: Unpacked) -> dict[int, Account]:
    """The accounts with the awaited units of bundles as those of their parts: all, without those of what was
    cancelled as it was ordered, which stays so. Inventory cuts them alike."""
    after = dict(accounts)
    for bundle in bundles:
        account = after.pop(bundle.line, None)
        if account is None:
            continue
        after = entered(after, place({bundle.line: account}, "cancelled"), "cancelled")
        boxes, gone = list[LineQuantity](), bundle.quantity - account.awaiting
        if gone > 0:
            boxes.append(LineQuantity(line=bundle.line, sku=bundle.sku, quantity=gone))
        after = entered(after, less(bundle.parts, in_parts((bundle,), boxes)), "awaiting")
    return after


def without_boxes(accounts: Accounts, bundles: Unpacked, boxes: Iterable[LineQuantity]) -> dict[int, Account]:
    """The accounts as if these bundles had been cancelled, as ordered, before others were unpacked: what is
    heard of several topics may be folded in another order than it was heard in."""
    after, awaiting, gone = dict(accounts), _POSITIONS["awaiting"], tuple(boxes)
    there = {account.line: account.awaiting for account in accounts.values()}
    for units in in_parts(bundles, gone, there):
        fields = _fields(after.pop(units.line))
        fields[_ORDERED] -= units.quantity
        fields[awaiting] -= units.quantity
        assert fields[awaiting] >= 0, f"line {units.line}: more units are cancelled than are awaited"
        if fields[_ORDERED]:
            after[units.line] = Account(*fields)
    return entered(after, gone, "cancelled")


def completion(order_id: str, accounts: Accounts, bundles: Unpacked | None = None) -> FulfillmentCompleted:
    """How an order ended whose last unit is resolved."""
    delivered, lost = place(accounts, "delivered"), place(accounts, "lost")
    cancelled, unroutable = place(accounts, "cancelled"), place(accounts, "unroutable")
    outcome: Outcome = (
        ("partly_delivered" if lost or cancelled or unroutable else "delivered")
        if delivered
        else "lost"
        if lost
        else "cancelled"
        if cancelled
        else "unroutable"
    )
    return FulfillmentCompleted(
        order_id=order_id,
        outcome=outcome,
        delivered=delivered,
        lost=lost,
        cancelled=cancelled,
        unroutable=unroutable,
        bundles=bundles,
    )
