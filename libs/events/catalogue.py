"""The catalogue: every type that travels, who owns it, and how bytes become the latest version of it."""

from dataclasses import dataclass

import pydantic_core
from pydantic import ValidationError

from libs.events.amendments import (
    AMENDMENT_COMMANDS,
    FULFILLMENT_AMENDMENTS,
    INTAKE_AMENDMENTS,
    INVENTORY_AMENDMENTS,
)
from libs.events.availability import AVAILABILITY_EVENTS, AVAILABILITY_TOPIC, SkuAvailability
from libs.events.backorders import BACKORDER_EVENTS
from libs.events.bundles import BUNDLE_COMMANDS, BUNDLE_EVENTS
from libs.events.changes import (
    CHANGE_COMMANDS,
    FULFILLMENT_CHANGES,
    INTAKE_CHANGES,
    INVENTORY_CHANGES,
)
from libs.events.contract import Command, Contract, Event
from libs.events.dates import DATES_EVENTS
from libs.events.exception_rules import RULE_COMMANDS, RULE_EVENTS
from libs.events.fulfillment import FULFILLMENT_COMMANDS, FULFILLMENT_EVENTS
from libs.events.intake import INTAKE_COMMANDS, INTAKE_EVENTS
from libs.events.inventory import INVENTORY_COMMANDS, INVENTORY_EVENTS
from libs.events.notifications import NOTIFICATIONS_COMMANDS, NOTIFICATIONS_EVENTS
from libs.events.outside import OUTSIDE_COMMANDS, OUTSIDE_EVENTS
from libs.events.parked import PARKED_EVENTS
from libs.events.parked_exceptions import PARKED_EXCEPTION_COMMANDS, PARKED_EXCEPTION_EVENTS
from libs.events.policy import POLICY_COMMANDS, POLICY_EVENTS
from libs.events.promise import PROMISE_COMMANDS, PROMISE_EVENTS
from libs.events.reach import REACH_EVENTS
from libs.events.refusal import CommandRefused
from libs.events.returns import RETURNS_COMMANDS, RETURNS_EVENTS
from libs.events.routing import ROUTING_COMMANDS, ROUTING_EVENTS
from libs.events.set_aside import SET_ASIDE_EVENTS
from libs.events.stock_exceptions import STOCK_EXCEPTION_COMMANDS, STOCK_EXCEPTION_EVENTS
from libs.events.substitutes import SUBSTITUTE_COMMANDS, SUBSTITUTE_EVENTS
from libs.events.upcasts import UPCASTS

COMMANDS: dict[str, tuple[type[Command], ...]] = {
    "intake": (
        *INTAKE_COMMANDS,
        *CHANGE_COMMANDS,
        *AMENDMENT_COMMANDS,
        *RULE_COMMANDS,
        *STOCK_EXCEPTION_COMMANDS,
        *PARKED_EXCEPTION_COMMANDS,
    ),
    "inventory": (
        *INVENTORY_COMMANDS,
        *PROMISE_COMMANDS,
        *POLICY_COMMANDS,
        *SUBSTITUTE_COMMANDS,
        *OUTSIDE_COMMANDS,
        *BUNDLE_COMMANDS,
    ),
    "routing": ROUTING_COMMANDS,
    "fulfillment": FULFILLMENT_COMMANDS,
    "notifications": NOTIFICATIONS_COMMANDS,
    "returns": RETURNS_COMMANDS,
}
EVENTS: dict[str, tuple[type[Event], ...]] = {
    "intake": (
        *INTAKE_EVENTS,
        *INTAKE_CHANGES,
        *INTAKE_AMENDMENTS,
        *RULE_EVENTS,
        *STOCK_EXCEPTION_EVENTS,
        *PARKED_EXCEPTION_EVENTS,
        CommandRefused,
        *PARKED_EVENTS,
    ),
    "inventory": (
        *INVENTORY_EVENTS,
        *PROMISE_EVENTS,
        *POLICY_EVENTS,
        *BACKORDER_EVENTS,
        *SUBSTITUTE_EVENTS,
        *OUTSIDE_EVENTS,
        *AVAILABILITY_EVENTS,
        *BUNDLE_EVENTS,
        *INVENTORY_CHANGES,
        *INVENTORY_AMENDMENTS,
        *DATES_EVENTS,
        *REACH_EVENTS,
        *SET_ASIDE_EVENTS,
        CommandRefused,
        *PARKED_EVENTS,
    ),
    "routing": (*ROUTING_EVENTS, CommandRefused, *PARKED_EVENTS),
    "fulfillment": (
        *FULFILLMENT_EVENTS,
        *FULFILLMENT_CHANGES,
        *FULFILLMENT_AMENDMENTS,
        CommandRefused,
        *PARKED_EVENTS,
    ),
    "notifications": (*NOTIFICATIONS_EVENTS, CommandRefused, *PARKED_EVENTS),
    "returns": (*RETURNS_EVENTS, CommandRefused, *PARKED_EVENTS),
}
STATES: dict[str, tuple[type[Contract], ...]] = {AVAILABILITY_TOPIC: (SkuAvailability,)}
"""What lies on compacted topics, by topic: not what happened, but what is so now."""
BY_TYPE: dict[str, type[Contract]] = {
    contract.TYPE: contract
    for group in (*COMMANDS.values(), *EVENTS.values(), *STATES.values())
    for contract in group
}


class Unreadable(Exception):
    """A record that cannot be understood; `code` and the text say why, for the parked key's reason."""

    code = "unreadable"


class UnknownType(Unreadable):
    code = "unknown_type"


class NewerVersion(Unreadable):
    """Written by a newer deployment than this one: a deploy-order fault, not a bad record."""

    code = "newer_version"


class Malformed(Unreadable):
    code = "malformed"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a payload: where, and what."""

    where: str
    what: str


def problems(error: ValidationError) -> tuple[Problem, ...]:
    """pydantic's errors as (path, sentence), without the input values: those may be personal data."""
    return tuple(
        Problem(".".join(str(part) for part in item["loc"]) or "(root)", item["msg"])
        for item in error.errors(include_url=False, include_context=False, include_input=False)
    )


def decode(type_: str, version: int, payload: bytes) -> Contract:
    """Payload bytes of a released type and version, upcast to the latest, validated.

    Raises UnknownType, NewerVersion or Malformed (its text names each field, never a value).
    """
    contract = BY_TYPE.get(type_)
    if contract is None:
        raise UnknownType(f"type {type_!r} is not in the catalogue")
    if version > contract.VERSION:
        raise NewerVersion(
            f"{type_} version {version} is newer than {contract.VERSION}, the latest known here"
        )
    if version < 1:
        raise Malformed(f"{type_} version {version} does not exist")
    try:
        if version == contract.VERSION:
            return contract.model_validate_json(payload)
        return contract.model_validate_json(_upcast(type_, version, contract.VERSION, payload))
    except ValidationError as error:
        text = "; ".join(f"{problem.where}: {problem.what}" for problem in problems(error)[:5])
        raise Malformed(f"{type_}: {text}") from None


def _upcast(type_: str, version: int, latest: int, payload: bytes) -> bytes:
    try:
        old = pydantic_core.from_json(payload)
        for step in range(version, latest):
            old = UPCASTS[type_, step](old)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Malformed(f"{type_} version {version} does not have that version's shape: {error}") from None
    return pydantic_core.to_json(old)


def encode(contract: Contract) -> bytes:
    """Payload bytes, as they are logged and published. Absent optional values are left out."""
    return contract.__pydantic_serializer__.to_json(contract, exclude_none=True)
