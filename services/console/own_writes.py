"""Reading one's own write: an answer waits until the projection has come to where an event stands.

A command's outcome (`Prefer: wait` at a stage's edge) names the lane and sequence of its events. Whoever
sends them here as `min-version=<stage>/<lane>/<sequence>` gets nothing older.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

from fastapi import Query, Request

from libs.runtime.load import Load
from libs.runtime.problems import Problem
from libs.runtime.settings import STAGES
from services.console.queries import Queries

_POLL_SECONDS = 0.05
_WAIT = re.compile(r"\bwait=(\d{1,4})\b")
_VERSION = re.compile(rf"({'|'.join(STAGES)})/(\d{{1,5}})/(\d{{1,18}})")
T = TypeVar("T")

MinVersion = Annotated[
    str | None,
    Query(
        alias="min-version",
        max_length=60,
        description="`<stage>/<lane>/<sequence>` of an event: answer with nothing older. With"
        " `Prefer: wait=N` the answer waits for it.",
    ),
]


class OwnWrites:
    """Waits, for a bounded number of requests and seconds, for what has been written to be projected."""

    def __init__(self, queries: Queries, load: Load, seconds_max: float) -> None:
        self._queries, self._load, self._seconds_max = queries, load, seconds_max

    async def reached(self, request: Request, version: str | None) -> None:
        """Return once the projection has come to `version`. Raises Problem 422, 429, or 409: not in time."""
        if version is None:
            return
        found = _VERSION.fullmatch(version)
        if found is None:
            raise Problem(
                422,
                "invalid_version",
                "That is no place in a log",
                "`min-version` is not of the form <stage>/<lane>/<sequence>.",
                "Take stage, lane and sequence of an event in the command's outcome: intake/2/1234.",
            )
        stage, lane, sequence = found[1], int(found[2]), int(found[3])

        async def there() -> bool | None:
            heard = await self._queries.heard()
            return True if heard.get((stage, lane), 0) >= sequence else None

        if await self.within(request, there) is None:
            raise Problem(
                409,
                "not_yet_projected",
                "Not projected yet",
                f"Sequence {sequence} of lane {lane} of {stage} has not come here.",
                "Ask again shortly, or send Prefer: wait=5; GET /v1/summary tells how far behind this is.",
            )

    async def within(self, request: Request, look: Callable[[], Awaitable[T | None]]) -> T | None:
        """What `look` finds, at once or within the seconds of `Prefer: wait=N`. Raises Problem 429."""
        found = await look()
        wished = _WAIT.search(request.headers.get("prefer", ""))
        if found is not None or wished is None:
            return found
        clock = asyncio.get_running_loop().time
        until = clock() + min(float(wished[1]), self._seconds_max)
        with self._load.waiting():
            while found is None and clock() < until:
                await asyncio.sleep(_POLL_SECONDS)
                found = await look()
        return found
