"""Examples of an order that is amended after it was placed, and of what becomes of its plan."""

from datetime import date

from libs.events import amendments as a
from libs.events.order import PartLine, UnpackedLine
from libs.events.places import DayLoad
from tests.contract.example_parts import AT_LONDON, BOTH, CONTACT, DESTINATION, ORDER, Pairs, move

TERMS = {"destination": DESTINATION, "contact": CONTACT, "mail": True, "service": "express"}
AT = {"order_id": ORDER, "amendment_id": f"{ORDER}-A1"}
WHY = "Moves house this week."
LOADS = (DayLoad(node="LON", day=date(2010, 12, 6), units=-8, look=True),)
LAMP = UnpackedLine(
    line=3,
    sku="LAMP-SET",
    quantity=1,
    bundle_version=1,
    parts=(PartLine(line=1001, sku="LAMP", quantity=2),),
)

AMENDMENTS: Pairs = (
    (a.AmendOrder(order_id=ORDER, reason=WHY, **TERMS), a.AmendOrder(order_id=ORDER)),
    *[
        (kind(**AT, reason=WHY, **TERMS), kind(**AT))
        for kind in (a.OrderAmendmentRequested, a.HeldOrderAmended)
    ],
    (a.OrderAmended(**AT, reason=WHY, **TERMS), a.OrderAmended(**AT)),
    (a.AmendmentDeclined(**AT, reason="Too late to amend: LON has it."),) * 2,
    (
        a.AllocationOutdated(order_id=ORDER, round=1, nodes=AT_LONDON, awaiting=(BOTH[0],), bundles=(LAMP,)),
        a.AllocationOutdated(order_id=ORDER, round=1, nodes=AT_LONDON),
    ),
    (
        a.StockDeallocated(
            order_id=ORDER,
            round=1,
            lines=BOTH,
            loads=LOADS,
            movements=move("allocated", "on_hand", position=5),
        ),
        a.StockDeallocated(order_id=ORDER, round=1, lines=BOTH, movements=()),
    ),
)
