"""Consumer groups as Kafka sees them: who is in them, and how far they said they were."""

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence

from aiokafka.errors import KafkaError, for_code

from libs.runtime.complaint import Complaint
from libs.runtime.kafka import open_admin
from libs.runtime.log import TopicPartition
from libs.runtime.settings import Settings

_RETRIES_SECONDS = 15.0
_PAUSE_SECONDS = 0.2


def group_of(service: str) -> str:
    """The consumer group of a stage or the console."""
    return f"orderlog.{service}"


async def members(config: Settings, services: Sequence[str]) -> dict[str, int]:
    """How many members each service's group has now, those with any. Raises KafkaError."""
    give_up_at = time.monotonic() + _RETRIES_SECONDS
    while True:
        try:
            async with open_admin(config) as admin:
                found = {}
                for name in services:
                    # One by one: aiokafka 0.14 cannot read an answer about several.
                    [answer] = await admin.describe_consumer_groups([group_of(name)])
                    [(code, group, _, _, _, joined, *_)] = answer.groups
                    if code:
                        raise for_code(code)(group)
                    if joined:
                        found[name] = len(joined)
                return found
        except KafkaError:
            # The first seconds of a broker's life, or of its first group, are full of refusals.
            if time.monotonic() > give_up_at:
                raise
            await asyncio.sleep(_PAUSE_SECONDS)


async def committed(config: Settings, service: str) -> dict[TopicPartition, tuple[int, str]]:
    """By partition the offset that the service's group committed, and what it noted there."""
    async with open_admin(config) as admin:
        found = await admin.list_consumer_group_offsets(group_of(service))
    return {
        (place.topic, place.partition): (at.offset, at.metadata or "")
        for place, at in found.items()
        if at.offset >= 0
    }


async def ensure_stopped(
    config: Settings,
    services: Iterable[str],
    *,
    patience_seconds: float = 0.0,
    waiting: Callable[[str], None] = lambda _: None,
) -> None:
    """Return once nobody is in the services' groups. A killed member counts until its session is over.

    Complaint: somebody still is when the patience ends; Kafka does not answer.
    """
    wanted, give_up_at = list(services), time.monotonic() + patience_seconds
    while True:
        try:
            running = await members(config, wanted)
        except KafkaError as error:
            raise Complaint(
                f"Kafka at {config.kafka} does not answer ({type(error).__name__}).",
                "Start it (`orderlog up` for the local one), or check ORDERLOG_KAFKA.",
            ) from error
        if not running:
            return
        if time.monotonic() > give_up_at:
            raise _running(config, running)
        waiting(", ".join(sorted(running)))
        await asyncio.sleep(_PAUSE_SECONDS)


def _running(config: Settings, found: dict[str, int]) -> Complaint:
    names = ", ".join(f"{name} ({count} in group {group_of(name)})" for name, count in sorted(found.items()))
    return Complaint(
        f"Running: {names}.",
        "Add --stop on the local stack; elsewhere scale the deployment to 0 and try again. A process that was"
        f" killed counts for up to {config.session_timeout_seconds:.0f} s.",
    )
