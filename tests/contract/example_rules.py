"""Examples of exception rules, of how they change, and of what people do about exceptions of stock."""

from typing import Any

from libs.events import exception_rules as r
from libs.events import stock_exceptions as x
from tests.contract.example_parts import HEART, PLACED_AT, Pairs

FULL = r.RuleTerms(
    kind="hold",
    which="payment",
    owner="operations",
    after_minutes=30,
    sla_minutes=240,
    next_step="Ask the bank, then release the hold.",
)
MINIMAL: dict[str, Any] = {
    "kind": "short_picked",
    "owner": "warehouse",
    "after_minutes": 0,
    "sla_minutes": 480,
}
WHY = "Support is out at weekends."
SILENT: dict[str, Any] = {"feed": "acme", "item": "feed_stale/acme", "since": PLACED_AT}
RULES: Pairs = (
    (
        r.ChangeExceptionRule(**vars(FULL), based_on=2, note=WHY),
        r.ChangeExceptionRule(**MINIMAL, based_on=0, note=WHY),
    ),
    (
        r.DropExceptionRule(kind="hold", which="payment", based_on=3, note=WHY),
        r.DropExceptionRule(kind="hold", based_on=3, note=WHY),
    ),
    (
        r.ExceptionRuleChanged(**vars(FULL), version=3, note=WHY),
        r.ExceptionRuleChanged(**MINIMAL, version=1, note=WHY),
    ),
    (
        r.ExceptionRuleDropped(kind="hold", which="payment", version=4, note=WHY),
        r.ExceptionRuleDropped(kind="hold", version=4, note=WHY),
    ),
    *[
        (
            assign(sku=HEART, item="phantom_stock/LON", since=PLACED_AT, assignee="ann@example"),
            assign(sku=HEART, item="low_stock", since=PLACED_AT),
        )
        for assign in (x.AssignStockException, x.StockExceptionAssigned)
    ],
    *[
        (
            assign(**SILENT, assignee="ann@example.com"),
            assign(**SILENT),
        )
        for assign in (x.AssignFeedException, x.FeedExceptionAssigned)
    ],
    *[
        (done, done)
        for done in (
            cared(**SILENT, until=PLACED_AT, why="They are on holiday.")
            for cared in (x.SnoozeFeedException, x.FeedExceptionSnoozed)
        )
    ],
    *[
        (done, done)
        for done in (
            cared(**SILENT, note="Their file came by mail.")
            for cared in (x.ResolveFeedException, x.FeedExceptionResolved)
        )
    ],
    *[
        (done, done)
        for done in (
            cared(sku=HEART, item="low_stock", since=PLACED_AT, until=PLACED_AT, why="Due on Friday.")
            for cared in (x.SnoozeStockException, x.StockExceptionSnoozed)
        )
    ],
    *[
        (done, done)
        for done in (
            cared(sku=HEART, item="lot/L-7", since=PLACED_AT, note="All of it is sent back.")
            for cared in (x.ResolveStockException, x.StockExceptionResolved)
        )
    ],
)
