"""Follows one tenant's events on the topics: for the actors, for the backpressure and for the live display.

What is counted here is shown while the demo runs. The report at the end is computed from the log instead.
"""

from collections import Counter
from dataclasses import dataclass, field

from aiokafka import TopicPartition

from libs.events.contract import Contract
from libs.events.envelope import Envelope
from libs.events.fulfillment import FulfillmentReleased
from libs.events.intake import HoldReleased, OrderAccepted, OrderClosed, OrderHeld, OrderRejected
from libs.events.inventory import StockBackordered
from libs.events.notifications import MessageFailed, MessageRequested, MessageSent
from libs.events.routing import OrderUnroutable
from libs.runtime import wire
from libs.runtime.kafka import fetch_together, lone_consumer, record_of
from libs.runtime.settings import STAGES, Settings
from libs.runtime.stage import commands_topic, events_topic

WATCHED: tuple[type[Contract], ...] = (
    OrderAccepted,
    OrderHeld,
    OrderRejected,
    HoldReleased,
    OrderClosed,
    StockBackordered,
    OrderUnroutable,
    FulfillmentReleased,
    MessageRequested,
    MessageSent,
    MessageFailed,
)
POLL_MS = 100
POLL_RECORDS_MAX = 2000


@dataclass(slots=True)
class Watch:
    """Where the run stands, by order id."""

    submitted: set[str] = field(default_factory=set)
    answered: set[str] = field(default_factory=set)
    closed: dict[str, str] = field(default_factory=dict)
    busy: set[str] = field(default_factory=set)
    """Submitted, and neither released to a warehouse nor waiting for stock or for a person."""
    messages_owed: set[str] = field(default_factory=set)
    messages_sent: int = 0
    types: Counter[str] = field(default_factory=Counter)
    """Events by type."""
    stages: Counter[str] = field(default_factory=Counter)
    """Events by stage."""

    @property
    def open(self) -> int:
        """Orders without an answer, or accepted or held and not closed."""
        return len(self.submitted) - len(self.closed)

    def submit(self, order_ids: set[str]) -> None:
        """These orders are on their way."""
        self.submitted |= order_ids
        self.busy |= order_ids

    def fold(self, heard: Envelope[Contract]) -> None:
        """Take note of one event."""
        match heard.body:
            case OrderAccepted(order_id=of):
                self.answered.add(of)
            case OrderHeld(order_id=of):
                self.answered.add(of)
                self.busy.discard(of)
            case OrderRejected(order_id=of):
                self.answered.add(of)
                self.busy.discard(of)
                self.closed[of] = "rejected"
            case OrderClosed(order_id=of, outcome=outcome):
                self.closed[of] = outcome
                self.busy.discard(of)
            case (
                FulfillmentReleased(order_id=of)
                | StockBackordered(order_id=of)
                | OrderUnroutable(order_id=of)
            ):
                self.busy.discard(of)
            case MessageRequested(message_id=message):
                self.messages_owed.add(message)
            case MessageSent(message_id=message):
                self.messages_owed.discard(message)
                self.messages_sent += 1
            case MessageFailed(message_id=message):
                self.messages_owed.discard(message)


class Topics:
    """The six topics of events from now on, of one tenant. Use as an async context manager."""

    def __init__(self, settings: Settings, tenant: str, wanted: frozenset[str]) -> None:
        """`wanted`: the types whose bodies are read; of the others only the headers are."""
        self._settings = settings
        self._tenant = tenant.encode()
        self._wanted = wanted
        self._consumer = lone_consumer(settings, max_partition_fetch_bytes=4 * 1_048_576)
        self._last: Counter[tuple[str, int]] = Counter()
        """Highest sequence of each sender's lane: after a crash its relay may repeat some."""
        self.starts: dict[tuple[str, int], int] = {}
        """Where each partition, also of intake's commands, stood when the demo began."""

    async def __aenter__(self) -> "Topics":
        await self._consumer.start()
        fetch_together(self._consumer)
        events = [
            TopicPartition(events_topic(stage), lane)
            for stage in STAGES
            for lane in range(self._settings.partitions)
        ]
        commands = [
            TopicPartition(commands_topic("intake"), lane) for lane in range(self._settings.partitions)
        ]
        ends = await self._consumer.end_offsets([*events, *commands])
        self.starts = {(place.topic, place.partition): offset for place, offset in ends.items()}
        self._consumer.assign(events)
        for place in events:
            self._consumer.seek(place, ends[place])
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._consumer.stop()

    async def read(self, counts: Watch) -> list[Envelope[Contract]]:
        """What has come since, in each lane's order; only the wanted types, all of them counted."""
        polled = await self._consumer.getmany(timeout_ms=POLL_MS, max_records=POLL_RECORDS_MAX)
        heard: list[Envelope[Contract]] = []
        for place, records in polled.items():
            stage = place.topic.split(".")[1]
            for found in records:
                record = record_of(found)
                if dict(record.headers).get("ce_tenant") != self._tenant:
                    continue
                context = wire.context(record)
                if context.sequence <= self._last[stage, context.lane]:
                    continue
                self._last[stage, context.lane] = context.sequence
                counts.stages[stage] += 1
                counts.types[context.type] += 1
                if context.type in self._wanted:
                    heard.append(context.envelope(wire.body(context, record.value)))
        return heard
