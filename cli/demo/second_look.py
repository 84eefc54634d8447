"""The demo's careful colleague, who looks twice at some orders whose payment waits. No part of the product.

Of an order that is held anyway they place a hold of their own, cancel a unit that the customer does not want
any more, write a note, and let it go once the payment is there. No I/O here.
"""

from dataclasses import dataclass

from cli.demo.actors import Heard, Order
from cli.demo.people import share
from libs.events.changes import CancelLines, LineUnits, PlaceHold
from libs.events.contract import Event
from libs.events.ids import command_id
from libs.events.intake import HoldReleased, OrderHeld, ReleaseHold

LOOKED_AT_ONE_IN = 3
"""Of the orders that are held for their payment alone."""
HOLD = "customer_request"


@dataclass(frozen=True, slots=True)
class Note:
    """What is to be written on an order."""

    order_id: str
    text: str


class SecondLook:
    """Holds, cancels a unit, notes and releases; before support, which releases the payment."""

    hears: tuple[type[Event], ...] = (OrderHeld, HoldReleased)

    def __init__(self, tenant: str) -> None:
        self._tenant = tenant
        self.notes: list[Note] = []
        """Not written yet."""

    def answer(self, heard: Heard) -> list[Order]:
        match heard.body:
            case OrderHeld() as held if _chosen(held):
                line = max(held.lines, key=lambda one: (one.quantity, -one.line))
                message = "The customer rang and wants to think it over."
                fewer = (LineUnits(line=line.line, quantity=1),)
                return [
                    self._order(held.order_id, PlaceHold(order_id=held.order_id, hold=HOLD, message=message)),
                    self._order(
                        held.order_id,
                        CancelLines(order_id=held.order_id, lines=fewer, reason="one less is enough"),
                    ),
                ]
            case HoldReleased(hold="payment", order_id=of, remaining=(hold,)) if hold == HOLD:
                note = Note(of, "Rang on Tuesday: keeps the order, one unit less.")
                if note not in self.notes:
                    self.notes.append(note)
                return [self._order(of, ReleaseHold(order_id=of, hold=HOLD, note="they keep it"))]
        return []

    def _order(self, of: str, body: PlaceHold | CancelLines | ReleaseHold) -> Order:
        return Order("intake", command_id(self._tenant, f"second look {body.TYPE} {of}"), body)


def _chosen(held: OrderHeld) -> bool:
    """Some of those that wait for their payment, and have a unit to spare."""
    alone = [hold.name for hold in held.holds] == ["payment"]
    spare = sum(line.quantity for line in held.lines) > 1
    return alone and spare and share(f"{held.external_id} second look", LOOKED_AT_ONE_IN) == 0
