"""A broker of one node that can be stopped as by SIGSTOP: it accepts, and answers nothing until it goes on.

It speaks as much of Kafka's protocol as a producer needs, through aiokafka's own encoding, and keeps what it
was sent in the order of its arrival. What arrived while it was stopped it does when it goes on, also for who
has gone.
"""

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from io import BytesIO
from typing import Any

from aiokafka.protocol.admin import ApiVersionRequest_v0, ApiVersionResponse_v0
from aiokafka.protocol.api import RequestHeader_v1
from aiokafka.protocol.metadata import MetadataRequest_v1, MetadataResponse_v1
from aiokafka.protocol.produce import ProduceRequest_v3, ProduceResponse_v3
from aiokafka.protocol.transaction import InitProducerIdRequest_v0, InitProducerIdResponse_v0
from aiokafka.record import MemoryRecords

_SPOKEN = (ApiVersionRequest_v0, MetadataRequest_v1, InitProducerIdRequest_v0, ProduceRequest_v3)


class StoppedBroker:
    """`topic` has `partitions`; `stored` are the values of each. It answers while `going` is set."""

    def __init__(self, topic: str, partitions: int) -> None:
        self._topic, self._spoken = topic, {kind.API_KEY: kind for kind in _SPOKEN}
        self.stored: dict[int, list[bytes]] = {number: [] for number in range(partitions)}
        self.going = asyncio.Event()
        self.produced = asyncio.Event()
        """A produce request is there, be it answered or not."""
        self.port = self._producers = 0
        self._connections: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, request by request, to its end."""
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            with suppress(asyncio.IncompleteReadError, ConnectionError):
                while True:
                    (size,) = struct.unpack(">i", await reader.readexactly(4))
                    asked = BytesIO(await reader.readexactly(size))
                    key, _, number, _ = [field.decode(asked) for field in RequestHeader_v1.SCHEMA.fields]
                    if key == ProduceRequest_v3.API_KEY:
                        self.produced.set()
                    await self.going.wait()
                    answer = self._answer(self._spoken[key].decode(asked)).encode()
                    writer.write(struct.pack(">ii", 4 + len(answer), number) + answer)
        finally:
            self._connections.discard(task)
            writer.transport.abort()

    def _answer(self, request: Any) -> Any:
        match request:
            case ApiVersionRequest_v0():
                return ApiVersionResponse_v0(0, [(k.API_KEY, k.API_VERSION, k.API_VERSION) for k in _SPOKEN])
            case MetadataRequest_v1():
                partitions = [(0, number, 0, [0], [0]) for number in self.stored]
                return MetadataResponse_v1(
                    [(0, "127.0.0.1", self.port, None)], 0, [(0, self._topic, False, partitions)]
                )
            case InitProducerIdRequest_v0():
                self._producers += 1
                return InitProducerIdResponse_v0(0, 0, self._producers, 0)
        return ProduceResponse_v3(
            [
                (topic, [(number, 0, self._store(number, batch), -1) for number, batch in partitions])
                for topic, partitions in request.topics
            ],
            0,
        )

    def _store(self, number: int, batches: bytes) -> int:
        kept = self.stored[number]
        first, records = len(kept), MemoryRecords(batches)
        while (batch := records.next_batch()) is not None:
            kept += [record.value for record in batch]
        return first

    async def end(self) -> None:
        """Let go of everybody."""
        found = list(self._connections)
        for task in found:
            task.cancel()
        await asyncio.gather(*found, return_exceptions=True)


@asynccontextmanager
async def stopped_broker(topic: str, partitions: int = 2) -> AsyncIterator[StoppedBroker]:
    """One on a port of its own, stopped from the beginning."""
    found = StoppedBroker(topic, partitions)
    server = await asyncio.start_server(found.serve, "127.0.0.1", 0)
    found.port = server.sockets[0].getsockname()[1]
    try:
        yield found
    finally:
        server.close()
        await found.end()
