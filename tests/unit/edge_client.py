"""A stage's real edge and routes with nothing but the broker cut off: what would be published is kept."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import asyncpg
import httpx
from fastapi import APIRouter, FastAPI

from libs.events.catalogue import decode
from libs.events.contract import Contract
from libs.runtime import problems
from libs.runtime.answers import Answers
from libs.runtime.edge import Edge
from libs.runtime.kafka import KafkaPublisher, Lanes
from libs.runtime.keyring import MemoryKeyring
from libs.runtime.memory_log import MemoryLog
from libs.runtime.relay import Message
from libs.runtime.routers import add_routes
from libs.runtime.settings import Settings
from libs.runtime.tokens import mint, new_signing_key

TENANT = "acme"


class KeptRecords(KafkaPublisher):
    """Keeps records instead of sending them."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings, "test")
        self.records: list[tuple[str, Message]] = []

    async def publish(self, topic: str, partition: int, messages: Sequence[Message]) -> None:
        self.records += [(topic, message) for message in messages]

    async def send(self, topic: str, partition: int, message: Message) -> None:
        await self.publish(topic, partition, [message])

    def commands(self) -> list[Contract]:
        """What a stage would read."""
        return [
            decode(dict(message[2])["ce_type"].decode(), 1, message[1] or b"") for _, message in self.records
        ]


class EdgeClient:
    """Calls one stage's routes with a token of a role; `chosen` are settings."""

    def __init__(
        self,
        stage: str,
        routes: Callable[[Edge], APIRouter],
        folder: Path,
        pool: asyncpg.Pool | None = None,
        **chosen: Any,
    ) -> None:
        key_file = folder / "jwt.json"
        key_file.write_bytes(new_signing_key())
        self._key_file = key_file
        config = Settings(jwt_key_file=key_file, **chosen)
        self.kept = KeptRecords(config)
        self.keyring = MemoryKeyring()
        log = self.log = MemoryLog()
        self.answers = Answers(log)
        edge = Edge(stage, config, self.kept, self.answers, self.keyring, Lanes(4), log, pool)
        self.app = FastAPI()
        problems.install(self.app)
        add_routes(self.app, routes(edge))

    async def call(
        self, method: str, path: str, body: Any = None, *, role: str | None = "integrator", **more: Any
    ) -> httpx.Response:
        """One request; without a role, without a token."""
        headers = dict(more.pop("headers", {}))
        if role:
            headers["Authorization"] = f"Bearer {mint(self._key_file, TENANT, 'shop', role, 60)}"
        transport = httpx.ASGITransport(self.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://edge") as client:
            return await client.request(method, path, json=body, headers=headers, **more)
