"""One stage as a process: loop, relay, timers, sender and HTTP edge around one database and one broker."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from fastapi import APIRouter, FastAPI
from faststream import FastStream
from opentelemetry.trace import Tracer

from libs.runtime import load, platform_api, problems, telemetry
from libs.runtime.answers import Answers
from libs.runtime.backpressure import Backpressure
from libs.runtime.beginning import begin
from libs.runtime.consume import FENCED_MAX, Subscription, broker_of
from libs.runtime.edge import Edge
from libs.runtime.health import Health
from libs.runtime.kafka import KafkaPublisher, Lanes, RecordReader
from libs.runtime.keyring import PostgresKeyring, open_keyring
from libs.runtime.limits import Limits
from libs.runtime.log import Fenced, TopicPartition, Unavailable, Writes
from libs.runtime.loop import StageLoop
from libs.runtime.pool import DATABASE_FAULTS, close_pool
from libs.runtime.postgres_log import PostgresLog, open_pool, reachable
from libs.runtime.probes import add_probes, answers
from libs.runtime.relay import PublishFailed, Relay
from libs.runtime.routers import add_routes
from libs.runtime.scrub import Scrub
from libs.runtime.sender import Performer, Sender
from libs.runtime.serve import serve
from libs.runtime.settings import Settings, settings
from libs.runtime.settled_offsets import SettledOffsets
from libs.runtime.stage import Stage, events_topic
from libs.runtime.state_topic import Follower, PostgresMarks
from libs.runtime.waiting import in_time, woken
from libs.runtime.watched_relay import WatchedRelay
from libs.runtime.wire import Record

logger = structlog.get_logger()
_POLL_SECONDS = 1.0
_NEVER = datetime.max.replace(tzinfo=UTC)
_UPKEEP_SECONDS = 10.0
_UPKEEP_REST = 19
"""Upkeep rests so many times as long as it worked: it takes a twentieth of one core at most."""

Routes = Callable[[Edge], APIRouter]
MakePerformer = Callable[[Settings, PostgresKeyring], Performer]
Upkeep = Callable[[Any], Awaitable[bool]]
"""A piece of a stage's work in the background, on a connection of its own; whether more of it waits."""


