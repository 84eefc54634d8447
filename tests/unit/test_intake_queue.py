"""Exceptions of an order, and of a SKU's stock, in intake: who takes them, puts them off, settles them."""

from datetime import timedelta, timezone
from functools import reduce
from typing import Any

import pytest

from libs.events.contract import Command
from libs.events.intake import (
    AssignException,
    ExceptionAssigned,
    ExceptionResolved,
    ExceptionSnoozed,
    OrderAccepted,
    OrderClosed,
    ResolveException,
    SnoozeException,
)
from libs.events.stock_exceptions import (
    AssignFeedException,
    AssignStockException,
    FeedExceptionAssigned,
    FeedExceptionResolved,
    FeedExceptionSnoozed,
    ResolveFeedException,
    ResolveStockException,
    SnoozeFeedException,
    SnoozeStockException,
    StockExceptionAssigned,
    StockExceptionResolved,
    StockExceptionSnoozed,
)
from services.intake import domain
from services.intake.queue import CARED_MAX, SNOOZED_MAX
from tests.spec import NOON, given
from tests.unit.test_intake_domain import ORDER, submit

ITEM = "short_picked/FO-1"
LATER = NOON + timedelta(hours=4)
accepted = OrderAccepted.model_validate(vars(submit()))
closed = OrderClosed(order_id=ORDER, outcome="lost")
assign = AssignException(order_id=ORDER, item=ITEM, assignee="ann")
snooze = SnoozeException(order_id=ORDER, item=ITEM, until=LATER, why="The count is tonight.")
resolve = ResolveException(order_id=ORDER, item=ITEM, note="Found in the next bay.")
resolved = ExceptionResolved(order_id=ORDER, item=ITEM, note="Found in the next bay.")


def test_it_is_taken_once_and_given_back() -> None:
    taken = ExceptionAssigned(order_id=ORDER, item=ITEM, assignee="ann")
    given(domain, accepted).when(assign).then(taken)
    given(domain, accepted, taken).when(assign).then_nothing()
    back = AssignException(order_id=ORDER, item=ITEM)
    given(domain, accepted, taken).when(back).then(ExceptionAssigned(order_id=ORDER, item=ITEM))
    given(domain, accepted).when(back).then_nothing()


def test_it_is_put_off_for_a_reason_until_then() -> None:
    given(domain, accepted).when(snooze).then(
        ExceptionSnoozed(order_id=ORDER, item=ITEM, until=LATER, why="The count is tonight.")
    )


def test_it_is_put_off_once_and_again_for_another_reason() -> None:
    once = given(domain, accepted).heard(snooze)
    once.when(snooze).then_nothing()
    once.when(snooze.model_copy(update={"why": "The count is late."})).then_types(ExceptionSnoozed)


@pytest.mark.parametrize("until", [NOON, NOON - timedelta(days=1), NOON + SNOOZED_MAX + timedelta(hours=1)])
def test_it_is_not_put_off_into_the_past_or_for_ever(until: object) -> None:
    given(domain, accepted).when(snooze.model_copy(update={"until": until})).then_refused("invalid_until")


def test_an_order_that_is_over_still_has_exceptions() -> None:
    given(domain, accepted, closed).when(resolve).then(resolved)
    given(domain, accepted, resolved, closed).when(resolve).then_nothing()


@pytest.mark.parametrize("command", [assign, snooze])
def test_what_is_settled_is_settled(command: Command) -> None:
    given(domain, accepted, resolved).when(command).then_refused("already_resolved")


def test_a_hold_leaves_the_queue_when_it_is_released() -> None:
    by_hand = ResolveException(order_id=ORDER, item="hold/payment", note="It is fine.")
    given(domain, accepted).when(by_hand).then_refused("still_held")


@pytest.mark.parametrize("command", [assign, snooze, resolve])
def test_an_order_that_nobody_knows_has_none(command: Command) -> None:
    given(domain).when(command).then_refused("unknown_order")


