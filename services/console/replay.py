"""The rebuild on a running stack: the six event topics through a plain consumer, without a group.

    python -m services.console.replay [--swap] [--asked NUMBER]

`rebuild_console` is what the command line calls. With `--asked` it is that rebuild of `access.rebuilds`, and
stops when its standard input does: when whoever began it is gone.
"""

import argparse
import asyncio
import os
import sys
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace

import asyncpg
import orjson
from aiokafka import AIOKafkaConsumer
from aiokafka import TopicPartition as KafkaPartition
from aiokafka.errors import KafkaError

from libs.runtime.complaint import Complaint
from libs.runtime.kafka import lone_consumer, record_of
from libs.runtime.keyring import open_keyring
from libs.runtime.log import Unavailable
from libs.runtime.pool import BoundedPool, bounded_pool
from libs.runtime.settings import Settings, settings
from libs.runtime.wire import Record
from services.console.in_step import InStep
from services.console.lanes import Done, Ends, fold_in_bulk
from services.console.processes import PROCESSES_MAX, Share, in_processes, no_search_for_cycles, shares
from services.console.rebuild import Progress, Rebuilt, rebuild
from services.console.rebuild_record import record_search
from services.console.refold import Undone
from services.console.search.rebuild import rebuild_search

_RECORDS_MAX = 2000
_AHEAD_MAX = 500
"""Records of a partition, some 4 kB each, that wait for others before it is read no further."""
_FETCH_BYTES = 256 * 1024
_CONNECTIONS = 8
"""The guard's, the live tables', and one for each table that is completed in the end."""
_UNREACHABLE = (
    OSError,
    Unavailable,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
)


async def rebuild_console(
    config: Settings,
    *,
    swap: bool = False,
    progress: Progress = lambda done, total: None,
    record_id: int | None = None,
) -> Rebuilt:
    """Rebuild read models and search index from Kafka beside the live ones, and compare; see
    `services.console.rebuild`.

    Complaint: Kafka or PostgreSQL cannot be reached, or see there.
    """
    topics = KafkaTopics(config)

    async def in_bulk(schema: str, undone: Undone, ends: Ends, done: Done) -> None:
        async def share(part: Ends, done: Done) -> None:
            with _told(config):
                async with _pool(config, 1) as pool:
                    await fold_in_bulk(pool, schema, undone, topics.read, part, done)

        await _shared(share, ends, done)

    with _told(config):
        async with _pool(config, _CONNECTIONS) as pool:
            with no_search_for_cycles():
                rebuilt = await rebuild(
                    pool, topics.read, in_bulk=in_bulk, swap=swap, progress=progress, record_id=record_id
                )
            async with open_keyring(config) as keyring:
                search = await rebuild_search(pool, keyring, topics.read, swap=swap)
            await record_search(pool, rebuilt.record, match=search.match)
            return replace(rebuilt, search_match=search.match)


async def read_only(config: Settings, ends: Ends) -> None:
    """Read the same as a rebuild, in as many processes, and do nothing with it: for the bench."""

    async def share(part: Ends, done: Done) -> None:
        async for records in KafkaTopics(config).read(part):
            done(len(records))

    await _shared(share, ends, lambda more: None)


async def _shared(share: Share, ends: Ends, done: Done) -> None:
    parts = shares(ends, min(PROCESSES_MAX, len(os.sched_getaffinity(0))))
    await (in_processes(share, parts, done) if len(parts) > 1 else share(parts[0], done))


def _pool(config: Settings, connections: int) -> BoundedPool:
    return bounded_pool(
        config.dsn("console"),
        config,
        min_size=1,
        max_size=connections,
        server_settings={"application_name": "orderlog-console-rebuild", "jit": "off"},
    )


@contextmanager
def _told(config: Settings) -> Iterator[None]:
    """What a person is told when a server is away."""
    try:
        yield
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


class KafkaTopics:
    """Reads partitions from their first record up to a given offset."""

    def __init__(self, config: Settings) -> None:
        self._config = config

    async def read(self, ends: Ends) -> AsyncIterator[Sequence[Record]]:
        """Records in order within each partition, partitions in step; stops when every end is reached.

        Complaint: a partition does not reach its end, or stays silent before it.
        """
        wanted = {KafkaPartition(*place): end for place, end in ends.items() if end > 0}
        if not wanted:
            return
        consumer = lone_consumer(self._config, max_partition_fetch_bytes=_FETCH_BYTES)
        await consumer.start()
        try:
            consumer.assign(list(wanted))
            await self._check(consumer, wanted)
            for place in wanted:
                consumer.seek(place, 0)
            async for records in _in_step(consumer, InStep(ends), self._config.read_timeout_seconds):
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


async def _in_step(
    consumer: AIOKafkaConsumer, step: InStep, silence_seconds: float
) -> AsyncIterator[list[Record]]:
    """Reads what others wait for, and of the others no more than a little ahead."""
    paused: set[KafkaPartition] = set()
    while not step.done:
        # All that is there is taken, paused or not: what is left with the client holds up its next request.
        found = await asyncio.wait_for(
            consumer.getmany(timeout_ms=5000, max_records=_RECORDS_MAX), silence_seconds
        )
        if not found:
            waited = ", ".join(f"{topic}/{partition}" for topic, partition in sorted(step.lagging)[:3])
            raise Complaint(
                f"Kafka went silent before the end of {waited}.", "See `orderlog status`, then try again."
            )
        for place, raws in found.items():
            whole = step.add((place.topic, place.partition), map(record_of, raws))
            if whole or step.held((place.topic, place.partition)) > _AHEAD_MAX:
                consumer.pause(place)
                if not whole:
                    paused.add(place)
        if records := step.take():
            yield records
        ready = {place for place in paused if step.held((place.topic, place.partition)) <= _AHEAD_MAX}
        consumer.resume(*ready)
        paused -= ready


async def _asked(config: Settings, number: int) -> Rebuilt:
    """The rebuild that the platform page asked for, as long as who began it is there to tell of it."""
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin.buffer)
    work = asyncio.create_task(rebuild_console(config, record_id=number))
    gone = asyncio.create_task(reader.read())
    await asyncio.wait([work, gone], return_when=asyncio.FIRST_COMPLETED)
    work.cancel()
    gone.cancel()
    return await work


def main() -> None:
    """Rebuild, print the outcome as JSON; exit 1 when the digests differ."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--swap", action="store_true")
    arguments.add_argument("--asked", type=int)
    given = arguments.parse_args()
    config = settings()
    try:
        rebuilt = asyncio.run(
            rebuild_console(config, swap=given.swap) if given.asked is None else _asked(config, given.asked)
        )
    except Complaint as complaint:
        raise SystemExit(f"{complaint.sentence}\n{complaint.next_step}") from None
    except asyncio.CancelledError:
        raise SystemExit("Whoever began the rebuild is gone.") from None
    sys.stdout.buffer.write(orjson.dumps(asdict(rebuilt)) + b"\n")
    raise SystemExit(0 if rebuilt.match and rebuilt.search_match else 1)


if __name__ == "__main__":
    main()
