"""Tells open pages that something of theirs has changed, as the projection commits it: server-sent events.

A page is told *that*, not what: it asks again for the parts that show it. An event's id is the projection's
position, so a browser that was cut off for a while, or comes to another process, is told at once if it missed
anything; that may be once too often, never once too few.

Who projects, here or in another process, hears that pages are open, so that it writes sooner what they show.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import asyncpg
import orjson
import structlog

from libs.runtime.pool import DATABASE_FAULTS
from libs.runtime.problems import Problem
from services.console.announce import CHANNEL, Change, heard
from services.console.web.freshness import Freshness, Stand

logger = structlog.get_logger()

_STAND_SECONDS = 2.0
_TOGETHER_SECONDS = 0.15
"""What comes so soon after one another is told together."""
_AGAIN_SECONDS = 1.0
_SIGNED_IN_SECONDS = 15.0
"""How often it is looked whether who has a page open is still signed in."""
_WATCHED = "orderlog_console_watched"
_SAY_WATCHED = f"NOTIFY {_WATCHED}"
_SAY_SECONDS = 2.0
_WATCHED_SECONDS = 5.0
"""For so long after it was last said that pages are open, some are."""


SignedIn = Callable[[], Awaitable[bool]]


class Watcher:
    """One open page: what changed for its tenant since it was last told."""

    def __init__(self, tenant: str) -> None:
        self.tenant = tenant
        self.woken = asyncio.Event()
        self._change: Change | None = None
        self._everything = False

    def tell(self, change: Change | None) -> None:
        """Something changed, or, with none, perhaps everything."""
        if change is None:
            self._everything = True
        elif self._change is None:
            self._change = Change(change.orders and set(change.orders), change.stock)
        else:
            self._change.add(change)
        self.woken.set()

    def take(self) -> dict[str, Any] | None:
        """What to tell the page, once."""
        self.woken.clear()
        everything, change = self._everything, self._change
        self._everything, self._change = False, None
        if everything:
            return {"all": True}
        if change is None:
            return None
        orders = None if change.orders is None else sorted(change.orders)
        return {"all": False, "orders": orders, "stock": change.stock}


class Feed:
    """Hears what commits announce and passes it to the watchers of that tenant. One per process."""

    def __init__(
        self, dsn: str, connect_seconds: float, freshness: Freshness, streams_max: int = 500
    ) -> None:
        self._dsn, self._connect_seconds, self._freshness = dsn, connect_seconds, freshness
        self._streams_max = streams_max
        self._watchers: set[Watcher] = set()
        self._watched_until = 0.0
        self._closing = False

    async def run(self) -> None:
        """Listen for ever; what may have been missed while the database was away is told as everything."""
        while True:
            try:
                connection = await asyncpg.connect(self._dsn, timeout=self._connect_seconds)
                try:
                    gone = asyncio.Event()
                    connection.add_termination_listener(lambda _, gone=gone: gone.set())
                    await connection.add_listener(CHANNEL, self._announced)
                    await connection.add_listener(_WATCHED, self._heard_of_pages)
                    self._tell_all()
                    while not gone.is_set():
                        if self._watchers:
                            await connection.execute(_SAY_WATCHED, timeout=self._connect_seconds)
                        with contextlib.suppress(TimeoutError):
                            await asyncio.wait_for(gone.wait(), _SAY_SECONDS)
                finally:
                    connection.terminate()
            except DATABASE_FAULTS as error:
                logger.warning("pages are not told of changes", error=repr(error))
            await asyncio.sleep(_AGAIN_SECONDS)

    def is_watched(self) -> bool:
        """Whether pages are open, of this process or of another that has said so lately."""
        return bool(self._watchers) or time.monotonic() < self._watched_until

    def close(self) -> None:
        """End every stream: the process is to stop."""
        self._closing = True
        for watcher in self._watchers:
            watcher.woken.set()

    async def stream(
        self, tenant: str, since: int | None, names_orders: bool, signed_in: SignedIn
    ) -> AsyncIterator[bytes]:
        """Events for one page of a tenant that has seen all up to position `since`, for as long as who has it
        open is `signed_in`. Without `names_orders` it is not told which orders. Raises Problem 503 when too
        many are open."""
        if len(self._watchers) >= self._streams_max:
            raise Problem(
                503,
                "too_many_streams",
                "Too many pages are open",
                f"{self._streams_max} pages of this process are told of changes already.",
                "Close some, or reload the page now and then.",
                retry_after_seconds=30,
            )
        return self._stream(Watcher(tenant), since, names_orders, signed_in)

    async def _stream(
        self,
        watcher: Watcher,
        since: int | None,
        names_orders: bool,
        signed_in: SignedIn,
    ) -> AsyncIterator[bytes]:
        self._watchers.add(watcher)
        asked_at = time.monotonic()
        try:
            yield b"retry: 1000\n\n"
            # From here on announcements are heard. What was committed between the page and now is in a stand
            # that is asked for now; the last one known may be as old as the page's.
            stand = await self._freshness.stand_now()
            if stand is None or since != stand.position:
                watcher.tell(None)
            while not self._closing:
                if time.monotonic() >= asked_at + _SIGNED_IN_SECONDS:
                    if not await signed_in():
                        return
                    asked_at = time.monotonic()
                seen = stand  # a round ago, so that what was committed up to it has been heard of
                change = watcher.take()
                stand = await self._freshness.stand()
                if change is not None:
                    if not names_orders and "orders" in change:
                        change["orders"] = None
                    yield _event("changed", change, seen)
                yield _event("stand", _told(stand), seen)
                if change is not None:
                    await asyncio.sleep(_TOGETHER_SECONDS)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_STAND_SECONDS):
                        await watcher.woken.wait()
        finally:
            self._watchers.discard(watcher)

    def _announced(self, connection: object, pid: int, channel: str, payload: object) -> None:
        changes = heard(str(payload))
        if changes is None:
            self._tell_all()
            return
        for watcher in self._watchers:
            if (change := changes.get(watcher.tenant)) is not None:
                watcher.tell(change)

    def _heard_of_pages(self, connection: object, pid: int, channel: str, payload: object) -> None:
        self._watched_until = time.monotonic() + _WATCHED_SECONDS

    def _tell_all(self) -> None:
        for watcher in self._watchers:
            watcher.tell(None)


def _told(stand: Stand | None) -> dict[str, Any]:
    return {
        "now": datetime.now(UTC),
        "as_of": stand.as_of if stand else None,
        "behind": stand.behind if stand else 0,
    }


def _event(name: str, told: dict[str, Any], seen: Stand | None) -> bytes:
    id_ = f"id: {seen.position}\n" if seen is not None else ""
    return f"{id_}event: {name}\ndata: {orjson.dumps(told, option=orjson.OPT_UTC_Z).decode()}\n\n".encode()
