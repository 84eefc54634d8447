"""A tenant's exception rules: which of its own there are, and how they change.

Who changes one says which version they looked at: two who change at once do not undo each other unseen.
"""

from collections.abc import Mapping
from dataclasses import field

from libs.events.contract import Event, terms_alone
from libs.events.exception_rules import (
    ChangeExceptionRule,
    DropExceptionRule,
    ExceptionRuleChanged,
    ExceptionRuleDropped,
    RulePlace,
    RuleTerms,
)
from libs.events.record import record
from services.intake.queue import Told

RULES_MAX = 200
"""Rules that a tenant may have of its own."""


@record
class OwnRules:
    """The tenant's own rules, by place, and how often they have changed."""

    version: int = 0
    rules: Mapping[str, RuleTerms] = field(default_factory=dict)


NO_RULES = OwnRules()


def change_rule(known: OwnRules, command: ChangeExceptionRule | DropExceptionRule) -> list[Event] | Told:
    """What comes of it; [] where it is so already."""
    place, version = _place(command), known.version + 1
    before = known.rules.get(place)
    if isinstance(command, DropExceptionRule):
        if before is None:
            return []
        if stale := _stale(known, command.based_on):
            return stale
        return [
            ExceptionRuleDropped(kind=command.kind, which=command.which, version=version, note=command.note)
        ]
    stated = terms_alone(RuleTerms, command)
    if before == stated:
        return []
    if stale := _stale(known, command.based_on):
        return stale
    if command.sla_minutes < command.after_minutes:
        return Told(
            "due_before_it_comes",
            f"it would be overdue after {command.sla_minutes} minutes and come into the queue after"
            f" {command.after_minutes}.",
            "Let sla_minutes be as many as after_minutes, or more: both count from when it began.",
        )
    if before is None and len(known.rules) >= RULES_MAX:
        return Told(
            "too_many_rules",
            f"there are {len(known.rules)} rules of the tenant's own, and no more than {RULES_MAX} may be.",
            "Drop one that is not needed.",
        )
    return [ExceptionRuleChanged(**vars(stated), version=version, note=command.note)]


def changed_rules(known: OwnRules, event: ExceptionRuleChanged | ExceptionRuleDropped) -> OwnRules:
    """After one of its events."""
    rules = {place: rule for place, rule in known.rules.items() if place != _place(event)}
    if isinstance(event, ExceptionRuleChanged):
        rules[_place(event)] = terms_alone(RuleTerms, event)
    return OwnRules(event.version, rules)


def _place(of: RulePlace) -> str:
    return f"{of.kind}/{of.which or ''}"


def _stale(known: OwnRules, based_on: int) -> Told | None:
    if based_on == known.version:
        return None
    return Told(
        "rules_changed",
        f"the exception rules are at version {known.version}, and the change is based on {based_on}.",
        "Look at the rules as they are now, and change them again if it is still right.",
    )
