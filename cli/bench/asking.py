"""Baskets over HTTP at a fixed pace: what could be promised, and held promises, each with its percentiles.

A basket that is held is let go again a minute later, which is work too: who holds some waits for its end, so
that whatever is measured next has the machine for itself.

Requests are due whether or not earlier ones were answered; a request's time runs from when it was due. The
client is as small as HTTP/1.1 allows, for it shares the cores with what it measures.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

import asyncpg
import orjson

from cli.bench.drive import Drive, Progress, tenant_name
from cli.bench.figures import percentile
from cli.bench.lag import come_to_nothing, open_lag
from cli.bench.orders import LINES, sku, zipf
from cli.bench.processor import micros_per_order, seconds_by_program
from cli.client import user
from libs.runtime.complaint import Complaint
from libs.runtime.settings import Settings, settings
from libs.runtime.tokens import mint

_CONNECTIONS = 64
_TOKEN_SECONDS = 3_600
_TTL_SECONDS = 60
_LOOK_SECONDS = 0.5
_PATIENCE_SECONDS = 30.0
_TIMERS = "SELECT count(*) FROM timer WHERE starts_with(key, $1)"


@dataclass(frozen=True, slots=True)
class Asked:
    """What came of baskets at a fixed pace."""

    baskets: int
    offered_per_second: float
    p50_ms: float
    p99_ms: float
    refused: int
    """Answers that were neither 200 nor 202."""


@dataclass(frozen=True, slots=True)
class Held:
    """Baskets that were held at a fixed pace and expired, and what each cost, in microseconds by program."""

    asked: Asked
    held_micros: dict[str, int]
    expired_micros: dict[str, int]


class _Connection:
    """One kept-alive connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self.writer = reader, writer

    async def ask(self, request: bytes) -> int:
        """Send a request and read the whole answer; its status."""
        return (await self.answer(request))[0]

    async def answer(self, request: bytes) -> tuple[int, bytes]:
        """Send a request; the status and the body of its answer."""
        self.writer.write(request)
        head = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        length = head.partition(b"content-length:")[2].partition(b"\r\n")[0]
        return int(head[9:12]), await self._reader.readexactly(int(length))


async def availability(per_second: float, baskets: int, progress: Progress) -> Asked:
    """Ask what of baskets of three lines of Zipf's SKUs there is, and when it can be there. Complaint: the
    stack is not up, or answers without a date."""
    return await _ask(
        "/v1/availability", "", lambda _: {}, per_second, baskets, progress, tenant=tenant_name()
    )


async def promises(per_second: float, baskets: int, progress: Progress, ending: Progress) -> Held:
    """Hold baskets, waiting for each outcome, then for the end of all of them: `ending` is told of that.
    Complaint: the stack is not up, or stands still."""
    wait, chosen, tenant = "Prefer: wait=10\r\n", settings(), tenant_name()
    async with open_lag(chosen) as lag:
        spent: list[dict[str, float]] = []
        asked = await _ask(
            "/v1/promises",
            wait,
            lambda _: {"ttl_seconds": _TTL_SECONDS},
            per_second,
            baskets,
            progress,
            tenant=tenant,
            ready=lambda: spent.append(seconds_by_program()),
        )
        await lag.gone()
        spent.append(seconds_by_program())
        await _ended(chosen, tenant, baskets, ending, lambda: spent.append(seconds_by_program()))
        await lag.gone()
        spent.append(seconds_by_program())
    begun, held, ends, ended = spent
    micros = [micros_per_order(*between, baskets) for between in ((begun, held), (ends, ended))]
    return Held(asked, *micros)


