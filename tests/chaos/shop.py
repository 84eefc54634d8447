"""A tenant that orders while faults happen, and keeps its own history of what it asked for.

Commands go straight onto the stages' topics, as a partner's would, and are sent again under the same id until
Kafka has them; so the history is complete whatever happens to edges and brokers.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeAlias
from uuid import UUID, uuid4

import asyncpg

from libs.events.catalogue import encode
from libs.events.contract import Command
from libs.events.envelope import Envelope
from libs.events.ids import order_id, partition_key
from libs.events.intake import CancelOrder, SubmitOrder
from libs.events.inventory import ReceiveStock
from libs.events.order import Destination, OrderLine
from libs.events.routing import DefineNode
from libs.runtime import wire
from libs.runtime.kafka import KafkaPublisher, Lanes
from libs.runtime.relay import PublishFailed
from libs.runtime.settings import settings
from libs.runtime.stage import commands_topic

Lines: TypeAlias = Sequence[tuple[str, int]]
"""SKU and units, a line each."""
DEADLINE_SECONDS = 120.0
_PAUSE_SECONDS = 0.1

_DONE = """
    SELECT count(DISTINCT stream) FROM log
    WHERE tenant = $1 AND origin = 'decided' AND type = ANY($2::text[])"""
_STREAMS = (
    "SELECT DISTINCT stream FROM log WHERE tenant = $1 AND origin = 'decided' AND type = ANY($2::text[])"
)


@dataclass(frozen=True, slots=True)
class Sent:
    """A command of the history; `times` it was meant to be sent."""

    stage: str
    id: UUID
    stream: str
    type: str
    times: int


class Shop:
    """One tenant with one node, and stock of some SKUs."""

    def __init__(self, stock: Mapping[str, int]) -> None:
        self.tenant = f"chaos-{uuid4().hex[:8]}"
        self.stock = dict(stock)
        self.history: list[Sent] = []
        self.orders: list[str] = []
        self._publisher = KafkaPublisher(settings(), "chaos")
        self._lane_of = Lanes(settings().partitions)

    async def open(self) -> None:
        """Have the node known and the stock received."""
        node = DefineNode(node="LON", name="London", country="GB", latitude=51.5, longitude=-0.1)
        await self.send("routing", node)
        for sku, units in self.stock.items():
            await self.send("inventory", ReceiveStock(sku=sku, node="LON", quantity=units))
        await self.until(lambda: self.count("routing", "node_defined"), 1)
        await self.until(lambda: self.count("inventory", "stock_received"), len(self.stock))

    async def close(self) -> None:
        await self._publisher.stop()

    def lane(self, stream: str) -> int:
        return self._lane_of(partition_key(self.tenant, stream))

    async def send(self, stage: str, command: Command, *, id_: UUID | None = None, times: int = 1) -> UUID:
        """Publish a command so many times, each until Kafka has acknowledged it."""
        id_ = id_ or uuid4()
        self.history.append(Sent(stage, id_, command.stream, command.TYPE, times))
        envelope: Envelope[Command] = Envelope(
            id_, self.tenant, command.stream, command, datetime.now(UTC), "chaos", "", id_, id_, "chaos"
        )
        key = partition_key(self.tenant, command.stream)
        message = (key.encode(), encode(command), wire.headers(envelope), int(time.time() * 1000))
        for _ in range(times):
            await self._publish(commands_topic(stage), self._lane_of(key), message)
        return id_

    @staticmethod
    def new_id() -> UUID:
        return uuid4()

    async def count_refused(self, stage: str) -> int:
        """Refusals that a stage told this tenant of."""
        query = "SELECT count(*) FROM log WHERE tenant = $1 AND type = 'oms.command_refused'"
        return int((await fetch(stage, query, self.tenant))[0][0])

    async def _publish(
        self, topic: str, lane: int, message: tuple[bytes, bytes, list[tuple[str, bytes]], int]
    ) -> None:
        give_up_at = time.monotonic() + DEADLINE_SECONDS
        while True:
            try:
                return await self._publisher.send(topic, lane, message)
            except PublishFailed:
                assert time.monotonic() < give_up_at, "Kafka never took it"
                await asyncio.sleep(_PAUSE_SECONDS)

    def submission(self, number: str, lines: Lines, promise_id: str | None = None) -> SubmitOrder:
        return SubmitOrder(
            order_id=order_id(self.tenant, "web", number),
            channel="web",
            external_id=number,
            placed_at=datetime.now(UTC),
            currency="GBP",
            lines=tuple(
                OrderLine(line=line, sku=sku, quantity=units, unit_price_minor=100)
                for line, (sku, units) in enumerate(lines, 1)
            ),
            destination=Destination(country="GB"),
            promise_id=promise_id,
        )

    async def order(self, lines: Lines, times: int = 1, promise_id: str | None = None) -> str:
        """Submit one more order; its id."""
        command = self.submission(str(len(self.orders)), lines, promise_id)
        self.orders.append(command.order_id)
        await self.send("intake", command, times=times)
        return command.order_id

    async def order_many(self, many: Sequence[Lines]) -> list[str]:
        """Submit them at once."""
        return list(await asyncio.gather(*(self.order(lines) for lines in many)))

    @asynccontextmanager
    async def ordering(self, lines_of: Callable[[int], Lines], per_second: int = 40) -> AsyncIterator[None]:
        """Order without a pause while the block runs, at a steady rate."""
        enough = asyncio.Event()

        async def order() -> None:
            began, sent = time.monotonic(), 0
            while not enough.is_set():
                due = int((time.monotonic() - began) * per_second) + 1 - sent
                await self.order_many([lines_of(sent + n) for n in range(due)])
                sent += due
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(enough.wait(), _PAUSE_SECONDS)

        running = asyncio.create_task(order())
        try:
            yield
        finally:
            enough.set()
            await running

    async def cancel_all(self) -> None:
        """Cancel every order: what was promised goes back, and each has an end."""
        commands = [CancelOrder(order_id=id_, reason="the end of the test") for id_ in self.orders]
        await asyncio.gather(*(self.send("intake", command) for command in commands))

    async def served(self, orders: int | None = None) -> None:
        """Wait until so many orders (all) are work at the warehouse, wait for stock, or are closed."""
        wanted = len(self.orders) if orders is None else orders
        give_up_at = time.monotonic() + DEADLINE_SECONDS
        while len(found := await self._seen_to()) < wanted:
            assert time.monotonic() < give_up_at, f"{len(found)} of {wanted} orders were seen to"
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _seen_to(self) -> set[str]:
        found = await self.streams("fulfillment", "fulfillment_released")
        found |= await self.streams("inventory", "stock_backordered")
        return found | await self.streams("intake", "order_closed")

    async def closed(self) -> None:
        """Wait until every order has its end."""
        await self.until(lambda: self.count("intake", "order_closed"), len(self.orders))

    async def count(self, stage: str, *names: str) -> int:
        """Streams with an event of one of these names."""
        [row] = await fetch(stage, _DONE, self.tenant, [f"oms.{stage}.{name}" for name in names])
        return int(row[0])

    async def streams(self, stage: str, *names: str) -> set[str]:
        rows = await fetch(stage, _STREAMS, self.tenant, [f"oms.{stage}.{name}" for name in names])
        return {str(row[0]) for row in rows}

    async def until(self, ask: Callable[[], Awaitable[int]], wanted: int, *, exact: bool = True) -> None:
        """Wait until the count is reached; an exact one must not be passed."""
        give_up_at = time.monotonic() + DEADLINE_SECONDS
        while (found := await ask()) < wanted:
            assert time.monotonic() < give_up_at, f"{found} of {wanted}"
            await asyncio.sleep(_PAUSE_SECONDS)
        assert found == wanted or not exact, f"{found}, more than {wanted}"


async def fetch(stage: str, query: str, *arguments: object) -> list[asyncpg.Record]:
    """Rows of a stage's database; a server that is gone is waited for."""
    give_up_at = time.monotonic() + DEADLINE_SECONDS
    while True:
        try:
            connection = await asyncpg.connect(settings().dsn(stage))
            try:
                return list(await connection.fetch(query, *arguments))
            finally:
                await connection.close()
        except (OSError, asyncpg.PostgresConnectionError, asyncpg.CannotConnectNowError):
            assert time.monotonic() < give_up_at, "PostgreSQL is gone"
            await asyncio.sleep(_PAUSE_SECONDS)


async def eventually(holds: Callable[[], object], what: str, seconds: float = 60.0) -> None:
    """Wait until it holds; what it is goes into the failure."""
    give_up_at = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < give_up_at, f"it never came true: {what}"
        await asyncio.sleep(0.02)
