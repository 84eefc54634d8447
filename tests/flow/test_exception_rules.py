"""A tenant's exception rules through intake's loop: each change stands on the one before."""

from libs.events.exception_rules import (
    ChangeExceptionRule,
    DropExceptionRule,
    ExceptionRuleChanged,
    ExceptionRuleDropped,
)
from libs.events.refusal import CommandRefused
from tests.flow.test_lives import shop

CHANGE = ChangeExceptionRule(
    kind="hold",
    which="payment",
    owner="operations",
    after_minutes=30,
    sla_minutes=240,
    based_on=0,
    note="It is the weekend.",
)
DROP = DropExceptionRule(kind="hold", which="payment", based_on=1, note="It is over.")


async def test_a_rule_is_changed_and_dropped() -> None:
    world = await shop({"LON": {"TEA": 1}})
    await world.send(CHANGE)
    await world.settle()
    await world.send(DROP)
    await world.settle()
    assert world.events(CommandRefused) == []
    told = world.events(ExceptionRuleChanged, ExceptionRuleDropped)
    assert [type(event) for event in told] == [ExceptionRuleChanged, ExceptionRuleDropped]
