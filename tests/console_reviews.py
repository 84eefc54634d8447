"""The lives of orders of which a plan was held for review."""

from typing import Any

from libs.events.changes import LinesReleased
from libs.events.contract import Event
from libs.events.fulfillment import FulfillmentCancelled, FulfillmentCompleted
from libs.events.intake import OrderAccepted, OrderCancellationRequested, OrderClosed
from libs.events.inventory import Shortage, StockAllocated, StockBackordered, StockReleased, StockReserved
from libs.events.order import NodeLines, Reason
from libs.events.routing import Candidate, OrderRouted, Reviewed, RoutingHeld
from tests.console_lives import BOTH, LIVES, Life, terms
from tests.console_parts import GB, T0, move

FAR = Reason(code="too_far", message="LON: 912.0 km in all; more than 800 km are reviewed.")
AT_LON = (NodeLines(node="LON", lines=BOTH),)


def plan(order_id: str, round: int) -> dict[str, Any]:
    chosen = Candidate(nodes=("LON",), chosen=True, distance_km=912.0, units=12, reason="has everything")
    near = Candidate(nodes=("MAN",), chosen=False, distance_km=9.5, units=3, reason="has 3 of 12 units")
    known = {"candidates": (chosen, near), "rule_version": 1, "nodes_version": 3}
    return {"order_id": order_id, "round": round, "nodes": AT_LON, **known}


def held(order_id: str, round: int = 1) -> RoutingHeld:
    made_from: dict[str, Any] = {"lines": BOTH, "availability": (), "destination": GB}
    return RoutingHeld(**plan(order_id, round), **made_from, reasons=(FAR,))


def passed(order_id: str, round: int = 1, reason: str = "A good customer.") -> OrderRouted:
    return OrderRouted(**plan(order_id, round), reviewed=Reviewed(reason=reason))


def reserved(order_id: str, round: int = 1) -> StockReserved:
    promised = {"availability": (), "since": T0, "destination": GB, "movements": ()}
    return StockReserved.model_validate({"order_id": order_id, "round": round, "lines": BOTH, **promised})


def reviewed(order_id: str) -> Life:
    """Delivered: its first plan was held, and overtaken as units were lost; its second was approved."""
    life = LIVES["delivered"](order_id)
    waits: dict[str, Any] = {"since": T0, "destination": GB, "short": (Shortage(sku="A", quantity=1),)}
    promised: list[Event] = [
        reserved(order_id),
        StockBackordered(order_id=order_id, round=2, lines=BOTH, **waits, movements=()),
        reserved(order_id, 2),
        StockAllocated(order_id=order_id, round=2, nodes=AT_LON, destination=GB, movements=()),
    ]
    work = [
        event.model_copy(update={"round": 2}) if hasattr(event, "round") else event
        for event in life["fulfillment"]
    ]
    return {
        **life,
        "inventory": [*promised, *life["inventory"][2:]],
        "routing": [held(order_id), held(order_id, 2), passed(order_id, 2)],
        "fulfillment": work,
    }


def turned_down(order_id: str) -> Life:
    """Held for review, and cancelled as nobody approved it."""
    given_up = (move("A", "*", "reserved", "unreserved", 10), move("B", "*", "reserved", "unreserved", 2))
    return {
        "intake": [
            OrderAccepted(**terms(order_id)),
            OrderCancellationRequested(order_id=order_id, reason="Too far.", lines=BOTH),
            OrderClosed(order_id=order_id, outcome="cancelled"),
        ],
        "inventory": [
            reserved(order_id),
            StockReleased(order_id=order_id, lines=BOTH, movements=given_up),
        ],
        "routing": [held(order_id)],
        "fulfillment": [
            FulfillmentCancelled(order_id=order_id, lines=BOTH, reason="Too far."),
            FulfillmentCompleted(order_id=order_id, outcome="cancelled", cancelled=BOTH),
        ],
    }


def nothing_left(order_id: str) -> list[Event]:
    """Inventory's, of an order that is held: all of its lines are cancelled, one after the other."""
    return [reserved(order_id), LinesReleased(order_id=order_id, lines=BOTH, movements=())]
