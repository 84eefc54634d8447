"""Wires the console: `python -m services.console.app`."""

import asyncio
import gc
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any

import structlog
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError
from fastapi import FastAPI, Request
from faststream import FastStream
from opentelemetry.trace import Tracer

from libs.runtime import load, problems, telemetry
from libs.runtime.beginning import begin_reading
from libs.runtime.consume import Subscription, broker_of
from libs.runtime.edge import require
from libs.runtime.keyring import Keyring, open_keyring
from libs.runtime.load import Load
from libs.runtime.pool import bounded_pool, close_pool
from libs.runtime.postgres_log import open_pool
from libs.runtime.probes import add_probes, answers
from libs.runtime.routers import add_routes
from libs.runtime.seek import Seek
from libs.runtime.serve import serve, yield_session
from libs.runtime.settings import STAGES, Settings, settings
from libs.runtime.stage import events_topic
from libs.runtime.tokens import Claims
from libs.runtime.waiting import in_time
from services.console.api import Reads, routes
from services.console.contacts import Contacts
from services.console.feed import Feed
from services.console.follow import Follower
from services.console.history import History, TopicTail
from services.console.on_demand import consumer_on_demand
from services.console.own_writes import OwnWrites
from services.console.pace import Pace
from services.console.queries import Queries
from services.console.saved_views import SavedViews
from services.console.search.feed import SearchFeed
from services.console.search.index import SearchIndex
from services.console.store import Projector
from services.console.web import errors, insight_api
from services.console.web.assets import Assets
from services.console.web.looks import Looks
from services.console.web.shell import Shell
from services.console.web.site import AboutOrders
from services.console.website import add_pages, open_site

logger = structlog.get_logger()

NAME = "console"
TOPICS = tuple(events_topic(stage) for stage in STAGES)
_COMMIT_SECONDS = 1.0
_PACE_SECONDS = 0.5
_HOLD_SECONDS_MAX = 2.0
"""How old the read models may grow under load, for the sake of larger transactions; idle, nothing waits."""


