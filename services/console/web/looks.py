"""Who looked at whose personal data, when and why: on record before anything is shown, for auditors to read.

A row each that nobody can change, and a log line.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import asyncpg
import structlog

from libs.events.record import record
from libs.runtime.pool import Connection
from libs.runtime.postgres_log import reachable
from libs.runtime.problems import Problem
from services.console.cursor import read_cursor, write_cursor
from services.console.web.sessions import Session
from services.console.where import Where

logger = structlog.get_logger()

REASON_LENGTH_MAX = 200
_NOTE = (
    """INSERT INTO access.unmaskings (tenant, order_id, actor, role, reason) VALUES ($1, $2, $3, $4, $5)"""
)
_FOUND = """SELECT u.id, u.order_id, u.actor, u.role, u.reason, u.at, o.external_id, o.channel
    FROM access.unmaskings u {joined} orders o ON o.tenant = u.tenant AND o.order_id = u.order_id
    WHERE {terms} ORDER BY u.at DESC, u.id DESC LIMIT $2"""
_OF_ORDER = """u.order_id IN (SELECT {0}::text UNION ALL SELECT e.order_id FROM orders e
    WHERE e.tenant = $1 AND e.external_id = {0})"""


@record
class LooksFilter:
    """Whose looks, and at which order (its id, or its number at the channel); none means any."""

    actor: str | None = None
    order: str | None = None


class Looks:
    """The append-only table of them."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def note(self, session: Session, order_id: str, reason: str) -> None:
        """Before anything is shown. Raises Problem 403 (the role may not) or 422 (no reason), Unavailable:
        then nothing may be shown."""
        if not session.may("personal"):
            raise Problem(
                403,
                "forbidden",
                "Your role may not see personal data",
                "It stays masked.",
                "Ask somebody of support.",
            )
        said = reason.strip()
        if not said or len(said) > REASON_LENGTH_MAX or not said.isprintable():
            raise Problem(
                422,
                "no_reason",
                "Why do you need to see it?",
                f"A reason of 1 to {REASON_LENGTH_MAX} printable characters is kept with your name.",
                "Go back, and say why, without personal data in it.",
            )
        with reachable():
            await self._pool.execute(_NOTE, session.tenant, order_id, session.actor, session.role, said)
        logger.info("unmasked", tenant=session.tenant, order_id=order_id, actor=session.actor, reason=said)


async def read_looks(
    connection: Connection, session: Session, wanted: LooksFilter, after: str | None, limit: int
) -> tuple[Sequence[Mapping[str, Any]], str | None]:
    """A page of the tenant's, the latest first, each with its order's number where that is known, and the
    cursor of the next page. Who sees some nodes only sees looks at orders of those. Raises Problem 400."""
    asked = Where(["u.tenant = $1"], [session.tenant, limit + 1])
    asked.add("u.actor = {}", wanted.actor)
    asked.add(_OF_ORDER, wanted.order)
    if after is not None:
        asked.add("(u.at, u.id) < ({}, {})", *read_cursor("looks", after, (datetime, int)))
    joined = "LEFT JOIN" if session.nodes is None else "JOIN"
    text = _FOUND.format(joined=joined, terms=" AND ".join(asked.terms))
    rows = [dict(row) for row in await connection.fetch(text, *asked.values)]
    last = rows[limit - 1] if len(rows) > limit else None
    return rows[:limit], write_cursor("looks", (last["at"], last["id"])) if last else None
