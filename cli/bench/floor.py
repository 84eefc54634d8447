"""The floor: the hops of an order without any work in them.

A hop is consume → COPY with the offset's compare-and-swap → read back → `send_batch`: what any stage on this
broker and this database must pay. `python -m cli.bench.floor INDEX COUNT RUN` is one hop, from topic INDEX to
the next.
"""

import asyncio
import sys
import time

import asyncpg
import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from libs.runtime.kafka import fetch_together
from libs.runtime.settings import Settings, settings

HOPS = 5
BATCH = 500
PAYLOAD = b'{"order_id":"' + b"x" * 36 + b'","lines":"' + b"y" * 550 + b'"}'
_DATABASE = "bench"


def topics(run: str) -> list[str]:
    """The topics of one run, a hop between each two."""
    return [f"bench.floor.{run}.{index}" for index in range(HOPS + 1)]


async def floor(count: int, run: str) -> float:
    """Records a second through all hops, each hop a process of its own. Creates and removes its topics."""
    chosen = settings()
    await _database(chosen)
    admin = AIOKafkaAdminClient(bootstrap_servers=chosen.kafka)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(name, chosen.partitions, 1) for name in topics(run)])
        hops = [await _hop_process(index, count, run) for index in range(HOPS)]
        for process in hops:
            assert process.stdout is not None
            await process.stdout.readline()
        seconds = await _through(chosen, count, run)
        await asyncio.gather(*(process.wait() for process in hops))
        return count / seconds
    finally:
        await admin.delete_topics(topics(run))
        await admin.close()


async def _hop_process(index: int, count: int, run: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "cli.bench.floor",
        str(index),
        str(count),
        run,
        stdout=asyncio.subprocess.PIPE,
    )


async def _through(chosen: Settings, count: int, run: str) -> float:
    """Publish `count` records to the first topic and wait for them in the last; seconds."""
    first, last = topics(run)[0], topics(run)[-1]
    producer = AIOKafkaProducer(
        bootstrap_servers=chosen.kafka, enable_idempotence=True, max_batch_size=900_000
    )
    consumer = AIOKafkaConsumer(bootstrap_servers=chosen.kafka, enable_auto_commit=False)
    await producer.start()
    await consumer.start()
    try:
        places = [TopicPartition(last, number) for number in range(chosen.partitions)]
        consumer.assign(places)
        await consumer.seek_to_beginning(*places)
        fetch_together(consumer)
        began = time.perf_counter()
        sent = asyncio.create_task(_publish(producer, first, count, chosen.partitions))
        seen = 0
        while seen < count:
            batches = await consumer.getmany(timeout_ms=30_000)
            assert batches, f"the floor stopped at {seen} of {count}"
            seen += sum(len(batch) for batch in batches.values())
        seconds = time.perf_counter() - began
        await sent
        return seconds
    finally:
        await consumer.stop()
        await producer.stop()


async def _publish(producer: AIOKafkaProducer, topic: str, count: int, partitions: int) -> None:
    for start in range(0, count, BATCH * partitions):
        for number in range(partitions):
            size = min(BATCH, count - start - number * BATCH)
            if size > 0:
                await _send(producer, topic, number, [PAYLOAD] * size)


async def _send(producer: AIOKafkaProducer, topic: str, partition: int, values: list[bytes]) -> None:
    batch = producer.create_batch()
    for value in values:
        if batch.append(key=b"k", value=value, timestamp=None) is None:
            await producer.send_batch(batch, topic, partition=partition)
            batch = producer.create_batch()
            batch.append(key=b"k", value=value, timestamp=None)
    await producer.send_batch(batch, topic, partition=partition)


async def _database(chosen: Settings) -> None:
    """An empty database of the bench's own."""
    connection = await asyncpg.connect(chosen.dsn("console"))
    name = f"orderlog_{_DATABASE}"
    if not await connection.fetchval("SELECT true FROM pg_database WHERE datname = $1", name):
        await connection.execute(f"CREATE DATABASE {name}")
    await connection.close()
    connection = await asyncpg.connect(chosen.dsn(_DATABASE))
    await connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    for index in range(HOPS):
        await connection.execute(
            f"CREATE TABLE log_{index} (lane int, seq bigint, payload bytea, PRIMARY KEY (lane, seq));"
            f"CREATE TABLE consumed_{index} (lane int PRIMARY KEY, next bigint NOT NULL)"
        )
    await connection.close()


async def hop(index: int, count: int, run: str) -> None:
    """One hop, until it has passed on `count` records."""
    chosen = settings()
    source, target = topics(run)[index], topics(run)[index + 1]
    connection = await asyncpg.connect(chosen.dsn(_DATABASE))
    consumer = AIOKafkaConsumer(bootstrap_servers=chosen.kafka, enable_auto_commit=False)
    producer = AIOKafkaProducer(
        bootstrap_servers=chosen.kafka, enable_idempotence=True, max_batch_size=900_000
    )
    await consumer.start()
    await producer.start()
    places = [TopicPartition(source, number) for number in range(chosen.partitions)]
    consumer.assign(places)
    await consumer.seek_to_beginning(*places)
    fetch_together(consumer)
    for place in places:
        await connection.execute(f"INSERT INTO consumed_{index} VALUES ($1, 0)", place.partition)  # noqa: S608
    print("ready", flush=True)
    done = 0
    while done < count:
        for place, records in (await consumer.getmany(timeout_ms=1000, max_records=BATCH)).items():
            lane, first = place.partition, records[0].offset
            async with connection.transaction():
                swapped = await connection.execute(
                    f"UPDATE consumed_{index} SET next = $3 WHERE lane = $1 AND next = $2",  # noqa: S608
                    lane,
                    first,
                    first + len(records),
                )
                assert swapped == "UPDATE 1"
                rows = [(lane, record.offset, record.value) for record in records]
                await connection.copy_records_to_table(f"log_{index}", records=rows)
            read = await connection.fetch(
                f"SELECT payload FROM log_{index} WHERE lane = $1 AND seq >= $2 ORDER BY seq",  # noqa: S608
                lane,
                first,
            )
            await _send(producer, target, lane, [row["payload"] for row in read])
            done += len(records)
    await producer.stop()
    await consumer.stop()
    await connection.close()


if __name__ == "__main__":
    uvloop.run(hop(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]))
