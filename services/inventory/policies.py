"""A tenant's reservation policies: configuration, in a stream of its own that every accepted order reads."""

from typing import Protocol

from libs.events.contract import Contract, Event
from libs.events.envelope import Envelope
from libs.events.policy import (
    POLICIES_STREAM,
    STANDARD_RANK,
    DefineReservationPolicies,
    OrderPolicy,
    PolicyRule,
    PriorityClass,
    ReservationPolicies,
    ReservationPoliciesDefined,
)
from libs.events.record import record
from libs.events.refusal import refused
from services.inventory.stock import SkuPart

POLICIES = frozenset({POLICIES_STREAM})
"""Read by accepted orders; only its own lane changes it."""


@record
class PoliciesPart:
    """State of the policies' stream."""

    version: int = 0
    classes: tuple[PriorityClass, ...] = ()
    rules: tuple[PolicyRule, ...] = ()


NO_POLICIES = PoliciesPart()


def evolve_policies(event: ReservationPoliciesDefined) -> PoliciesPart:
    """The policies after they were replaced."""
    return PoliciesPart(event.version, event.classes, event.rules)


class Asks(Protocol):
    """What rules look at: of an order, or of a basket that is to become one."""

    @property
    def channel(self) -> str | None: ...
    @property
    def order_type(self) -> str | None: ...
    @property
    def service(self) -> str | None: ...


def could_have(
    part: SkuPart, channel: str | None, policy: OrderPolicy | None, country: str | None = None
) -> int:
    """Units of a SKU that a new order of the channel, or a basket, would be promised by this policy, for
    where it goes, if that is said."""
    if part.serving is not None and not part.serving.somewhere(country):
        return 0  # an order would be promised some, for routing to say that no node ships there
    if policy is None:
        return part.claimable(channel, country=country)
    return part.claimable(channel, policy.rank, None, policy.stands_at, country)


def policy_of(part: PoliciesPart, accepted: Asks) -> OrderPolicy | None:
    """What an order goes by; None where no rule is for it: it is served as ever."""
    for rule in part.rules:
        if _fits(rule, accepted):
            served = next((one for one in part.classes if one.name == rule.priority), None)
            return OrderPolicy(
                version=part.version,
                policy=rule.policy,
                rank=STANDARD_RANK if served is None else served.rank,
                wait_days=rule.wait_days,
                then=rule.then,
                reallocates=rule.reallocates,
                substitutes=rule.substitutes,
                baskets_wait=rule.baskets_wait,
                step_days=None if served is None else served.step_days,
            )
    return None


def decide_policies(
    part: PoliciesPart, heard: Envelope[Contract], command: DefineReservationPolicies
) -> list[Event]:
    """The policies as a person states them; nothing when they are so already."""
    if refusal := _amiss(heard, command):
        return [refusal]
    if part.version and (part.classes, part.rules) == (command.classes, command.rules):
        return []
    return [
        ReservationPoliciesDefined(version=part.version + 1, classes=command.classes, rules=command.rules)
    ]


def _fits(rule: PolicyRule, accepted: Asks) -> bool:
    return (
        rule.channel in (None, accepted.channel)
        and rule.order_type in (None, accepted.order_type)
        and rule.service in (None, accepted.service)
    )


def _amiss(heard: Envelope[Contract], stated: ReservationPolicies) -> Event | None:
    """A refusal of what cannot be meant."""
    names = [one.name for one in stated.classes]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        return refused(
            heard,
            "class_twice",
            f"{', '.join(twice)}: a class has one rank.",
            "State each class once.",
        )
    for number, rule in enumerate(stated.rules, 1):
        if rule.priority is not None and rule.priority not in names:
            return refused(
                heard,
                "unknown_class",
                f"Rule {number} is for the class {rule.priority}; there is no such class.",
                f"State it among the classes, or use one of: {', '.join(names) or 'none yet'}.",
            )
        if rule.baskets_wait and rule.policy == "all_or_nothing":
            return refused(
                heard,
                "baskets_hold_nothing",
                f"Rule {number} is all or nothing: such an order holds nothing while it waits, so its basket "
                "has nothing to hold for it.",
                "Leave out baskets_wait, or take the policy together or partial.",
            )
        if rule.reallocates and rule.policy == "all_or_nothing":
            return refused(
                heard,
                "reallocates_nothing",
                f"Rule {number} is all or nothing: such an order holds nothing while it waits, so it cannot "
                "be given units one by one.",
                "Leave out reallocates, or take the policy together.",
            )
    return None
