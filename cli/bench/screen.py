"""How long an event takes to the screen: held orders are released while others keep the stack busy, and their
pages followed as a browser follows them.

A page is asked for again once it is told that its order changed, a fifth of a second after the last time at
the soonest. An event is on the screen when the answer that shows it is there: what a browser takes to draw it
is not in it. Its beginning is its own time, when its stage decided it.
"""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime

import asyncpg
import httpx2
import orjson

from cli.bench.drive import Drive, lot, message, ready_lots, tenant_name
from cli.bench.lag import open_lag
from cli.bench.orders import order
from cli.bench.paced import send
from libs.events.intake import ReleaseHold
from libs.runtime.complaint import Complaint
from libs.runtime.settings import Settings, settings
from services.console.web.guard import Guard
from services.console.web.sessions import Sessions
from services.console.web.stages import address
from services.console.website import own_url

EVENTS_A_SECOND = 500
PAGES = 8
"""That are followed at once, one order after the other."""
_EVENTS_OF_ORDER = 5
_TICK_SECONDS = 0.05
_PAUSE_SECONDS = 0.2
"""As services/console/assets/console.js has it."""
_PATIENCE_SECONDS = 10.0
_ROW = re.compile(r'id="e-([0-9a-f-]{36})"[^>]*><td><time datetime="([^"]+)"')
_PROJECTED = "SELECT count(*) FROM live.timeline WHERE tenant = $1"


@dataclass(frozen=True, slots=True)
class OnScreen:
    """`shown_ms`: of each event of orders that were followed; so many a second were projected meanwhile."""

    events_per_second: float
    shown_ms: Sequence[float]


@dataclass(slots=True)
class _Screen:
    """One order's page: which of its events it shows, and how long each took."""

    client: httpx2.AsyncClient
    order_id: str
    shown: set[str] = field(default_factory=set)
    taken_ms: list[float] = field(default_factory=list)

    async def draw(self) -> bool:
        """Ask for the page again; whether it is there."""
        answer = await self.client.get(f"/parts/orders/{self.order_id}")
        now = time.time()
        for event_id, at in _ROW.findall(answer.text):
            if event_id not in self.shown:
                self.shown.add(event_id)
                self.taken_ms.append((now - datetime.fromisoformat(at).timestamp()) * 1000)
        return answer.status_code == 200


async def measure(seconds: float) -> OnScreen:
    """Follow orders for so long. Complaint: the stack is not up, or stands still."""
    chosen = settings()
    drive = Drive(chosen, tenant_name())
    rate = EVENTS_A_SECOND / _EVENTS_OF_ORDER
    orders, held = round(rate * seconds), PAGES * max(1, round(seconds))
    readers = asyncpg.create_pool(chosen.dsn("console"), min_size=1, max_size=2)
    async with open_lag(chosen) as lag, readers as pool:
        try:
            await drive.fill(orders + held)
            ids = await _hold(drive, range(orders, orders + held))
            size = max(1, round(rate * _TICK_SECONDS))
            ready = ready_lots(drive.tenant, orders, size, drive.lane_of)
            await lag.gone()
            async with _signed_in(chosen, pool, drive.tenant) as client:
                before, began = await _projected(pool, drive.tenant), time.time()
                busy = asyncio.create_task(send(drive, ready, size / rate, {}))
                turns = [_follow(drive, client, ids[n::PAGES], busy) for n in range(PAGES)]
                taken = [one for found in await asyncio.gather(*turns) for one in found]
                await busy
                after, ended = await _projected(pool, drive.tenant), time.time()
        finally:
            await drive.stop()
    return OnScreen((after - before) / (ended - began), taken)


async def _projected(pool: asyncpg.Pool, tenant: str) -> int:
    """Events of a tenant in the read models, which row-level security shows to the projector alone."""
    async with pool.acquire() as connection, connection.transaction(readonly=True):
        await connection.execute("SELECT set_config('orderlog.projector', 'on', true)")
        return int(await connection.fetchval(_PROJECTED, tenant))


async def _hold(drive: Drive, numbers: range) -> list[str]:
    """Orders that wait for their payment."""
    made = [order(drive.tenant, number).model_copy(update={"payment": "pending"}) for number in numbers]
    await drive.publish("intake", lot(drive.tenant, made, drive.lane_of))
    return [one.order_id for one in made]


async def _follow(
    drive: Drive, client: httpx2.AsyncClient, ids: Sequence[str], busy: "asyncio.Task[None]"
) -> list[float]:
    """Release one order after the other, while others come, and watch each until it is at its nodes."""
    taken: list[float] = []
    for order_id in ids:
        if busy.done():
            break
        screen = _Screen(client, order_id)
        assert await screen.draw(), f"the page of {order_id} is not there"
        screen.taken_ms.clear()
        async with client.stream("GET", "/live") as stream:
            lines = stream.aiter_lines()
            await anext(lines)
            key, command = message(drive.tenant, ReleaseHold(order_id=order_id, hold="payment", note="bench"))
            await drive.publish("intake", {drive.lane_of(key): [command]})
            await _watch(screen, lines)
        taken += screen.taken_ms
    return taken


async def _watch(screen: _Screen, lines: AsyncIterator[str]) -> None:
    """Draw the page whenever its order has changed, until it is released to its nodes."""
    drawn_at = 0.0
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            async for line in lines:
                if not line.startswith("data:") or not _concerns(line, screen.order_id):
                    continue
                await asyncio.sleep(max(0.0, drawn_at + _PAUSE_SECONDS - time.monotonic()))
                drawn_at = time.monotonic()
                await screen.draw()
                if len(screen.taken_ms) >= _EVENTS_OF_ORDER:
                    return
    except TimeoutError:
        raise Complaint(
            f"Order {screen.order_id} was released, and its page shows {len(screen.taken_ms)} events of it"
            f" {_PATIENCE_SECONDS:.0f} s later.",
            "See `orderlog status`: does a service lag behind?",
        ) from None


def _concerns(line: str, order_id: str) -> bool:
    change = orjson.loads(line.removeprefix("data:"))
    if "all" not in change:
        return False
    return bool(change["all"]) or change["orders"] is None or order_id in change["orders"]


@asynccontextmanager
async def _signed_in(chosen: Settings, pool: asyncpg.Pool, tenant: str) -> AsyncIterator[httpx2.AsyncClient]:
    """A browser of somebody of the tenant at the running console."""
    sessions = Sessions(pool, 3600, 3600)
    secret = await sessions.start(tenant, "bench", "Bench", "operator", None)
    cookies = {Guard(sessions, own_url(chosen)).cookie: secret}
    async with httpx2.AsyncClient(
        base_url=address(chosen, "console"), cookies=cookies, timeout=30, trust_env=False
    ) as client:
        yield client
