"""The events of a tenant, or of one order, lane by lane in their order: as pages and as a live stream.

A place in the feed is how far each stage's lanes have been told (`Told`), so nothing is told twice or left
out, whatever came late. Events are told once they are projected, never before.
"""

import asyncio
import base64
import binascii
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from operator import itemgetter
from typing import Any, NamedTuple

import orjson

from libs.events.contract import Event
from libs.events.envelope import Envelope
from libs.runtime.log import Unavailable
from libs.runtime.problems import Problem
from libs.runtime.settings import STAGES
from libs.runtime.stage import events_topic
from services.console.history import ReadFrom
from services.console.origin import order_of
from services.console.queries import Queries
from services.console.records import read
from services.console.sentences import sentence

PLACE_LENGTH_MAX = 4000
SCANNED_MAX = 2_000
"""Records, of whichever tenant, that are looked at for a page."""
ORDER_EVENTS_MAX = 1_000
"""Of one order, that are told at once."""
_POLL_SECONDS = 0.25
_BEAT_SECONDS = 15.0
_LANE_MAX = 1_000

Told = Mapping[tuple[str, int], int]
"""The last sequence told, by stage and lane."""


class Page(NamedTuple):
    """Some events, and the place behind them. `more`: there are more by now."""

    events: list[dict[str, Any]]
    told: Told
    more: bool


class Feed:
    """Reads what is projected: an order's timeline from its table, a tenant's events from the topics."""

    def __init__(self, queries: Queries, read_from: ReadFrom, streams_max: int = 100) -> None:
        self._queries, self._read_from, self._streams_max = queries, read_from, streams_max
        self._streams = 0

    async def head(self) -> Told:
        """Where everything that is projected by now has been told."""
        return await self._queries.heard()

    async def page(self, tenant: str, told: Told, limit: int) -> Page:
        """The tenant's next events. Raises Unavailable."""
        heard, now = dict(told), await self._queries.heard()
        found: list[dict[str, Any]] = []
        scanned = 0
        for (stage, lane), end in sorted(now.items()):
            position = heard.get((stage, lane), 0)
            offset = position
            while position < end and len(found) < limit and scanned < SCANNED_MAX:
                records = await self._read_from(events_topic(stage), lane, offset)
                if not records:
                    raise Unavailable(f"Kafka: {events_topic(stage)}/{lane} is silent at offset {offset}")
                for record in records:
                    offset, scanned = record.offset + 1, scanned + 1
                    event = read(record)
                    if not isinstance(event, Envelope) or not position < event.sequence <= end:
                        continue
                    position = event.sequence
                    if event.tenant == tenant:
                        found.append(_told(stage, event))
                    if len(found) >= limit:
                        break
            heard[stage, lane] = position
        return Page(found, heard, any(heard[place] < end for place, end in now.items()))

    async def stream(self, tenant: str, told: Told) -> AsyncGenerator[bytes, None]:
        """Server-sent events of a tenant from there on, each batch with the `id` to resume from."""
        with self._streaming():
            async for page in _paced(lambda at: self.page(tenant, at, 200), told):
                yield _lines(page.events, page.told)

    async def order_stream(self, tenant: str, order_id: str, told: Told) -> AsyncGenerator[bytes, None]:
        """The same of one order: of each page, in order of time. Lanes that have not moved are not read."""

        async def page(at: Told) -> Page:
            now = await self._queries.heard()
            moved = [
                (*place, at.get(place, 0), end)
                for place, end in sorted(now.items())
                if at.get(place, 0) < end
            ]
            if not moved:
                return Page([], at, False)
            rows = await self._queries.events_of_lanes(tenant, order_id, moved, ORDER_EVENTS_MAX + 1)
            rows, more = rows[:ORDER_EVENTS_MAX], len(rows) > ORDER_EVENTS_MAX
            told = {**at, **now}
            if more:  # lanes come one after the other: those behind the last are still to be told
                last = rows[-1]
                place = (last["stage"], last["lane"])
                told |= {
                    (stage, lane): at.get((stage, lane), 0)
                    for stage, lane, *_ in moved
                    if (stage, lane) > place
                }
                told[place] = last["sequence"]
            return Page(
                sorted(map(dict, rows), key=itemgetter("at", "stage", "lane", "sequence")), told, more
            )

        with self._streaming():
            async for found in _paced(page, told):
                yield _lines(found.events, found.told)

    def make_room(self) -> None:
        """Before a stream is begun. Raises Problem 429."""
        if self._streams >= self._streams_max:
            raise Problem(
                429,
                "too_many_streams",
                "Too many streams are open",
                f"This process serves {self._streams_max} streams already.",
                "Close one, or read pages: GET /v1/events?after=…",
                retry_after_seconds=5,
            )

    @contextmanager
    def _streaming(self) -> Iterator[None]:
        self._streams += 1
        try:
            yield
        finally:
            self._streams -= 1


