"""Processes of the stack, taken away and brought back: the stack's own, and children with other settings."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import urlopen

import psutil

from deploy.local import programs
from deploy.local.home import Home
from deploy.local.stack import readiness
from libs.runtime.settings import settings
from tests.e2e.stacks import ROOT, Stack, free_ports
from tests.e2e.test_stop import ready

STOP_SECONDS = 15.0
READY_SECONDS = 60.0
KILL_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Child:
    """A stage's process that is a child of ours."""

    process: "subprocess.Popen[bytes]"
    port: int
    log: Path

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    async def leave(self) -> None:
        """SIGTERM, so that its lanes are given to others at once."""
        self.process.terminate()
        try:
            await asyncio.to_thread(self.process.wait, STOP_SECONDS)
        finally:
            self.kill()

    def has_logged(self, text: str) -> bool:
        return text.encode() in self.log.read_bytes()


class Processes:
    """What runs, by name."""

    def __init__(self, stack: Stack, folder: Path) -> None:
        self.stack, self._home, self._folder = stack, Home(stack.home), folder
        self._children = 0

    def pid(self, name: str) -> int:
        running = programs.find(self._home, name)
        assert running is not None, f"{name} is not running"
        return running.pid

    def kill(self, name: str) -> None:
        """kill -9, with whatever it had started."""
        root = psutil.Process(self.pid(name))
        family = (root, *root.children(recursive=True))
        for process in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        give_up_at = time.monotonic() + KILL_SECONDS
        while any(_runs(process) for process in family) and time.monotonic() < give_up_at:
            time.sleep(0.01)

    def kill_all(self) -> None:
        """The end of the stack, whose data nobody needs."""
        for name in programs.noted(self._home):
            if programs.find(self._home, name) is not None:
                self.kill(name)

    def signal(self, name: str, which: signal.Signals) -> None:
        os.kill(self.pid(name), which)

    async def up(self, *more: str) -> dict[str, Any]:
        """`orderlog up`: what died is started again."""
        found: dict[str, Any] = await asyncio.to_thread(self.stack.json, "up", *more, timeout_seconds=120.0)
        return found

    async def stop(self, *names: str) -> None:
        """SIGTERM, and wait."""
        for name in names:
            await asyncio.to_thread(programs.stop, self._home, name, signal.SIGTERM, STOP_SECONDS)

    async def lanes(self, name: str) -> list[int]:
        """The lanes that one of the stack's processes has."""
        return await asyncio.to_thread(lambda: readiness(name).get("lanes") or [])

    async def halted(self, name: str) -> dict[str, str]:
        """Lanes that a process has halted, and why."""
        return await asyncio.to_thread(lambda: readiness(name).get("halted") or {})

    def logged(self, name: str, *parts: str) -> int:
        """How many lines of a program's log (of all logs, without a name) hold all these parts."""
        files = [self._home.log(name)] if name else sorted(self._home.log("x").parent.glob("*.log"))
        lines = (line for file in files for line in file.read_text(errors="replace").splitlines())
        return sum(all(part in line for part in parts) for line in lines)

    async def batches_waited(self, name: str, cause: str) -> float:
        """What a service's /metrics says of attempts at batches that failed, as an alert rule reads it."""
        sought = f'orderlog_batches_waited_total{{cause="{cause}",stage="{name}"}}'
        lines = (await asyncio.to_thread(_metrics, name)).splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(sought))

    async def tells(self, name: str, times: int, *parts: str) -> None:
        """Wait until a program has logged such a line so many times more."""
        before, give_up_at = self.logged(name, *parts), time.monotonic() + READY_SECONDS
        while self.logged(name, *parts) < before + times:
            assert time.monotonic() < give_up_at, f"{name} does not say {parts}"
            await asyncio.sleep(0.1)

    async def halts(self, name: str, lane: int, why: str) -> None:
        """Wait until a process has halted a lane, and says why."""
        give_up_at = time.monotonic() + READY_SECONDS
        while why not in (await self.halted(name)).get(str(lane), ""):
            assert time.monotonic() < give_up_at, f"{name} does not halt lane {lane}"
            await asyncio.sleep(0.1)

    async def owns(self, name: str, count: int, seconds: float = 60.0) -> None:
        """Wait until a process of the stack has so many lanes."""
        give_up_at = time.monotonic() + seconds
        while len(found := await self.lanes(name)) != count:
            assert time.monotonic() < give_up_at, f"{name} has lanes {found}, not {count}"
            await asyncio.sleep(0.1)

    @asynccontextmanager
    async def child(
        self, stage: str, database_port: int, module: str = "", **more: str
    ) -> AsyncIterator[Child]:
        """A process of a stage whose database is at another port; it leaves at the end of the block."""
        child = await self.start(stage, database_port, module, **more)
        try:
            yield child
        finally:
            await child.leave()

    async def start(self, stage: str, database_port: int, module: str = "", **more: str) -> Child:
        """The same, to be killed by whoever asked for it. Waits until it is ready."""
        self._children += 1
        give_up_at = time.monotonic() + READY_SECONDS
        port, log = free_ports(1), self._folder / f"{stage}-{self._children}.log"
        chosen = {
            "ORDERLOG_HTTP_PORT": str(port),
            "PYTHONUNBUFFERED": "1",
            "ORDERLOG_DATABASE_URL": _at(database_port),
            **more,
        }
        with log.open("wb") as output:
            process = subprocess.Popen(  # noqa: ASYNC220 - it returns at once, and outlives this loop's steps
                (sys.executable, "-m", module or f"services.{stage}.app"),
                cwd=ROOT,
                env={**os.environ, **chosen},
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        child = Child(process, port, log)
        try:
            # In a thread: its database may be behind a proxy of this very loop.
            while not await asyncio.to_thread(ready, port):
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < give_up_at, f"a {stage} of ours was not ready in time"
                await asyncio.sleep(0.05)
        except BaseException:
            child.kill()
            raise
        return child


def _metrics(name: str) -> str:
    url = f"http://127.0.0.1:{settings().port(name)}/metrics"
    with urlopen(url, timeout=READY_SECONDS) as answer:
        return str(answer.read().decode())


def _runs(process: psutil.Process) -> bool:
    """Whether it is there; what nobody has reaped yet is not."""
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _at(port: int) -> str:
    """The database's address with another port."""
    url = settings().database_url.get_secret_value()
    there = urlsplit(url.replace("{database}", "x"))
    return url.replace(f":{there.port}/", f":{port}/")
