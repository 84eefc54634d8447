"""Who may do what in the console: roles and their permissions, as data. The one place that says so."""

from collections.abc import Mapping
from typing import Literal, get_args

from libs.events.exception_rules import Owner

Permission = Literal[
    "read",
    "personal",
    "cancel",
    "release",
    "hold",
    "returns",
    "note",
    "work",
    "adjust",
    "rules",
    "platform",
    "repair",
    "rebuild",
    "audit",
]
"""`read` orders, stock, exceptions and measures · see `personal` data (each look is logged) · `cancel` orders
and lines of them · `release` the holds, and approve the plans, that are the role's own by the tenant's rules
(`OWNED`) · `hold`: place holds, and release and approve any · authorise `returns` · `note` something on an
order · `work` on exceptions · `adjust` stock · change `rules` · look at the `platform` · `repair` it: parked
keys · begin a `rebuild` of the read models · `audit` who looked at what."""

_LOOK: frozenset[Permission] = frozenset({"read"})

ROLES: dict[str, frozenset[Permission]] = {
    "viewer": _LOOK,
    "support": _LOOK | {"personal", "cancel", "release", "returns", "note", "work"},
    "operator": _LOOK
    | {"personal", "cancel", "release", "hold", "returns", "note", "work", "adjust", "platform", "repair"},
    "rule_editor": _LOOK | {"rules"},
    "auditor": _LOOK | {"platform", "audit"},
    "admin": frozenset(get_args(Permission)),
}
"""By the name that the issuer's role claim gives. Who has none of these does not come in."""

NAMES = {
    "viewer": "Viewer",
    "support": "Support",
    "operator": "Operator",
    "rule_editor": "Rule editor",
    "auditor": "Auditor",
    "admin": "Admin",
}
"""As people read them."""

OWNED: Mapping[str, frozenset[Owner]] = {"support": frozenset({"support"})}
"""Whose work, in the words of the exceptions' rules, a role's people do. Operators and admins need none:
they may release any hold."""

STAGE_ROLE = "operator"
"""The role that a stage's edge is asked in for what a person was permitted here; the actor is the person."""
