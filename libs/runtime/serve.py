"""An ASGI application as a process: served until SIGTERM, of which it hears at once; it ends with 0 then."""

import asyncio
import contextlib
import gc
import os
import signal
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

import structlog
import uvicorn
import uvloop
from fastapi import FastAPI

from libs.runtime.complaint import Complaint
from libs.runtime.head_limit import heads_within
from libs.runtime.memory import give_back_memory
from libs.runtime.settings import Settings

logger = structlog.get_logger()


class _Server(uvicorn.Server):
    """Tells the application that it is to stop before connections are waited for, not after."""

    app: FastAPI

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        begin_stop: Callable[[], None] | None = getattr(self.app.state, "begin_stop", None)
        if begin_stop is not None:
            begin_stop()
        await super().shutdown(sockets)


def serve(
    make_app: Callable[[], FastAPI],
    name: str,
    config: Settings,
    begin: Callable[[], Awaitable[None]],
) -> None:
    """Serve an ASGI application on the service's port, on uvloop, until SIGTERM or SIGINT.

    First `begin`: a Complaint that it raises is logged, and nothing is served.
    """

    async def serving() -> None:
        await begin()
        app = make_app()
        server = _Server(
            uvicorn.Config(
                app,
                host=config.http_host,
                port=config.port(name),
                http=heads_within(config.head_bytes_max, config.head_seconds_max, config.answer_seconds_max),
                log_config=None,
                access_log=False,
                timeout_graceful_shutdown=max(1, int(config.stop_seconds / 2)),
            )
        )
        server.app = app
        # uvicorn raises the signal again once it has stopped, for its former handler: the end is to be 0.
        signal.signal(signal.SIGTERM, lambda *_: None)
        trimming = asyncio.create_task(give_back_memory())
        await server.serve()
        trimming.cancel()
        if not server.started:
            raise SystemExit(1)

    yield_to_others(config.nice)
    collect_seldom()
    try:
        uvloop.run(serving())
    except Complaint as complaint:
        logger.critical("cannot start", why=complaint.sentence, next_step=complaint.next_step)
        raise SystemExit(1) from None


def yield_to_others(nice: int) -> None:
    """Claim less of the processor, by so many steps of `nice`.

    Linux shares the processor out among sessions first (autogroups, see sched(7)), each as one; among
    processes that are sessions of their own, as those of the local stack are, `nice` alone changes nothing.
    """
    os.nice(nice)
    if nice:
        yield_session(nice)


def yield_session(nice: int) -> bool:
    """The same of the session alone, where it is this process's own: it may be taken back, which `nice` may
    not without a privilege.

    False: it stays as it is. The system has no autogroups, or was asked within the last tenth of a second.
    """
    if os.getsid(0) == os.getpid():
        with contextlib.suppress(OSError):
            Path("/proc/self/autogroup").write_text(str(nice))
            return True
    return False


def collect_seldom() -> None:
    """Look for reference cycles seldom, and never among what there is already.

    A batch makes tens of thousands of objects that reference counting frees again; looking for cycles among
    them every 700 allocations took a fifth of the time.
    """
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
