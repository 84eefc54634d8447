"""A stage's database and topics, opened for who reads them as a whole, and what can go wrong with them."""

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager

import asyncpg
from aiokafka.errors import KafkaError

from libs.runtime.complaint import Complaint
from libs.runtime.log import Unavailable
from libs.runtime.pool import bounded_pool
from libs.runtime.relay import PublishFailed
from libs.runtime.settings import Settings
from libs.runtime.stage import events_topic
from libs.runtime.topic_reader import TopicReader


@contextmanager
def complaints(config: Settings, stage: str) -> Iterator[None]:
    """What can go wrong with a stage's database and its topics, as a sentence and a next step."""
    try:
        yield
    except (OSError, Unavailable, asyncpg.PostgresConnectionError, asyncpg.InvalidCatalogNameError) as error:
        raise Complaint(
            f"The database of {stage} cannot be reached ({type(error).__name__}: {error}).",
            "Run `orderlog up`, or check ORDERLOG_DATABASE_URL.",
        ) from error
    except asyncpg.IntegrityConstraintViolationError as error:
        raise Complaint(
            f"The tables of {stage} refuse what its topics say: {error}.",
            f"Compare {events_topic(stage)} with the stage's log: an event in it was changed.",
        ) from error
    except asyncpg.UndefinedTableError as error:
        raise Complaint(f"The database of {stage} has no log.", "Run `orderlog up`: it migrates.") from error
    except (KafkaError, PublishFailed) as error:
        raise Complaint(
            f"Kafka at {config.kafka} cannot be used ({type(error).__name__}: {error}).",
            "Run `orderlog up`, or check ORDERLOG_KAFKA.",
        ) from error


async def connect(config: Settings, database: str) -> asyncpg.Connection:
    """One connection for a rebuild; the caller closes it."""
    return await asyncpg.connect(
        config.dsn(database),
        timeout=config.connect_timeout_seconds,
        server_settings={"application_name": "orderlog-rebuild", "jit": "off"},
    )


def open_beside(config: Settings, database: str) -> asyncpg.Pool:
    """A pool on a database that is being made: what a crash loses is made again, so no disk is waited for."""
    return bounded_pool(
        config.dsn(database),
        config,
        min_size=1,
        max_size=2,
        server_settings={
            "application_name": "orderlog-rebuild",
            "jit": "off",
            "synchronous_commit": "off",
        },
    )


@asynccontextmanager
async def open_topics(config: Settings, places: Sequence[tuple[str, int]]) -> AsyncIterator[TopicReader]:
    """A reader of these partitions, stopped in the end."""
    reader = TopicReader(config, places)
    await reader.start()
    try:
        yield reader
    finally:
        await reader.stop()
