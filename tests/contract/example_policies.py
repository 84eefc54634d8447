"""Examples of reservation policies, and of what they bring about."""

from libs.events import policy as p
from libs.events.order import LineQuantity
from tests.contract.example_bundles import UNPACKED
from tests.contract.example_parts import HEART, LANTERN, ORDER, PLACED_AT, Pairs

CLASSES = (p.PriorityClass(name="express", rank=10), p.PriorityClass(name="wholesale contract", rank=20))
RULES = (
    p.PolicyRule(
        channel="web",
        order_type="consumer",
        service="express",
        priority="express",
        policy="partial",
        wait_days=14,
        then="cancel",
        reallocates=True,
    ),
    p.PolicyRule(order_type="wholesale", priority="wholesale contract", policy="all_or_nothing"),
)
POLICIES: Pairs = (
    (
        p.DefineReservationPolicies(classes=CLASSES, rules=RULES),
        p.DefineReservationPolicies(rules=()),
    ),
    (
        p.ReservationPoliciesDefined(version=3, classes=CLASSES, rules=RULES),
        p.ReservationPoliciesDefined(version=1, rules=()),
    ),
    (
        p.BackorderLapsed(
            order_id=ORDER,
            lines=(LineQuantity(line=1, sku=HEART, quantity=6),),
            rest=(LineQuantity(line=2, sku=LANTERN, quantity=2),),
            since=PLACED_AT,
            wait_days=14,
            bundles=UNPACKED,
        ),
        p.BackorderLapsed(
            order_id=ORDER,
            lines=(LineQuantity(line=1, sku=HEART, quantity=6),),
            since=PLACED_AT,
            wait_days=14,
        ),
    ),
    (
        p.BackordersCalled(sku=HEART, orders=(ORDER, "order-2")),
        p.BackordersCalled(sku=HEART, orders=(ORDER,)),
    ),
)
