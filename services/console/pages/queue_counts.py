"""How many exceptions there are, by owner and kind. Many are counted once for all who ask within seconds.

Counting reads an entry of an index for each item, so up to MANY are counted with each page, in one snapshot
with its rows. What is kept is told with its age, and the page asks again until nothing is missing in it.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import structlog

from libs.runtime.pool import Connection
from services.console.exceptions import Row, count_queue
from services.console.parked_items import sees_unclaimed, unclaimed
from services.console.web.sessions import Session
from services.console.web.site import Site

logger = structlog.get_logger()

MANY = 5_000
KEPT_SECONDS = 3.0
KEPT_SHARE = 20
"""Counts of many are kept for so long, and at least KEPT_SHARE times what it took to count them: for people
who see some nodes only, each item is looked at with its order."""
STALE_SECONDS = 30.0
"""For so long longer they are shown while they are counted again."""
_TENANTS_MAX = 200
_HEARD = "SELECT coalesce(sum(next_offset), 0)::bigint FROM consumed"


@dataclass(frozen=True, slots=True)
class Counts:
    """`kept_since`: when they were counted, if not now; `behind`: something came since, or they are old."""

    rows: Sequence[Row]
    kept_since: datetime | None = None
    behind: bool = False


@dataclass(frozen=True, slots=True)
class _Counted:
    """`heard`: what the tables had read by then."""

    rows: Sequence[Row]
    at: datetime
    good_until: datetime
    heard: int


@dataclass(slots=True)
class _Place:
    """Of a tenant, a scope, and what of parked keys is seen."""

    last: _Counted | None = None
    again: asyncio.Task[None] | None = None


@dataclass(slots=True)
class QueueCounts:
    """Of one process."""

    site: Site
    places: dict[tuple[str, tuple[str, ...] | None, bool, bool], _Place] = field(default_factory=dict)

    async def get(self, session: Session, connection: Connection, now: datetime) -> Counts:
        """As somebody sees them, by the connection of their page, in its snapshot."""
        place = self._place(session)
        last = place.last
        if last is None or now > last.good_until + timedelta(seconds=STALE_SECONDS):
            return Counts(await self._count(session, connection, place))
        old = now > last.good_until
        if old and (place.again is None or place.again.done()):
            place.again = asyncio.create_task(self._count_again(session, place))
            place.again.add_done_callback(_told)
        heard = await connection.fetchval(_HEARD)
        return Counts(last.rows, last.at, behind=old or heard != last.heard)

    def _place(self, session: Session) -> _Place:
        key = (session.tenant, session.nodes, session.may("platform"), sees_unclaimed(session.role))
        if key not in self.places and len(self.places) >= _TENANTS_MAX:
            self.places.clear()
        return self.places.setdefault(key, _Place())

    async def _count_again(self, session: Session, place: _Place) -> None:
        async with self.site.queries(session).reading(session.tenant) as connection:
            await self._count(session, connection, place)

    async def _count(self, session: Session, connection: Connection, place: _Place) -> Sequence[Row]:
        now = datetime.now(UTC)
        await unclaimed(connection, session.role)
        rows = await count_queue(connection, session.tenant, now, platform=session.may("platform"))
        many = sum(row["open"] + row["snoozed"] for row in rows) > MANY
        heard = await connection.fetchval(_HEARD)
        done = datetime.now(UTC)
        until = done + max(timedelta(seconds=KEPT_SECONDS), KEPT_SHARE * (done - now))
        place.last = _Counted(rows, now, until, heard) if many else None
        return rows


def _told(counted: "asyncio.Task[None]") -> None:
    """Who asks once they are too old is told why they cannot be counted; until then it is logged."""
    if not counted.cancelled() and (error := counted.exception()) is not None:
        logger.warning("exceptions are not counted", error=repr(error))
