"""Any care of exceptions, of an order and of a SKU's stock alike: taken, put off and settled as often as it
is new, and never more.
"""

from datetime import datetime, timedelta
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from libs.events.contract import Event
from libs.events.intake import (
    AssignException,
    CancelOrder,
    ExceptionAssigned,
    ExceptionResolved,
    ExceptionSnoozed,
    OrderAccepted,
    ResolveException,
    SnoozeException,
)
from libs.events.stock_exceptions import (
    AssignStockException,
    ResolveStockException,
    SnoozeStockException,
    StockExceptionAssigned,
    StockExceptionResolved,
    StockExceptionSnoozed,
)
from services.intake import domain
from tests.plays import plays
from tests.spec import NOON, given, refused
from tests.unit.test_intake_domain import ORDER, submit

Item = tuple[str, str, datetime | None]
"""Of an order or of stock; which; of stock, since when: what comes up again is another."""
ITEMS: st.SearchStrategy[Item] = st.sampled_from(
    [
        ("order", "stuck", None),
        ("order", "short_picked/F-1", None),
        ("order", "hold/fraud", None),
        ("stock", "negative/N1", NOON - timedelta(days=2)),
        ("stock", "negative/N1", NOON - timedelta(days=1)),
        ("stock", "difference/D-1", NOON),
    ]
)
KINDS: dict[str, dict[str, tuple[type[Any], type[Any]]]] = {
    "assign": {
        "order": (AssignException, ExceptionAssigned),
        "stock": (AssignStockException, StockExceptionAssigned),
    },
    "snooze": {
        "order": (SnoozeException, ExceptionSnoozed),
        "stock": (SnoozeStockException, StockExceptionSnoozed),
    },
    "resolve": {
        "order": (ResolveException, ExceptionResolved),
        "stock": (ResolveStockException, StockExceptionResolved),
    },
}
DECIDED_ELSEWHERE = ("hold/", "difference/")


class CareLife(RuleBasedStateMachine):
    """One order and one SKU."""

    def __init__(self) -> None:
        super().__init__()
        self.life = given(domain, OrderAccepted.model_validate(vars(submit())))
        self.assigned: dict[Item, str | None] = {}
        self.snoozed: dict[Item, tuple[datetime, str]] = {}
        self.settled = set[Item]()

    def ask(self, what: str, item: Item, **more: Any) -> tuple[list[Event], Event]:
        """What is answered, and the event that does what was asked for."""
        of, name, since = item
        where = {"order_id": ORDER} if of == "order" else {"sku": "TEA", "since": since}
        command, event = KINDS[what][of]
        said = {"item": name, **where, **more}
        return self.life.when(command(**said)).events, event(**said)

    @rule(item=ITEMS, assignee=st.sampled_from((None, "ann", "bob")))
    def assign(self, item: Item, assignee: str | None) -> None:
        answer, done = self.ask("assign", item, assignee=assignee)
        if item in self.settled:
            refused(answer)
        elif self.assigned.get(item) == assignee:
            assert answer == []
        else:
            assert answer == [done]
            self.assigned[item] = assignee

    @rule(
        item=ITEMS,
        hours=st.sampled_from((-1, 0, 1, 2, 2160, 2161)),
        why=st.sampled_from(("To-night.", "Ill.")),
    )
    def snooze(self, item: Item, hours: int, why: str) -> None:
        until = NOON + timedelta(hours=hours)
        answer, done = self.ask("snooze", item, until=until, why=why)
        if item in self.settled or not 0 < hours <= 2160:
            refused(answer)
        elif self.snoozed.get(item) == (until, why):
            assert answer == []
        else:
            assert answer == [done]
            self.snoozed[item] = until, why

    @rule(item=ITEMS)
    def resolve(self, item: Item) -> None:
        answer, done = self.ask("resolve", item, note="Done.")
        if item[1].startswith(DECIDED_ELSEWHERE):
            refused(answer)
        elif item in self.settled:
            assert answer == []
        else:
            assert answer == [done]
            self.settled.add(item)

    @rule(item=ITEMS, by=st.sampled_from((1, 48)))
    def ask_of_what_is_yet_to_come(self, item: Item, by: int) -> None:
        of, name, since = item
        if since is not None:
            later = of, name, NOON + timedelta(hours=by)
            refused(self.ask("assign", later, assignee="ann")[0])

    @rule()
    def cancel(self) -> None:
        """Of an order that is cancelled there are exceptions too."""
        self.life.when(CancelOrder(order_id=ORDER))


CareLife.TestCase.settings = plays(lives=40, steps=30)
TestCareLife = CareLife.TestCase