class StageService:
    """Wires one stage. `app` is its ASGI application; everything runs while its lifespan does."""

    def __init__(
        self,
        stage: Stage,
        routes: Routes,
        performer: MakePerformer | None,
        upkeep: Upkeep | None,
        config: Settings,
        tracer: Tracer,
    ) -> None:
        self._stage, self._routes, self._make_performer = stage, routes, performer
        self._upkeep = upkeep
        self._settings, self._tracer = config, tracer
        self._broker = broker_of(config, stage.name)
        self._faststream = FastStream(self._broker, logger=None)
        self._work, self._looks_at = asyncio.Event(), _NEVER
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._settle = asyncio.Event()
        self._health = Health(config.stuck_seconds_max)
        self.app = FastAPI(
            title=f"Orderlog {stage.name}",
            version="1",
            lifespan=self._lifespan,
            docs_url=None,
            redoc_url=None,
            telemetry=telemetry.of_requests(config),
        )
        problems.install(self.app, config.retry_after_seconds)
        load.limit(self.app, stage.name, config)
        self.app.state.begin_stop = self.begin_stop
        add_probes(self.app, self._broker, config, liveness=self._health.report, readiness=self._readiness)

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
        stack.push_async_callback(close_pool, self._pool, config.leave_seconds)
        self._settled = SettledOffsets(self._pool)
        keyring = await stack.enter_async_context(open_keyring(config))
        lanes = Lanes(config.partitions)
        log = self._log = PostgresLog(self._pool, stage)
        self._publisher = KafkaPublisher(config, stage.name)
        stack.push_async_callback(in_time, self._publisher.stop, config.leave_seconds)
        self._answers = Answers(log, lambda lane: lane in self._loop.lanes)
        self._relay = WatchedRelay(
            stage.name,
            stage.topic,
            log,
            self._publisher,
            pause_seconds=config.retry_seconds_min,
            kept_bytes_max=config.relay_bytes_max,
            health=self._health,
        )
        self._relay.on_published = telemetry.PUBLISHED.labels(stage.name).inc
        self._loop = self._new_loop(log, lanes)
        self._subscription = Subscription(
            self._broker,
            config,
            group=f"orderlog.{stage.name}",
            topics=stage.topics,
            taker=self,
            tracer=self._tracer,
            first=[events_topic(source) for source in stage.finishes],
            others=[events_topic(source) for source in stage.sources if source not in stage.finishes],
            health=self._health,
            awaited=self._answers.awaited,
        )
        self._backpressure = None
        if stage.waits_for and config.ahead_seconds_max:
            hold_back = self._subscription.hold_back
            self._backpressure = Backpressure(config, stage, lambda: self._loop.lanes, hold_back)
        self._follower, self._outlets = None, list[Relay | Follower]([self._relay])
        if stage.states is not None:
            told = (stage.states, stage.name, log, PostgresMarks(self._pool, stage.states.topic))
            self._follower = Follower(*told, self._publisher, lanes, self._work.set, self._health)
            self._outlets.append(self._follower)
        self._sender = None
        if self._make_performer is not None:
            performer = self._make_performer(config, keyring)
            stack.push_async_callback(performer.close)
            owned, most = lambda: self._loop.lanes, config.effect_retry_seconds_max
            self._sender = Sender(stage, log, self._publisher, performer, owned, lanes, most)
        edge = self._edge = Edge(
            stage.name, config, self._publisher, self._answers, keyring, lanes, log, self._pool
        )
        of_platform = platform_api.routes(stage.name, edge, log, {"work": self._try_halted})
        add_routes(app, self._routes(edge), of_platform)
        await self._publisher.start()
        await self._faststream.start()
        for name, running in (
            ("relay", self._relay.run()),
            ("work", self._keep_working()),
            ("commit", self._keep_committing()),
            ("halted", self._keep_trying_halted()),
            ("scrub", Scrub(stage.name, log, self._loop).run(config.scrub_share)),
            *((("states", self._follower.run()),) if self._follower else ()),
            *((("sender", self._sender.run()),) if self._sender else ()),
            *((("backpressure", self._backpressure.run()),) if self._backpressure else ()),
            *((("upkeep", self._keep_up(self._upkeep)),) if self._upkeep else ()),
        ):
            task = asyncio.create_task(running, name=name)
            self._health.watch(task)
            self._tasks[name] = task

    def _new_loop(self, log: PostgresLog, lane_of: Lanes) -> StageLoop:
        config = self._settings
        return StageLoop(
            self._stage,
            log,
            lane_of=lane_of,
            clock=lambda: datetime.now(UTC),
            observer=self,
            fetch=RecordReader(config),
            limits=Limits(
                config.batch_records_max,
                config.record_bytes_max,
                config.parked_keys_max,
                config.parts_kept_max,
                config.timer_retry_seconds,
            ),
        )

    def begin_stop(self) -> None:
        """Read nothing more, and keep nobody waiting for an outcome. What is in hand goes on."""
        if not self._health.stopping:
            self._health.stopping = True
            self._stop_by = asyncio.get_running_loop().time() + self._settings.stop_seconds
            self._subscription.stop_reading()
            self._answers.release()
            self._work.set()
            logger.info("stopping", seconds=self._settings.stop_seconds)

    async def _stop(self) -> None:
        """Finish what is in hand, publish it, tell Kafka how far we are, then leave. What does not end in
        time is rolled back, and read again by the next owner."""
        self.begin_stop()
        try:
            async with asyncio.timeout_at(self._stop_by):
                await self._subscription.finished()
                await asyncio.wait([self._tasks["work"]])
                await self._loop.settle()
                while await self._relay.turn():
                    pass
                await self._relay.mark()
                await self._relay.anchor()
                if self._follower is not None:
                    await self._follower.finish()
                await self._commit()
            logger.info("stopped with nothing in hand")
        except TimeoutError:
            logger.warning("what was in hand did not end in time", seconds=self._settings.stop_seconds)
        except (PublishFailed, Unavailable) as error:
            logger.warning("stopped before all was published; the next owner does", error=str(error))
        except Exception as error:
            logger.error("stopped before all was published; the next owner does", exc_info=error)
        await in_time(self._faststream.stop, self._settings.leave_seconds)
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    # What the subscription asks of us (libs.runtime.consume.Taker).

    async def assigned(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        offsets = await self._loop.assigned(partitions)
        self._tell_halted()
        for outlet in self._outlets:
            await outlet.own(sorted({lane for _, lane in partitions}))
        self._work.set()
        return offsets

    def revoked(self, partitions: Sequence[TopicPartition]) -> None:
        self._loop.revoked(partitions)
        for outlet in self._outlets:
            outlet.disown(sorted({lane for _, lane in partitions}))
        self._tell_halted()

    async def handle(self, records: Sequence[Record]) -> None:
        await self._loop.handle(records)

    def positions(self) -> Mapping[TopicPartition, int]:
        """What Kafka may be told: a recovery without the database builds on it."""
        return self._settled.offsets

    # What the loop tells us (libs.runtime.loop.Observer).

    def committed(self, writes: Writes, records: int, seconds: float) -> None:
        name = self._stage.name
        self._relay.committed(writes.rows)
        if self._follower is not None:
            self._follower.committed(writes)
        self._edge.committed(writes.rows)
        self._answers.committed(writes)
        if any(timer.due_at < self._looks_at for timer in writes.timers.values()):
            self._work.set()
        # What was settled may have been waited for by what is owed behind it.
        if (writes.owed or writes.settled) and self._sender is not None:
            self._sender.wake.set()
        telemetry.RECORDS.labels(name).inc(records)
        telemetry.BATCH_SECONDS.labels(name).observe(seconds)
        telemetry.BATCH_RECORDS.labels(name).observe(records)
        decided = sum(row.origin == "decided" for row in writes.rows)
        if self._backpressure is not None:
            self._backpressure.decided(decided)
        telemetry.EVENTS.labels(name, "decided").inc(decided)
        telemetry.EVENTS.labels(name, "heard").inc(len(writes.rows) - decided)
        for parked in writes.parked:
            telemetry.PARKED.labels(name, parked.code).inc()
            place = f"{parked.topic}/{parked.partition}@{parked.offset}"
            logger.warning("parked", key=parked.key, code=parked.code, place=place)

    def halted(self, lane: int, why: str) -> None:
        self._tell_halted()
        self._subscription.pause([lane])

    def uncertain(self) -> None:
        loop, later = asyncio.get_running_loop(), self._settings.statement_timeout_seconds
        # The server may still be at the commit that was cut off; no statement lasts longer than this.
        for outlet in self._outlets:
            outlet.catch_up()
            loop.call_later(later, outlet.catch_up)

    async def _keep_working(self) -> None:
        """Timers and replays: when woken, when the next is due, and every second for what others left."""
        fenced = 0
        while not self._health.stopping:
            pause, self._looks_at = _POLL_SECONDS, _NEVER
            try:
                while await self._loop.work() and not self._health.stopping:
                    pass
                due = await self._log.next_due(self._loop.lanes)
                if due is not None:
                    pause = min(pause, max(0.0, (due - datetime.now(UTC)).total_seconds()))
                self._health.well("timers")
                fenced = 0
            except (Fenced, Unavailable, KeyError) as error:
                logger.warning("timers wait", error=str(error))
                self._health.well("timers")
                fenced = fenced + 1 if isinstance(error, Fenced) else 0
                if fenced and fenced % FENCED_MAX == 0:
                    await self._subscription.claim_again()
            except Exception as error:
                logger.error("timers wait", exc_info=error)
                self._health.failing("timers", error)
            self._looks_at = datetime.now(UTC) + timedelta(seconds=pause)
            await woken(self._work, pause)

    async def _keep_trying_halted(self) -> None:
        """Take halted lanes up again, now and then and when somebody settled what was parked.

        Where the cause is still there, the next batch halts the lane again.
        """
        while True:
            await woken(self._settle, self._settings.halted_retry_seconds)
            for lane in list(self._loop.halted):
                if not (offsets := self._loop.resume(lane)):
                    continue
                logger.warning("halted lane is tried again", lane=lane)
                with contextlib.suppress(Exception):  # the timers' task tries it again, and tells
                    while await self._loop.work():
                        pass
                self._subscription.seek(offsets)
            self._tell_halted()

    def _try_halted(self) -> None:
        """A person settled a parked key."""
        self._settle.set()
        self._work.set()

    def _tell_halted(self) -> None:
        telemetry.HALTED.labels(self._stage.name).set(len(self._loop.halted))

    async def _keep_committing(self) -> None:
        while True:
            await asyncio.sleep(_POLL_SECONDS)
            await self._commit()

    async def _keep_up(self, upkeep: Upkeep) -> None:
        """What a database that is away leaves undone is done later."""
        loop = asyncio.get_running_loop()
        while True:
            began, more = loop.time(), False
            try:
                with reachable():
                    async with self._pool.acquire() as connection:
                        more = await upkeep(connection)
            except Unavailable as error:
                logger.warning("upkeep waits", error=str(error))
            rest = (loop.time() - began) * _UPKEEP_REST
            await asyncio.sleep(rest if more else max(rest, _UPKEEP_SECONDS))

    async def _commit(self) -> None:
        with contextlib.suppress(*DATABASE_FAULTS):
            await self._settled.advance(self._loop.positions())
        await self._subscription.commit()

    async def _readiness(self) -> dict[str, Any]:
        """Ready: partitions are assigned and the database answers. A halted lane is shown, not fatal."""
        assigned, database = (
            self._subscription.ready.is_set(),
            await answers(self._pool, self._settings.probe_seconds_max),
        )
        return {
            "ready": assigned and database and self._health.report()["alive"] and not self._health.stopping,
            "assigned": assigned,
            "database": database,
            "lanes": list(self._loop.lanes),
            "halted": {str(lane): why for lane, why in self._loop.halted.items()},
        }


def run(
    stage: Stage, routes: Routes, performer: MakePerformer | None = None, upkeep: Upkeep | None = None
) -> None:
    """Run a stage until SIGTERM, which lets the batch in hand finish; ends with 0 then."""
    config = settings()
    tracer = telemetry.set_up(config, stage.name)
    serve(
        lambda: StageService(stage, routes, performer, upkeep, config, tracer).app,
        stage.name,
        config,
        lambda: begin(config, stage),
    )