async def _ended(
    chosen: Settings, tenant: str, baskets: int, progress: Progress, begun: Callable[[], None]
) -> None:
    """Wait until no reminder of the tenant's is left: all that was held is free, and who waits was served.
    `begun` is called as the first ends."""
    connection = await asyncpg.connect(chosen.dsn("inventory"))
    held, ends = 0, False

    async def count() -> int:
        return int(await connection.fetchval(_TIMERS, f"{tenant}/"))

    def seen(left: int) -> None:
        nonlocal ends
        progress(max(0, baskets - left), baskets)
        if left < held and not ends:
            ends = True
            begun()

    def stands_still(left: int) -> Complaint:
        return Complaint(
            f"{left:,} held baskets have not ended, and it does not become less.",
            "See `orderlog status`, and `orderlog logs inventory`.",
        )

    try:
        held = await count()
        await come_to_nothing(count, stands_still, _LOOK_SECONDS, seen)
        progress(baskets, baskets)
        if not ends:
            begun()
    finally:
        await connection.close()


async def _ask(
    path: str,
    header: str,
    more: Callable[[int], dict[str, object]],
    per_second: float,
    baskets: int,
    progress: Progress,
    *,
    tenant: str,
    ready: Callable[[], None] = lambda: None,
) -> Asked:
    """`ready` is called when all is prepared and nothing is sent yet."""
    chosen = settings()
    drive = Drive(chosen, tenant)
    try:
        await drive.fill(baskets * LINES, dated=True)
    finally:
        await drive.stop()
    token = mint(chosen.jwt_key_file, tenant, user(), "integrator", _TOKEN_SECONDS)
    requests = [_request(path, header, token, _basket(n) | more(n)) for n in range(baskets)]
    free = await _connections(chosen)
    await _dates_are_known(free, _request("/v1/availability", "", token, _basket(0)))
    took: list[float] = []
    statuses: list[int] = []
    ready()
    began = time.perf_counter()

    async def one(number: int, due: float) -> None:
        connection = await free.get()
        statuses.append(await connection.ask(requests[number]))
        took.append((time.perf_counter() - due) * 1000)
        free.put_nowait(connection)

    async with asyncio.TaskGroup() as group:
        for number in range(baskets):
            due = began + number / per_second
            if (early := due - time.perf_counter()) > 0:
                await asyncio.sleep(early)
                progress(number, baskets)
            group.create_task(one(number, due))
    seconds = time.perf_counter() - began
    while not free.empty():
        free.get_nowait().writer.close()
    refused = sum(status not in (200, 202) for status in statuses)
    return Asked(baskets, baskets / seconds, percentile(took, 0.5), percentile(took, 0.99), refused)


async def _dates_are_known(free: "asyncio.Queue[_Connection]", request: bytes) -> None:
    """Wait until inventory has heard from routing when the nodes work. Complaint: it does not."""
    connection = await free.get()
    give_up_at = time.monotonic() + _PATIENCE_SECONDS
    while b'"deliver_by":"' not in (await connection.answer(request))[1]:
        if time.monotonic() > give_up_at:
            raise Complaint(
                f"inventory promises no date, {_PATIENCE_SECONDS:.0f} s after its nodes were defined.",
                "See `orderlog status`: does inventory lag behind routing?",
            )
        await asyncio.sleep(_LOOK_SECONDS)
    free.put_nowait(connection)


def _basket(number: int) -> dict[str, object]:
    """Three lines for a place in Great Britain, so that a date has to be worked out, too."""
    lines = [{"sku": sku(chosen), "quantity": 1} for chosen in zipf(number)]
    place = {"country": "GB", "latitude": 51.0 + number % 5, "longitude": -1.0}
    return {"lines": lines, "channel": "web", "destination": place}


def _request(path: str, header: str, token: str, body: dict[str, object]) -> bytes:
    content = orjson.dumps(body)
    head = (
        f"POST {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {token}\r\n{header}"
        f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content


async def _connections(chosen: Settings) -> "asyncio.Queue[_Connection]":
    free: asyncio.Queue[_Connection] = asyncio.Queue()
    try:
        for _ in range(_CONNECTIONS):
            opened = await asyncio.open_connection("127.0.0.1", chosen.port("inventory"))
            free.put_nowait(_Connection(*opened))
    except OSError:
        raise Complaint("inventory does not answer.", "Start the stack with `orderlog up`.") from None
    return free
