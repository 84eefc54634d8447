"""The rebuild on a running stack: the six event topics through a plain consumer, without a group.

    python -m services.console.replay [--swap]

`rebuild_console` is what the command line calls.
"""

import asyncio
import gc
import sys
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict

import asyncpg
import orjson
from aiokafka import AIOKafkaConsumer
from aiokafka import TopicPartition as KafkaPartition
from aiokafka.errors import KafkaError

from libs.runtime.complaint import Complaint
from libs.runtime.kafka import record_of, request_timeout_ms
from libs.runtime.pool import bounded_pool
from libs.runtime.settings import Settings, settings
from libs.runtime.wire import Record
from services.console.rebuild import Progress, Rebuilt, rebuild
from services.console.store import TopicPartition

_RECORDS_MAX = 2000
_SILENCE_SECONDS = 30.0
_UNREACHABLE = (
    OSError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
)
_FETCH_BYTES = 4 * 1_048_576


async def rebuild_console(
    config: Settings, *, swap: bool = False, progress: Progress = lambda done, total: None
) -> Rebuilt:
    """Rebuild from Kafka beside the live tables, and compare; see `services.console.rebuild`.

    Complaint: Kafka or PostgreSQL cannot be reached, or see there.
    """
    topics = KafkaTopics(config)
    try:
        async with bounded_pool(
            config.dsn("console"),
            config,
            min_size=1,
            max_size=3,
            server_settings={"application_name": "orderlog-console-rebuild", "jit": "off"},
        ) as pool:
            with _no_search_for_cycles():
                return await rebuild(pool, topics.read, swap=swap, progress=progress)
    except _UNREACHABLE as error:
        raise Complaint(
            f"The console's database cannot be reached ({type(error).__name__}: {error}).",
            "Run `orderlog up`, or check ORDERLOG_DATABASE_URL.",
        ) from error
    except asyncpg.UndefinedTableError as error:
        raise Complaint(
            "The console's database has no read models.", "Run `orderlog up`: it migrates."
        ) from error
    except KafkaError as error:
        raise Complaint(
            f"Kafka at {config.kafka} cannot be read ({type(error).__name__}: {error}).",
            "Run `orderlog up`, or check ORDERLOG_KAFKA.",
        ) from error


@contextmanager
def _no_search_for_cycles() -> Iterator[None]:
    """Orders in memory are many objects without a cycle: looking through them again and again took a third of
    the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


class KafkaTopics:
    """Reads partitions from their first record up to a given offset."""

    def __init__(self, config: Settings) -> None:
        self._config = config

    async def read(self, ends: Mapping[TopicPartition, int]) -> AsyncIterator[Sequence[Record]]:
        """Records in order within each partition, in batches; stops when every end is reached.

        Complaint: a partition does not reach its end, or stays silent before it.
        """
        wanted = {KafkaPartition(*place): end for place, end in ends.items() if end > 0}
        if not wanted:
            return
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._config.kafka,
            enable_auto_commit=False,
            auto_offset_reset="none",
            max_partition_fetch_bytes=_FETCH_BYTES,
            request_timeout_ms=request_timeout_ms(self._config),
        )
        await consumer.start()
        try:
            consumer.assign(list(wanted))
            await self._check(consumer, wanted)
            for place in wanted:
                consumer.seek(place, 0)
            async for records in _until(consumer, wanted):
                yield records
        finally:
            await consumer.stop()

    async def _check(self, consumer: AIOKafkaConsumer, wanted: Mapping[KafkaPartition, int]) -> None:
        firsts = await consumer.beginning_offsets(list(wanted))
        lasts = await consumer.end_offsets(list(wanted))
        for place, end in wanted.items():
            if firsts[place] > 0 or lasts[place] < end:
                raise Complaint(
                    f"{place.topic}/{place.partition} holds offsets {firsts[place]} to {lasts[place]},"
                    f" but the live tables were made from 0 to {end}.",
                    "Was the topic deleted or its retention shortened? orderlog recover kafka --from log",
                )


async def _until(
    consumer: AIOKafkaConsumer, wanted: Mapping[KafkaPartition, int]
) -> AsyncIterator[list[Record]]:
    ahead = dict(wanted)
    while ahead:
        found = await asyncio.wait_for(
            consumer.getmany(*ahead, timeout_ms=5000, max_records=_RECORDS_MAX), _SILENCE_SECONDS
        )
        if not found:
            raise Complaint(
                f"Kafka went silent {sum(ahead.values())} offsets before the end.",
                "See `orderlog status`, then try again.",
            )
        records = [
            record_of(raw) for place, raws in found.items() for raw in raws if raw.offset < wanted[place]
        ]
        for place, raws in found.items():
            if raws and raws[-1].offset + 1 >= wanted[place]:
                del ahead[place]
                consumer.pause(place)
        if records:
            yield records


def main() -> None:
    """Rebuild, print the outcome as JSON; exit 1 when the digests differ."""
    try:
        rebuilt = asyncio.run(rebuild_console(settings(), swap="--swap" in sys.argv[1:]))
    except Complaint as complaint:
        raise SystemExit(f"{complaint.sentence}\n{complaint.next_step}") from None
    sys.stdout.buffer.write(orjson.dumps(asdict(rebuilt)) + b"\n")
    raise SystemExit(0 if rebuilt.match else 1)


if __name__ == "__main__":
    main()
