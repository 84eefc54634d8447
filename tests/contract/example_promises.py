"""Examples of held promises and of what is configured about promises."""

from datetime import timedelta
from typing import Any

from libs.events import availability as a
from libs.events import promise as p
from libs.events.dates import Due
from libs.events.inventory import QueueChange
from libs.events.policy import OrderPolicy, TermsUsed
from tests.contract.example_dates import DELIVERY
from tests.contract.example_parts import DESTINATION, HEART, LANTERN, ORDER, PLACED_AT, Pairs

PROMISE = "basket-7731"
HEARTS_WANTED = p.Wanted(sku=HEART, quantity=6)
WANTED = (HEARTS_WANTED, p.Wanted(sku=LANTERN, quantity=2))
UNTIL = PLACED_AT + timedelta(minutes=15)
AT: dict[str, Any] = {"promise_id": PROMISE, "position": 2}


def soft(source: p.SoftBucket, target: p.SoftBucket) -> tuple[p.HoldMovement, ...]:
    return (p.HoldMovement(sku=HEART, source=source, target=target, quantity=6, position=12),)


SHARES = (p.Share(channel="marketplace", units=5, lends_to=("web",)),)
SOLD: dict[str, Any] = {
    "channels": (p.ChannelTerms(channel="pos", buffer=1, sold_out_at=2, shown_max=20, shelf_days_min=30),),
    "low_at": 10,
    "recovered_at": 15,
}
HELD: Pairs = (
    (
        p.DefinePromiseTerms(sku=HEART, safety_stock=2, shares=SHARES, **SOLD),
        p.DefinePromiseTerms(sku=HEART),
    ),
    (
        p.PromiseTermsDefined(sku=HEART, terms_version=3, safety_stock=2, shares=SHARES, **SOLD),
        p.PromiseTermsDefined(sku=HEART, terms_version=1),
    ),
    (
        a.SkuAvailability(
            sku=HEART,
            version=31,
            position=12,
            terms_version=3,
            available=11,
            channels=(a.ChannelAvailability(channel="marketplace", available=16, shown=16),),
            low=True,
        ),
        a.SkuAvailability(sku=HEART, version=1, position=0, available=0),
    ),
    (
        a.StockLow(sku=HEART, free=10, low_at=10, terms_version=3),
        a.StockLow(sku=HEART, free=0, low_at=0, terms_version=1),
    ),
    (
        a.StockRecovered(sku=HEART, free=15, terms_version=3),
        a.StockRecovered(sku=HEART, free=1, terms_version=1),
    ),
    (
        p.HoldStock(
            promise_id=PROMISE,
            lines=WANTED,
            ttl_seconds=900,
            channel="web",
            destination=DESTINATION,
            service="express",
            order_type="gift",
        ),
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
            delivery=DELIVERY,
            policy=OrderPolicy(
                version=3,
                policy="all_or_nothing",
                rank=20,
                wait_days=14,
                then="ship",
                reallocates=True,
                substitutes=True,
                step_days=2,
            ),
            queue=(QueueChange(sku=HEART, number=2),),
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
        p.PromiseConfirmed(
            order_id=ORDER, **AT, left=True, delivery=DELIVERY, movements=soft("held", "reserved")
        ),
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
    (
        p.HoldsFilled(
            sku=HEART,
            holds=(p.HeldUnits(promise_id=PROMISE, quantity=6),),
            terms_version=3,
            supplied=True,
            queue=(QueueChange(sku=HEART, number=3),),
            movements=soft("unreserved", "held"),
        ),
        p.HoldsFilled(
            sku=HEART,
            holds=(p.HeldUnits(promise_id=PROMISE, quantity=1),),
            queue=(QueueChange(sku=HEART, number=3, up_to=7),),
            movements=(),
        ),
    ),
    (
        p.PromiseDated(
            **AT,
            skus=(Due(sku=HEART, quantity=4, supply_id="PO-4711", usable_at=UNTIL),),
            usable_at=UNTIL,
            told_before=PLACED_AT,
            delivery=DELIVERY,
        ),
        p.PromiseDated(**AT),
    ),
)