class Console:
    """Projector and query API in one process. `app` is its ASGI application; they run while it lives."""

    def __init__(self, config: Settings, tracer: Tracer) -> None:
        self._settings, self._tracer = config, tracer
        self._broker = broker_of(config, NAME)
        self._faststream = FastStream(self._broker, logger=None)
        self.app = FastAPI(
            title="Orderlog console",
            version="1",
            lifespan=self._lifespan,
            docs_url=None,
            redoc_url=None,
            telemetry=telemetry.of_requests(config),
        )
        problems.install(self.app, config.retry_after_seconds)
        self._shell = Shell(config, assets := Assets())
        errors.install(self.app, self._shell)
        add_routes(self.app, assets.routes())
        load.limit(self.app, NAME, config)
        add_probes(
            self.app, self._broker, config, liveness=lambda: {"alive": True}, readiness=self._readiness
        )

    def require(self, *roles: str) -> Callable[[Request], Awaitable[Claims]]:
        """Who may come in; see `libs.runtime.edge.require`."""
        return require(self._settings, *roles)

    @asynccontextmanager
    async def _lifespan(self, app: FastAPI) -> AsyncIterator[None]:
        # What is held for a transaction is many objects without a cycle, and all of them go after it:
        # looking through them in between took an eighth of the projector's time.
        gc.set_threshold(1_000_000, 20, 50)
        async with AsyncExitStack() as stack:
            self._pool = await open_pool(self._settings.dsn(NAME), self._settings, NAME)
            stack.push_async_callback(close_pool, self._pool, self._settings.leave_seconds)
            self._follower = Follower(
                Projector(self._pool),
                hold_seconds_max=_HOLD_SECONDS_MAX,
                clock=time.monotonic,
                watched=lambda: site.feed.is_watched(),
            )
            self._subscription = Subscription(
                self._broker,
                self._settings,
                group=f"orderlog.{NAME}",
                topics=TOPICS,
                taker=self._follower,
                tracer=self._tracer,
            )
            ends = TopicEnds(self._settings)
            stack.push_async_callback(ends.close)
            keyring = await stack.enter_async_context(open_keyring(self._settings))
            queries = Queries(self._pool)
            contacts = Contacts(queries, keyring)
            tail = TopicTail(self._settings)
            stack.push_async_callback(tail.close)
            own_writes = OwnWrites(queries, Load(NAME, self._settings), self._settings.wait_seconds_max)
            feed = Feed(queries, tail, self._settings.event_streams_max)
            reads = Reads(queries, contacts, own_writes, feed, ends.count)
            add_routes(app, routes(self, reads), insight_api.routes(self, queries, own_writes))
            about = AboutOrders(contacts, History(tail), SavedViews(self._pool), Looks(self._pool))
            site = await open_site(self._settings, self._pool, queries, ends.held, about, self._shell, stack)
            add_pages(app, site)

            def begin_stop() -> None:
                self._subscription.stop_reading()
                site.feed.close()

            app.state.begin_stop = begin_stop
            await self._faststream.start()
            patience = self._settings.stop_seconds + self._settings.leave_seconds
            stack.push_async_callback(in_time, self._faststream.stop, patience)
            tasks = [
                asyncio.create_task(self._keep_committing(), name="commit"),
                asyncio.create_task(self._keep_writing(), name="write"),
                asyncio.create_task(self._keep_indexing(keyring), name="search"),
                asyncio.create_task(site.feed.run(), name="feed"),
                asyncio.create_task(self._keep_pace(site.feed.is_watched), name="pace"),
            ]
            try:
                yield
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    async def _keep_committing(self) -> None:
        while True:
            await asyncio.sleep(_COMMIT_SECONDS)
            await self._subscription.commit()
            telemetry.HALTED.labels(NAME).set(len(self._follower.halted))

    async def _keep_pace(self, is_watched: Callable[[], bool]) -> None:
        pace = Pace(self._settings, self._subscription.wait_at_broker, yield_session)
        while True:
            pace.keep(watched=is_watched())
            await asyncio.sleep(_PACE_SECONDS)

    async def _keep_writing(self) -> None:
        """Write what the follower holds back, when it is due and no poll comes. What is never written, as we
        stop, is read again."""
        while True:
            await self._follower.due()
            try:
                await self._follower.write_due()
            except Seek as seek:
                self._subscription.seek(seek.offsets)
            except Exception as error:
                logger.warning("read models not written, what is held waits", error=repr(error))
                await asyncio.sleep(self._settings.retry_seconds_min)

    async def _keep_indexing(self, keyring: Keyring) -> None:
        """Fill the search index, over connections of its own: one that holds the lock, one that writes."""
        dsn, options = self._settings.dsn(NAME), {"application_name": "orderlog-console-search"}
        async with bounded_pool(dsn, self._settings, min_size=0, max_size=2, server_settings=options) as pool:
            await SearchFeed(self._settings, pool, SearchIndex(pool, keyring), time.monotonic).run()

    async def _readiness(self) -> dict[str, Any]:
        """Ready: partitions are assigned and the database answers. A halted partition is shown, not fatal."""
        assigned, database = (
            self._subscription.ready.is_set(),
            await answers(self._pool, self._settings.probe_seconds_max),
        )
        halted = {f"{topic}/{number}": why for (topic, number), why in self._follower.halted.items()}
        return {"ready": assigned and database, "assigned": assigned, "database": database, "halted": halted}


class TopicEnds:
    """How many records the events topics hold, asked of Kafka by a consumer that reads nothing."""

    def __init__(self, config: Settings) -> None:
        self._settings = config
        self._consumer = consumer_on_demand(
            config, request_timeout_ms=int(config.console_freshness_seconds * 1000)
        )

    async def count(self) -> Mapping[str, int]:
        """Records by topic. Raises Problem 503 when Kafka does not answer."""
        counts = dict.fromkeys(TOPICS, 0)
        for (topic, _), end in (await self.held()).items():
            counts[topic] += end
        return counts

    async def held(self) -> Mapping[tuple[str, int], int]:
        """The next offset by topic and partition. Raises Problem 503 when Kafka does not answer."""
        places = [
            TopicPartition(topic, number) for topic in TOPICS for number in range(self._settings.partitions)
        ]
        try:
            consumer = await self._consumer()
            ends = await asyncio.wait_for(
                consumer.end_offsets(places), self._settings.console_freshness_seconds
            )
        except (KafkaError, TimeoutError) as error:
            await self.close()
            raise problems.Problem(
                503,
                "broker_unavailable",
                "How far behind this is cannot be told",
                f"Kafka did not answer ({type(error).__name__}).",
                "The lists still answer; try this again shortly.",
            ) from None
        return {(place.topic, place.partition): end for place, end in ends.items()}

    async def close(self) -> None:
        """Let go of the connection, if there is one."""
        await self._consumer.close()


def main() -> None:
    """Run until SIGTERM, which lets the batch in hand finish."""
    config = settings()
    tracer = telemetry.set_up(config, NAME)
    begin = partial(begin_reading, config, NAME, "live")
    serve(lambda: Console(config, tracer).app, NAME, config, begin)


if __name__ == "__main__":
    main()
