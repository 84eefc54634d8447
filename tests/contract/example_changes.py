"""Examples of what support does to an order under way: cancelled lines, holds placed by hand, notes."""

from datetime import date

from libs.events import changes as c
from libs.events.inventory import QueueChange
from libs.events.order import LineQuantity, NodeLines, Sealed
from libs.events.places import DayLoad
from tests.contract.example_parts import BOTH, FO, HEART, ONE, ORDER, Pairs, move

AT = {"order_id": ORDER, "cancellation_id": f"{ORDER}-C1"}
NOTE = Sealed(subject="c:17850", nonce="A" * 16, ciphertext="b3JkZXJsb2c" + "A" * 21)
STOPPED = (c.StoppedUnits(fulfillment_order_id=FO, node="LON", lines=ONE),)
KEPT = (c.KeptUnits(line=1, sku=HEART, quantity=1, code="picked"),)
LOADS = (DayLoad(node="LON", day=date(2010, 12, 6), units=-1, look=True),)
BACK = (NodeLines(node="LON", lines=(LineQuantity(line=1, sku=HEART, quantity=1),)),)

CHANGES: Pairs = (
    (
        c.CancelLines(
            order_id=ORDER, lines=(c.LineUnits(line=1, quantity=2),), reason="Two would be too many."
        ),
        c.CancelLines(order_id=ORDER, lines=(c.LineUnits(line=1, quantity=2),)),
    ),
    *[
        (hold(order_id=ORDER, hold="fraud_review", message="Ask the bank."),) * 2
        for hold in (c.PlaceHold, c.HoldPlaced)
    ],
    *[(note(order_id=ORDER, note=NOTE),) * 2 for note in (c.AddNote, c.NoteAdded)],
    (
        c.LineCancellationRequested(**AT, lines=ONE, ordered=BOTH, reason="Two would be too many."),
        c.LineCancellationRequested(**AT, lines=ONE, ordered=BOTH),
    ),
    (c.OrderResumed(order_id=ORDER),) * 2,
    (
        c.LinesCancelled(**AT, lines=ONE, work=STOPPED, reason="Two would be too many."),
        c.LinesCancelled(**AT, lines=ONE),
    ),
    (c.LineCancellationDeclined(**AT, lines=KEPT, reason="Too late: it is picked already."),) * 2,
    (c.HoldDeclined(order_id=ORDER, hold="fraud_review", reason="Too late: LON has it."),) * 2,
    (c.AllocationDeclined(order_id=ORDER, round=1, nodes=BACK),) * 2,
    (
        c.LinesReleased(
            order_id=ORDER,
            lines=ONE,
            loads=LOADS,
            queue=(QueueChange(sku=HEART, number=2, up_to=4),),
            movements=move("allocated", "on_hand", position=5),
        ),
        c.LinesReleased(order_id=ORDER, movements=()),
    ),
)
