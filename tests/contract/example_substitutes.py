"""Examples of substitutes, and of an order for which some are looked at."""

from typing import Any

from libs.events import substitutes as s
from libs.events.order import LineQuantity
from libs.events.policy import OrderPolicy
from tests.contract.example_parts import CONTACT, DESTINATION, HEART, LANTERN, ORDER, PLACED_AT, Pairs

SOUGHT: dict[str, Any] = {
    "order_id": ORDER,
    "lines": (LineQuantity(line=1, sku=HEART, quantity=6),),
    "candidates": (LANTERN,),
    "since": PLACED_AT,
    "destination": DESTINATION,
    "policy": OrderPolicy(version=3, rank=20, wait_days=14, step_days=2, substitutes=True),
}
SUBSTITUTES: Pairs = (
    (
        s.DefineSubstitutes(sku=HEART, substitutes=(LANTERN, "22752")),
        s.DefineSubstitutes(sku=HEART, substitutes=()),
    ),
    (
        s.SubstitutesDefined(sku=HEART, version=2, substitutes=(LANTERN,)),
        s.SubstitutesDefined(sku=HEART, version=1, substitutes=()),
    ),
    (
        s.SubstitutesSought(**SOUGHT, contact=CONTACT, channel="web", service="express"),
        s.SubstitutesSought(**SOUGHT),
    ),
)