LOW: dict[str, Any] = {"sku": "A-1", "item": "low_stock", "since": NOON - timedelta(hours=2)}
take_low = AssignStockException(**LOW, assignee="ann")
low_taken = StockExceptionAssigned(**LOW, assignee="ann")
low_resolved = StockExceptionResolved(**LOW, note="Bought 40.")


def test_one_of_stock_is_taken_put_off_and_settled_in_a_stream_of_the_sku() -> None:
    assert take_low.stream == low_taken.stream == "sku/A-1"
    given(domain).when(take_low).then(low_taken)
    given(domain, low_taken).when(take_low).then_nothing()
    given(domain, low_taken).when(AssignStockException(**LOW)).then(StockExceptionAssigned(**LOW))
    put_off: dict[str, Any] = LOW | {"until": LATER, "why": "The ship is in on Friday."}
    given(domain).when(SnoozeStockException(**put_off)).then(StockExceptionSnoozed(**put_off))
    late = SnoozeStockException(**put_off | {"until": NOON})
    given(domain).when(late).then_refused("invalid_until")
    settled = ResolveStockException(**LOW, note="Bought 40.")
    given(domain, low_taken).when(settled).then(low_resolved)
    given(domain, low_resolved).when(settled).then_nothing()
    given(domain, low_resolved).when(take_low).then_refused("already_resolved")


def test_what_comes_up_again_of_stock_is_another() -> None:
    again = LOW | {"since": NOON - timedelta(hours=1)}
    taken = StockExceptionAssigned(**again, assignee="ann")
    given(domain, low_resolved).when(AssignStockException(**again, assignee="ann")).then(taken)
    elsewhere = LOW | {"since": LOW["since"].astimezone(timezone(timedelta(hours=9)))}
    given(domain, low_taken).when(AssignStockException(**elsewhere, assignee="ann")).then_nothing()


def test_a_moment_to_come_is_when_nothing_began() -> None:
    given(domain).when(take_low.model_copy(update={"since": LATER})).then_refused("invalid_since")


def test_a_difference_leaves_the_queue_when_it_is_decided() -> None:
    by_hand = ResolveStockException(**LOW | {"item": "difference/C-1"}, note="It is fine.")
    given(domain).when(by_hand).then_refused("still_differs")


def test_of_a_sku_the_last_cared_for_are_remembered() -> None:
    done = [
        StockExceptionResolved(**LOW | {"item": f"lot/L-{number}"}, note="Sent back.")
        for number in range(CARED_MAX + 1)
    ]
    state = reduce(domain.evolve, [*done, StockExceptionResolved(**vars(done[1]))], domain.INITIAL)
    assert len(state.care) == CARED_MAX
    given(domain, *done).when(ResolveStockException(**vars(done[1]))).then_nothing()
    given(domain, *done).when(ResolveStockException(**vars(done[0]))).then(done[0])


def test_what_is_the_matter_with_a_feed_is_taken_put_off_and_settled_as_often_as_it_comes_up() -> None:
    silent: dict[str, Any] = {"feed": "acme", "item": "feed_stale/acme", "since": NOON - timedelta(hours=1)}
    taken, done = (
        FeedExceptionAssigned(**silent, assignee="ann"),
        FeedExceptionResolved(**silent, note="By mail."),
    )
    spec = given(domain).when(AssignFeedException(**silent, assignee="ann")).then(taken)
    spec.when(AssignFeedException(**silent, assignee="ann")).then_nothing()
    put_off = {**silent, "until": LATER, "why": "They are on holiday."}
    spec.when(SnoozeFeedException(**put_off)).then(FeedExceptionSnoozed(**put_off))
    spec.when(ResolveFeedException(**silent, note="By mail.")).then(done)
    spec.when(ResolveFeedException(**silent, note="By mail.")).then_nothing()
    spec.when(AssignFeedException(**silent)).then_refused("already_resolved")
    again = silent | {"since": NOON}
    spec.when(AssignFeedException(**again, assignee="bob")).then(
        FeedExceptionAssigned(**again, assignee="bob")
    )
    spec.when(ResolveFeedException(**silent | {"since": LATER}, note="So.")).then_refused("invalid_since")
