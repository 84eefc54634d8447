"""One stage as a process: loop, relay, timers, sender and HTTP edge around one database and one broker."""

import asyncio
import contextlib
import gc
import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import structlog
import uvicorn
import uvloop
from fastapi import APIRouter, FastAPI
from faststream import FastStream
from faststream.kafka import KafkaBroker
from opentelemetry.trace import Tracer

from libs.runtime import platform_api, problems, telemetry
from libs.runtime.answers import Answers
from libs.runtime.body_limit import BodyLimit
from libs.runtime.complaint import Complaint
from libs.runtime.consume import Subscription
from libs.runtime.edge import Edge
from libs.runtime.kafka import KafkaPublisher, Lanes, RecordReader
from libs.runtime.keyring import PostgresKeyring, open_keyring
from libs.runtime.log import Fenced, TopicPartition, Unavailable, Writes
from libs.runtime.loop import Limits, StageLoop
from libs.runtime.postgres_log import PostgresLog, open_pool
from libs.runtime.probes import add_probes, answers
from libs.runtime.relay import Relay
from libs.runtime.sender import Performer, Sender
from libs.runtime.settings import Settings, settings
from libs.runtime.stage import Stage
from libs.runtime.wire import Record

logger = structlog.get_logger()
_POLL_SECONDS = 1.0

Routes = Callable[[Edge], APIRouter]
MakePerformer = Callable[[Settings, PostgresKeyring], Performer]


