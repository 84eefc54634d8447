"""Connections to Kafka that are made when somebody first needs them, and kept for all who come after."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, Protocol, TypeVar

from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient

from libs.runtime.kafka import lone_admin, lone_consumer
from libs.runtime.settings import Settings


class Startable(Protocol):
    """A client of aiokafka's."""

    async def start(self) -> None: ...


Client = TypeVar("Client", bound=Startable)


class OnDemand(Generic[Client]):
    """One client, started by the first who asks; after `close` another is made. Safe for many at once."""

    def __init__(self, make: Callable[[], Client], stop: Callable[[Client], Awaitable[None]]) -> None:
        self._make, self._stop = make, stop
        self._client: Client | None = None
        self._starting = asyncio.Lock()

    async def __call__(self) -> Client:
        """The client, started. Raises KafkaError when no broker answers."""
        async with self._starting:
            if self._client is None:
                client = self._make()
                try:
                    await client.start()
                except BaseException:
                    await self._stop(client)
                    raise
                self._client = client
            return self._client

    async def close(self) -> None:
        """Let go of it, if there is one."""
        client, self._client = self._client, None
        if client is not None:
            await self._stop(client)


def consumer_on_demand(config: Settings, **options: object) -> OnDemand[AIOKafkaConsumer]:
    """A consumer in no group; `options` are aiokafka's."""
    return OnDemand(lambda: lone_consumer(config, **options), AIOKafkaConsumer.stop)


def admin_on_demand(config: Settings) -> OnDemand[AIOKafkaAdminClient]:
    """An admin client."""
    return OnDemand(lambda: lone_admin(config), AIOKafkaAdminClient.close)