async def _paced(page: Callable[[Told], Awaitable[Page]], told: Told) -> AsyncIterator[Page]:
    """Pages as there is something to tell; an empty one now and then, so that a dead peer is noticed."""
    clock = asyncio.get_running_loop().time
    yield Page([], told, False)
    silent_since = clock()
    while True:
        found = await page(told)
        told = found.told
        if found.events or clock() - silent_since > _BEAT_SECONDS:
            silent_since = clock()
            yield found
        if not found.more:
            await asyncio.sleep(_POLL_SECONDS)


def write_told(told: Told) -> str:
    """A place in the feed as an opaque text: `after`, and the id of a server-sent event."""
    stages = [[told.get((stage, lane), 0) for lane in range(_lanes(told, stage))] for stage in STAGES]
    return base64.urlsafe_b64encode(orjson.dumps(stages)).rstrip(b"=").decode()


def read_told(text: str) -> Told:
    """The place again. Raises Problem 400."""
    try:
        stages = orjson.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        if not isinstance(stages, list) or len(stages) != len(STAGES):
            raise ValueError("another feed's place")
        told = {
            (stage, lane): _checked(sequence)
            for stage, lanes in zip(STAGES, stages, strict=True)
            for lane, sequence in enumerate(lanes[:_LANE_MAX])
        }
    except (ValueError, TypeError, binascii.Error):
        raise Problem(
            400,
            "bad_cursor",
            "The cursor is not one of ours",
            "`after` (or Last-Event-ID) does not name a place in the feed of events.",
            "Send the `next` of the page before, or the id of the last event, as it is; or leave it out.",
        ) from None
    return told


def _checked(sequence: object) -> int:
    if not isinstance(sequence, int) or not 0 <= sequence < 2**62:
        raise ValueError("no sequence")
    return sequence


def _lanes(told: Told, stage: str) -> int:
    return max((lane + 1 for name, lane in told if name == stage), default=0)


def _lines(events: Sequence[Mapping[str, Any]], told: Told) -> bytes:
    """The text/event-stream of a batch; without events, a comment that names nothing."""
    if not events:
        return b": nothing new\n\n"
    id_ = write_told(told).encode()
    told_as = [(event["type"].encode(), orjson.dumps(event, default=str)) for event in events]
    parts = [b"event: %s\ndata: %s\n" % (type_, body) for type_, body in told_as]
    # The id stands on the last alone: who loses the connection in between hears the batch again, not less.
    return b"\n".join(parts) + b"id: %s\n\n" % id_


def _told(stage: str, event: Envelope[Event]) -> dict[str, Any]:
    return {
        "event_id": str(event.id),
        "order_id": order_of(event),
        "stream": event.stream,
        "stage": stage,
        "lane": event.lane,
        "sequence": event.sequence,
        "type": event.body.TYPE,
        "at": event.at,
        "actor": event.actor,
        "reason": event.reason,
        "sentence": sentence(event.body),
    }
