"""Who looked at whose personal data, and why: noted before anything is shown."""

import asyncpg

from libs.runtime.postgres_log import reachable
from services.console.web.sessions import Session

_NOTE = (
    """INSERT INTO access.unmaskings (tenant, order_id, actor, role, reason) VALUES ($1, $2, $3, $4, $5)"""
)


class Looks:
    """The append-only table of them."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def note(self, session: Session, order_id: str, reason: str) -> None:
        """Raises Unavailable: then nothing may be shown."""
        with reachable():
            await self._pool.execute(_NOTE, session.tenant, order_id, session.actor, session.role, reason)
