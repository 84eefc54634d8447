"""Contracts of a tenant's exception rules: who gets which exception, after how long, and by when.

The console brings rules, which hold where a tenant has none of its own. A tenant's rule is for a kind, or
for one hold or segment of it, and takes the place of the console's. What is an exception is for the console
to say.
"""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, StringConstraints

from libs.events.care import Why
from libs.events.contract import Command, Event, Value

RULES_STREAM = "exception.rules"
"""Stream of a tenant's exception rules."""
RuleKind = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z_]{0,31}$")]
RuleWhich = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
"""A hold's name, or a segment's."""
Owner = Literal["support", "operations", "warehouse", "purchasing", "platform"]
Minutes = Annotated[int, Field(strict=True, ge=0, le=525_600)]
RulesVersion = Annotated[int, Field(strict=True, ge=0, le=2**53)]
Sentence = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]{1,200}$")]


class RulePlace(Value):
    """What a rule is for: a kind, or one hold or segment of it."""

    kind: RuleKind
    which: RuleWhich | None = None

    @property
    def stream(self) -> str:
        return RULES_STREAM


class RuleTerms(RulePlace):
    """Whose it is; when it comes into the queue, and when it is overdue, both since it began."""

    owner: Owner
    after_minutes: Minutes
    sla_minutes: Minutes
    next_step: Sentence | None = None
    """What is to be done; None, as the console says."""


class ChangeExceptionRule(RuleTerms, Command):
    """From now on, this holds for all items of its place that are open, and for those to come."""

    TYPE: ClassVar[str] = "oms.intake.change_exception_rule"

    based_on: RulesVersion
    """The version of the rules that whoever changes them looked at."""
    note: Why


class DropExceptionRule(RulePlace, Command):
    """Go back to what the console brings."""

    TYPE: ClassVar[str] = "oms.intake.drop_exception_rule"

    based_on: RulesVersion
    note: Why


class ExceptionRuleChanged(RuleTerms, Event):
    """A rule of the tenant's own holds."""

    TYPE: ClassVar[str] = "oms.intake.exception_rule_changed"

    version: Annotated[int, Field(ge=1)]
    """Of the tenant's rules: how often they have changed."""
    note: Why


class ExceptionRuleDropped(RulePlace, Event):
    """The console's rule holds again."""

    TYPE: ClassVar[str] = "oms.intake.exception_rule_dropped"

    version: Annotated[int, Field(ge=1)]
    note: Why


RULE_COMMANDS = (ChangeExceptionRule, DropExceptionRule)
RULE_EVENTS = (ExceptionRuleChanged, ExceptionRuleDropped)
