"""Rebuilds that people begin on the platform page: one at a time, each in a process of its own beside this.

The process (`services.console.replay`) tells of itself in `access.rebuilds`, where those begun on the command
line are too, so whoever looks sees all of them. It ends with this console, and what it was then goes unsaid
for no longer than `services.console.queries` waits for news; another can be begun after that.
"""

import asyncio
import sys
from collections.abc import Sequence

import asyncpg
import structlog

from libs.runtime.pool import DATABASE_FAULTS
from libs.runtime.postgres_log import reachable
from libs.runtime.problems import Problem
from services.console.storable import storable
from services.console.web.sessions import Session

logger = structlog.get_logger()

COMMAND = (sys.executable, "-m", "services.console.replay", "--asked")
"""Begins the process; the rebuild's number follows."""
SILENT_SECONDS = 30
"""A rebuild that has not been told of for so long has broken off."""
_STOP_SECONDS = 10.0
_SAID_BYTES_MAX = 64 * 1024
_ONE_AT_A_TIME = "SELECT pg_advisory_xact_lock(hashtext('orderlog console rebuild begins'))"
_BEGIN = """INSERT INTO access.rebuilds (tenant, asked_by, why) SELECT $1, $2, $3
    WHERE NOT EXISTS (SELECT FROM access.rebuilds
        WHERE ended_at IS NULL AND told_at > now() - $4 * interval '1 s') RETURNING id"""
_FAILED = """UPDATE access.rebuilds SET ended_at = now(), told_at = now(), failed = $2
    WHERE id = $1 AND ended_at IS NULL"""


class Rebuilds:
    """Begins them. `command` is what runs one, its number appended."""

    def __init__(self, pool: asyncpg.Pool, command: Sequence[str] = COMMAND) -> None:
        self._pool, self._command = pool, command
        self._running: set[asyncio.Task[None]] = set()
        self._processes: set[asyncio.subprocess.Process] = set()

    async def begin(self, session: Session, why: str) -> int:
        """Begin one, for a reason; its number. Raises Problem 409 while another is under way, Unavailable."""
        with reachable():
            async with self._pool.acquire() as connection, connection.transaction():
                await connection.execute(_ONE_AT_A_TIME)
                number = await connection.fetchval(_BEGIN, session.tenant, session.actor, why, SILENT_SECONDS)
        if number is None:
            raise Problem(
                409,
                "rebuild_under_way",
                "A rebuild is under way",
                "The tables are being rebuilt already; one at a time is.",
                "Watch it on Platform, and begin another when it has ended.",
            )
        task = asyncio.create_task(self._run(number), name=f"rebuild {number}")
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return int(number)

    async def _run(self, number: int) -> None:
        """Look after its process; what it cannot tell any more is told here."""
        try:
            process = await asyncio.create_subprocess_exec(
                *self._command,
                str(number),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
            )
        except OSError as error:
            await self._tell_failed(number, f"Its process could not begin: {error}.")
            return
        self._processes.add(process)
        try:
            assert process.stderr is not None
            said = b""
            while part := await process.stderr.read(_SAID_BYTES_MAX):
                said = (said + part)[-_SAID_BYTES_MAX:]
            code = await process.wait()
        finally:
            self._processes.discard(process)
        told = storable(said.decode(errors="replace").strip()[-300:])
        if code:
            logger.warning("a rebuild ended badly or found a difference", number=number, code=code, said=told)
        how = f"by signal {-code}" if code < 0 else f"with {code}"
        await self._tell_failed(number, told if code > 0 and told else f"Its process ended {how}.")

    async def _tell_failed(self, number: int, why: str) -> None:
        """Unless it has told its end itself."""
        try:
            await self._pool.execute(_FAILED, number, why)
        except DATABASE_FAULTS as error:
            logger.warning("that a rebuild ended could not be told", number=number, error=repr(error))

    async def close(self) -> None:
        """Stop what runs: each process sees that its input ends, and says so; one that does not is killed."""
        for process in list(self._processes):
            if process.stdin is not None:
                process.stdin.close()
        if self._running:
            await asyncio.wait(self._running, timeout=_STOP_SECONDS)
        for process in list(self._processes):
            process.kill()
        await asyncio.gather(*self._running, return_exceptions=True)
