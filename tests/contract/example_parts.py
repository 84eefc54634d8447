"""What the examples share: order 536365, two lines of a real catalogue, going from London to EC1."""

from datetime import UTC, datetime
from typing import Any

from libs.events import inventory as v
from libs.events.contract import Contract
from libs.events.order import Charge, Destination, LineQuantity, NodeLines, OrderLine, Reason, Sealed

Pairs = tuple[tuple[Contract, Contract], ...]
"""(full, minimal) of each type: with every field, and with only what must be given."""

ORDER = "b74d3f06-4883-59bd-a8f6-5110a281b227"
HEART, LANTERN = "85123A", "71053"
FO, SHIPMENT, RMA = f"{ORDER}-F1", f"{ORDER}-S1", f"{ORDER}-R1"
PLACED_AT = datetime(2010, 12, 1, 8, 26, tzinfo=UTC)
DELIVERED_AT = datetime(2010, 12, 3, 14, 5, tzinfo=UTC)

DESTINATION = Destination(country="GB", postcode_area="EC1", latitude=51.52, longitude=-0.1)
GB = Destination(country="GB")
# Sealed under a key that nobody has: what a reader without the keyring sees.
CONTACT = Sealed(
    subject="c:17850",
    generation=2,
    nonce="QhMboaezg+6BJabH",
    ciphertext="6tDZe1BBEukgwvg6sDclHNSrQNtuU081qMEXdOT9xrqrORd28x7q8KFpAg2vRprx3ugyOXYlAsHq6pOxrr1AWU7l",
)
HEARTS = LineQuantity(line=1, sku=HEART, quantity=6)
LANTERNS = LineQuantity(line=2, sku=LANTERN, quantity=2)
BOTH, ONE = (HEARTS, LANTERNS), (HEARTS,)
AT_LONDON = (NodeLines(node="LON", lines=BOTH),)
WHY = (Reason(code="no_node_ships_there", message="No active node ships to NZ."),)

MINIMAL_TERMS: dict[str, Any] = {
    "order_id": ORDER,
    "channel": "web",
    "external_id": "536365",
    "placed_at": PLACED_AT,
    "currency": "GBP",
    "lines": (OrderLine(line=1, sku=HEART, quantity=6, unit_price_minor=255),),
    "destination": GB,
}
FULL_TERMS: dict[str, Any] = MINIMAL_TERMS | {
    "lines": (
        OrderLine(
            line=1,
            sku=HEART,
            quantity=6,
            unit_price_minor=255,
            description="WHITE HANGING HEART T-LIGHT HOLDER",
        ),
        OrderLine(line=2, sku=LANTERN, quantity=2, unit_price_minor=339, description="WHITE METAL LANTERN"),
    ),
    "charges": (Charge(kind="postage", amount_minor=495),),
    "total_minor": 2703,
    "payment": "pending",
    "customer_id": "17850",
    "destination": DESTINATION,
    "contact": CONTACT,
}


def move(
    source: v.Bucket, target: v.Bucket, *, node: str = "LON", quantity: int = 6, position: int = 1
) -> tuple[v.Movement, ...]:
    """One movement of the hearts."""
    return (
        v.Movement(sku=HEART, node=node, source=source, target=target, quantity=quantity, position=position),
    )
