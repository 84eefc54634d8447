"""Exceptions of an order in intake: who takes them, puts them off, settles them."""

from datetime import timedelta

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
from services.intake import domain
from services.intake.queue import SNOOZED_MAX
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