class StageService:
    """Wires one stage. `app` is its ASGI application; everything runs while its lifespan does."""

    def __init__(
        self, stage: Stage, routes: Routes, performer: MakePerformer | None, config: Settings, tracer: Tracer
    ) -> None:
        self._stage, self._routes, self._make_performer = stage, routes, performer
        self._settings, self._tracer = config, tracer
        self._broker = KafkaBroker(
            config.kafka, client_id=f"orderlog-{stage.name}", logger=None, allow_auto_create_topics=False
        )
        self._faststream = FastStream(self._broker, logger=None)
        self._work = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._failed = ""
        self.app = FastAPI(
            title=f"Orderlog {stage.name}",
            version="1",
            lifespan=self._lifespan,
            docs_url=None,
            redoc_url=None,
        )
        problems.install(self.app)
        self.app.add_middleware(BodyLimit, bytes_max=config.body_bytes_max)
        add_probes(self.app, self._broker, liveness=self._liveness, readiness=self._readiness)

    @asynccontextmanager
    async def _lifespan(self, app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            await self._start(app, stack)
            try:
                yield
            finally:
                await self._stop()

    async def _start(self, app: FastAPI, stack: AsyncExitStack) -> None:
        stage, config = self._stage, self._settings
        self._pool = await open_pool(config.dsn(stage.name), config, stage.name)
        stack.push_async_callback(self._pool.close)
        keyring = await stack.enter_async_context(open_keyring(config))
        lanes = Lanes(config.partitions)
        log = self._log = PostgresLog(self._pool, stage)
        self._publisher = KafkaPublisher(config, stage.name)
        stack.push_async_callback(self._publisher.stop)
        self._answers = Answers(log)
        self._relay = Relay(stage.name, stage.topic, log, self._publisher)
        self._relay.on_published = telemetry.PUBLISHED.labels(stage.name).inc
        limits = Limits(config.batch_records_max, config.record_bytes_max, config.parked_keys_max)
        self._loop = StageLoop(
            stage,
            log,
            lane_of=lanes,
            clock=lambda: datetime.now(UTC),
            observer=self,
            fetch=RecordReader(config),
            limits=limits,
        )
        self._subscription = Subscription(
            self._broker,
            config,
            group=f"orderlog.{stage.name}",
            topics=stage.topics,
            taker=self,
            tracer=self._tracer,
        )
        self._sender = None
        if self._make_performer is not None:
            performer = self._make_performer(config, keyring)
            stack.push_async_callback(performer.close)
            self._sender = Sender(stage, log, self._publisher, performer, lambda: self._loop.lanes, lanes)
        edge = Edge(stage.name, config, self._publisher, self._answers, keyring, lanes)
        app.include_router(self._routes(edge))
        app.include_router(platform_api.routes(stage.name, edge, log, {"work": self._work.set}))
        await self._publisher.start()
        await self._faststream.start()
        for name, running in (
            ("relay", self._relay.run()),
            ("work", self._keep_working()),
            ("commit", self._keep_committing()),
            *((("sender", self._sender.run()),) if self._sender else ()),
        ):
            task = asyncio.create_task(running, name=name)
            task.add_done_callback(self._task_ended)
            self._tasks.add(task)

    async def _stop(self) -> None:
        """Stop reading, finish what is in hand, publish it, then let go."""
        await self._faststream.stop()
        with contextlib.suppress(Exception):
            while await self._relay.turn():
                pass
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _task_ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._failed = f"{task.get_name()}: {type(error).__name__}"
            logger.critical("a task of the stage ended; restart it", task=task.get_name(), exc_info=error)

    # What the subscription asks of us (libs.runtime.consume.Taker).

    async def assigned(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        offsets = await self._loop.assigned(partitions)
        await self._relay.own(sorted({lane for _, lane in partitions}))
        self._work.set()
        return offsets

    def revoked(self, partitions: Sequence[TopicPartition]) -> None:
        self._loop.revoked(partitions)
        self._relay.disown(sorted({lane for _, lane in partitions}))

    async def handle(self, records: Sequence[Record]) -> None:
        await self._loop.handle(records)

    def positions(self) -> Mapping[TopicPartition, int]:
        return self._loop.positions()

    # What the loop tells us (libs.runtime.loop.Observer).

    def committed(self, writes: Writes, records: int, seconds: float) -> None:
        name = self._stage.name
        self._relay.committed(writes.rows)
        self._answers.committed(writes)
        if writes.timers:
            self._work.set()
        if writes.owed and self._sender is not None:
            self._sender.wake.set()
        telemetry.RECORDS.labels(name).inc(records)
        telemetry.BATCH_SECONDS.labels(name).observe(seconds)
        telemetry.BATCH_RECORDS.labels(name).observe(records)
        decided = sum(row.origin == "decided" for row in writes.rows)
        telemetry.EVENTS.labels(name, "decided").inc(decided)
        telemetry.EVENTS.labels(name, "heard").inc(len(writes.rows) - decided)
        for parked in writes.parked:
            telemetry.PARKED.labels(name, parked.code).inc()
            place = f"{parked.topic}/{parked.partition}@{parked.offset}"
            logger.warning("parked", key=parked.key, code=parked.code, place=place)

    def halted(self, lane: int, why: str) -> None:
        telemetry.HALTED.labels(self._stage.name).set(len(self._loop.halted))

    def uncertain(self) -> None:
        self._relay.catch_up()

    async def _keep_working(self) -> None:
        """Timers and replays: when woken, when the next is due, and every second for what others left."""
        while True:
            pause = _POLL_SECONDS
            try:
                while await self._loop.work():
                    pass
                due = await self._log.next_due(self._loop.lanes)
                if due is not None:
                    pause = min(pause, max(0.0, (due - datetime.now(UTC)).total_seconds()))
            except (Fenced, Unavailable, KeyError) as error:
                logger.warning("timers wait", error=str(error))
            except Exception as error:
                logger.error("timers wait", exc_info=error)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._work.wait()
            self._work.clear()

    async def _keep_committing(self) -> None:
        while True:
            await asyncio.sleep(_POLL_SECONDS)
            await self._subscription.commit()

    def _liveness(self) -> dict[str, Any]:
        return {"alive": not self._failed, "failed": self._failed}

    async def _readiness(self) -> dict[str, Any]:
        """Ready: partitions are assigned and the database answers. A halted lane is shown, not fatal."""
        assigned, database = self._subscription.ready.is_set(), await answers(self._pool)
        return {
            "ready": assigned and database and not self._failed,
            "assigned": assigned,
            "database": database,
            "lanes": list(self._loop.lanes),
            "halted": {str(lane): why for lane, why in self._loop.halted.items()},
        }


def run(stage: Stage, routes: Routes, performer: MakePerformer | None = None) -> None:
    """Run a stage until SIGTERM; a batch not committed by then is read again by the next owner."""
    config = settings()
    tracer = telemetry.set_up(config, stage.name)
    serve(lambda: StageService(stage, routes, performer, config, tracer).app, stage.name, config)


def serve(make_app: Callable[[], FastAPI], name: str, config: Settings) -> None:
    """Serve an ASGI application on the service's port, on uvloop."""

    async def serving() -> None:
        server = uvicorn.Server(
            uvicorn.Config(
                make_app(),
                host=config.http_host,
                port=config.port(name),
                log_config=None,
                access_log=False,
                timeout_graceful_shutdown=10,
            )
        )
        await server.serve()
        if not server.started:
            raise SystemExit(1)

    os.nice(config.nice)
    # A batch makes tens of thousands of objects that reference counting frees again; looking for cycles among
    # them every 700 allocations took a fifth of the time.
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    try:
        uvloop.run(serving())
    except Complaint as complaint:
        logger.critical("cannot start", why=str(complaint))
        raise SystemExit(1) from None
