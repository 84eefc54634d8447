"""What another rule would move.

Every open item follows the rules of the moment, whether it began before the change or after. Its age stays,
and so does who has taken it or put it off.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from libs.runtime.pool import Connection
from services.console.exceptions import RULES, found, rules_json
from services.console.rules import Rule

Row = Mapping[str, Any]
_MOVED = f"""WITH rules AS {RULES.format("$3")}, others AS {RULES.format("$4")},
    before AS ({found("rules")}), after AS ({found("others")})
    SELECT kind, before.owner AS was, after.owner AS is_now, count(*)::bigint AS items,
        count(*) FILTER (WHERE before.due_at < $2)::bigint AS overdue_before,
        count(*) FILTER (WHERE after.due_at < $2)::bigint AS overdue_after
    FROM before FULL JOIN after USING (kind, subject, item)
    WHERE before.owner IS DISTINCT FROM after.owner OR before.due_at IS DISTINCT FROM after.due_at
    GROUP BY kind, was, is_now ORDER BY kind, was, is_now"""  # noqa: S608 - names of ours


async def would_move(
    connection: Connection, tenant: str, now: datetime, rules: Sequence[Rule], others: Sequence[Rule]
) -> list[Row]:
    """Open items that `others` in the place of `rules` would give to somebody else, or make due at another
    time: by kind, `was` and `is_now` (none: not in the queue), `items`, `overdue_before`, `overdue_after`."""
    rows = await connection.fetch(_MOVED, tenant, now, rules_json(rules), rules_json(others))
    return [dict(row) for row in rows]
