"""A tenant's exception rules as the read models have them: those of now, and how they came to be so."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from libs.runtime.pool import Connection
from services.console.rules import Place, Rule, in_force

Row = Mapping[str, Any]
CHANGES_SHOWN = 100
_OWN = """SELECT DISTINCT ON (kind, which) * FROM exception_rules WHERE tenant = $1
    ORDER BY kind, which, version DESC"""
_CHANGES = """SELECT * FROM exception_rules WHERE tenant = $1 AND version < $2 ORDER BY version DESC
    LIMIT $3"""


@dataclass(frozen=True, slots=True)
class RuleBook:
    """The rules that hold, how often they have changed, and the last change of each place that is the
    tenant's own."""

    version: int
    rules: tuple[Rule, ...]
    own: Mapping[Place, Row]


async def read_rules(connection: Connection, tenant: str) -> RuleBook:
    """The rules of now."""
    rows = [dict(row) for row in await connection.fetch(_OWN, tenant)]
    own = {(row["kind"], row["which"]): row for row in rows if row["owner"] is not None}
    return RuleBook(max((row["version"] for row in rows), default=0), in_force(rows), own)


async def read_changes(connection: Connection, tenant: str, before: int | None) -> list[Row]:
    """Who changed what when, the latest first; older than version `before`, if given."""
    rows = await connection.fetch(_CHANGES, tenant, before or 2**62, CHANGES_SHOWN)
    return [dict(row) for row in rows]
