"""Examples of held promises and of what is configured about promises."""

from datetime import timedelta
from typing import Any

from libs.events import promise as p
from libs.events.inventory import TermsUsed
from tests.contract.example_parts import HEART, LANTERN, ORDER, PLACED_AT, Pairs

PROMISE = "basket-7731"
HEARTS_WANTED = p.Wanted(sku=HEART, quantity=6)
WANTED = (HEARTS_WANTED, p.Wanted(sku=LANTERN, quantity=2))
UNTIL = PLACED_AT + timedelta(minutes=15)
AT: dict[str, Any] = {"promise_id": PROMISE, "position": 2}


def soft(source: p.SoftBucket, target: p.SoftBucket) -> tuple[p.HoldMovement, ...]:
    return (p.HoldMovement(sku=HEART, source=source, target=target, quantity=6, position=12),)


SHARES = (p.Share(channel="marketplace", units=5, lends_to=("web",)),)
HELD: Pairs = (
    (
        p.DefinePromiseTerms(sku=HEART, safety_stock=2, shares=SHARES),
        p.DefinePromiseTerms(sku=HEART),
    ),
    (
        p.PromiseTermsDefined(sku=HEART, terms_version=3, safety_stock=2, shares=SHARES),
        p.PromiseTermsDefined(sku=HEART, terms_version=1),
    ),
    (
        p.HoldStock(promise_id=PROMISE, lines=WANTED, ttl_seconds=900, channel="web"),
        p.HoldStock(promise_id=PROMISE, lines=(HEARTS_WANTED,)),
    ),
    (
        p.ReleasePromise(promise_id=PROMISE, reason="The basket was emptied."),
        p.ReleasePromise(promise_id=PROMISE),
    ),
    (
        p.PromiseHeld(
            promise_id=PROMISE,
            position=1,
            lines=WANTED,
            ttl_seconds=900,
            expires_at=UNTIL,
            channel="web",
            terms=(TermsUsed(sku=HEART, version=3),),
            movements=soft("unreserved", "held"),
        ),
        p.PromiseHeld(
            promise_id=PROMISE,
            position=1,
            lines=(HEARTS_WANTED,),
            ttl_seconds=900,
            expires_at=UNTIL,
            movements=soft("unreserved", "held"),
        ),
    ),
    (
        p.PromiseExpired(**AT, movements=soft("held", "unreserved")),
        p.PromiseExpired(**AT, movements=()),
    ),
    (
        p.PromiseReleased(
            **AT, cause="asked", reason="The basket was emptied.", movements=soft("held", "unreserved")
        ),
        p.PromiseReleased(**AT, cause="broken", movements=()),
    ),
    (
        p.PromiseConfirmed(order_id=ORDER, **AT, left=True, movements=soft("held", "reserved")),
        p.PromiseConfirmed(order_id=ORDER, **AT, movements=()),
    ),
    (
        p.PromiseMissed(order_id=ORDER, promise_id=PROMISE, cause="unknown", position=1),
        p.PromiseMissed(order_id=ORDER, promise_id=PROMISE, cause="expired"),
    ),
    (
        p.HoldsBroken(
            sku=HEART,
            holds=(p.HeldUnits(promise_id=PROMISE, quantity=6),),
            movements=soft("held", "unreserved"),
        ),
        p.HoldsBroken(sku=HEART, holds=(p.HeldUnits(promise_id=PROMISE, quantity=1),), movements=()),
    ),
)
