"""Who looked at whose personal data, when and why: a row each that nobody can change, and a log line."""

from collections.abc import Mapping
from typing import Any

import asyncpg
import structlog

from libs.runtime.postgres_log import reachable
from libs.runtime.problems import Problem
from services.console.web.sessions import Session

logger = structlog.get_logger()

REASON_LENGTH_MAX = 200
_RECORD = "INSERT INTO access.unmaskings (tenant, order_id, actor, role, reason) VALUES ($1, $2, $3, $4, $5)"
_LATEST = """SELECT order_id, actor, role, reason, at FROM access.unmaskings WHERE tenant = $1
    AND ($2::text IS NULL OR order_id = $2) ORDER BY at DESC, id DESC LIMIT $3"""


class Unmaskings:
    """The table of them, of all tenants."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def record(self, session: Session, order_id: str, reason: str) -> None:
        """Before anything is shown. Raises Problem 403 (the role may not) or 422 (no reason), Unavailable."""
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
                "Say why, without personal data in it.",
            )
        with reachable():
            await self._pool.execute(_RECORD, session.tenant, order_id, session.actor, session.role, said)
        logger.info("unmasked", tenant=session.tenant, order_id=order_id, actor=session.actor, reason=said)

    async def latest(
        self, tenant: str, order_id: str | None = None, limit: int = 100
    ) -> list[Mapping[str, Any]]:
        """A tenant's, or of one order of its, the latest first."""
        with reachable():
            return [dict(row) for row in await self._pool.fetch(_LATEST, tenant, order_id, limit)]
