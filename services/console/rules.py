"""Who gets which exception, after how long, and by when it is to be settled.

The console brings a rule for each kind (`exception_rules.json`). A tenant's own rules, which are events of
intake's, take the place of those; where it has none, or a later release has a new kind, the console's hold.
So no item is without a rule. A rule for one hold, segment or the like (`which`) goes before the kind's.

Times run from when the item began. As they are asked at the moment of the question, a changed rule holds for
all open items at once, whoever has taken one, and nothing is folded anew.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

from pydantic import BaseModel, ConfigDict, TypeAdapter

from libs.events.envelope import Envelope
from libs.events.exception_rules import ExceptionRuleChanged, ExceptionRuleDropped, Minutes, Owner
from services.console.storable import storable

OWNERS: tuple[Owner, ...] = get_args(Owner)
Kind = Literal[
    "hold",
    "backordered",
    "unroutable",
    "review",
    "short_picked",
    "lost",
    "carrier_exception",
    "failed_message",
    "stuck",
    "late",
    "at_risk",
    "low_stock",
    "phantom_stock",
    "count_held",
    "stock_differs",
    "lot_expired",
    "lot_recalled",
    "unnamed",
    "transfer_overdue",
    "transfer_undispatched",
    "transfer_short",
    "over_receipt",
    "supply_short",
    "supply_over",
    "feed_stale",
    "feed_held",
    "parked",
]
KINDS: tuple[Kind, ...] = get_args(Kind)


class Rule(BaseModel):
    """`which`: of this hold, or an order that stands in this segment; none: any. `after_minutes`: when it
    comes into the queue; `sla_minutes`: when it is overdue; both since it began. `action`: its button."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Kind
    which: str | None = None
    owner: Owner
    after_minutes: Minutes
    sla_minutes: Minutes
    title: str
    next_step: str
    action: Literal["release", "approve", "resolve", "order", "sku", "settle", "lot", "feed", "parked"]


SHIPPED: tuple[Rule, ...] = tuple(
    TypeAdapter(list[Rule]).validate_json(Path(__file__).with_name("exception_rules.json").read_bytes())
)
"""What the console brings."""
Place = tuple[str, str | None]
"""Kind, and which of it."""


class RuleChange(NamedTuple):
    """One change of a tenant's rules, as the table has it; without an owner a rule was dropped."""

    tenant: str
    version: int
    kind: str
    which: str | None
    owner: str | None
    after_minutes: int | None
    sla_minutes: int | None
    next_step: str | None
    changed_at: datetime
    actor: str
    note: str


def rule_change(envelope: Envelope[Any]) -> RuleChange:
    """The row of an event that changed a rule."""
    event = envelope.body
    assert isinstance(event, ExceptionRuleChanged | ExceptionRuleDropped)
    changed = event if isinstance(event, ExceptionRuleChanged) else None
    return RuleChange(
        envelope.tenant,
        event.version,
        event.kind,
        event.which,
        changed.owner if changed else None,
        changed.after_minutes if changed else None,
        changed.sla_minutes if changed else None,
        changed.next_step if changed else None,
        envelope.at,
        storable(envelope.actor),
        event.note,
    )


def in_force(own: Iterable[Mapping[str, Any]]) -> tuple[Rule, ...]:
    """The rules that hold, given the last change of each place (rows of `RuleChange`): those for one of a
    kind before the kind's own, else in the console's order. A kind that this console does not know is left
    out."""
    rules: dict[Place, Rule] = {(rule.kind, rule.which): rule for rule in SHIPPED}
    for row in own:
        base = shipped(row["kind"], row["which"])
        if row["owner"] is None or base is None:
            continue
        rules[row["kind"], row["which"]] = applied(base, row)
    return tuple(sorted(rules.values(), key=lambda rule: rule.which is None))


def rule_of(rules: Iterable[Rule], kind: Kind, which: str) -> Rule:
    """The rule that an item falls under: that for this one of the kind, or else the kind's. There is one."""
    fitting = [rule for rule in rules if rule.kind == kind and rule.which in (which, None)]
    return min(fitting, key=lambda rule: rule.which is None)


def shipped(kind: str, which: str | None) -> Rule | None:
    """The console's rule of a place: that for this one of the kind, or else the kind's."""
    fitting = [rule for rule in SHIPPED if rule.kind == kind and rule.which in (which, None)]
    return min(fitting, key=lambda rule: rule.which is None, default=None)


def applied(base: Rule, terms: Mapping[str, Any]) -> Rule:
    """The console's rule with a tenant's terms."""
    changed = {name: terms[name] for name in ("which", "owner", "after_minutes", "sla_minutes")}
    return base.model_copy(update=changed | {"next_step": terms["next_step"] or base.next_step})


def replaced(rules: Iterable[Rule], rule: Rule | None, place: Place) -> tuple[Rule, ...]:
    """The rules with another one at a place: as they would be."""
    others = [one for one in rules if (one.kind, one.which) != place]
    return tuple(sorted([*others, *([rule] if rule else [])], key=lambda one: one.which is None))
