"""The HTTP edge: a request is authenticated, validated, published as a command and answered 202.

With `Prefer: wait=N` (RFC 7240) the answer is the outcome: the events that the command led to, or the refusal
as a problem. `Idempotency-Key` becomes the command id, so a repeated request is the same command.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager
from datetime import UTC, datetime
from typing import Any, TypeVar, cast
from uuid import UUID, uuid4

import asyncpg
import orjson
import structlog
from fastapi import Request
from fastapi.responses import Response
from opentelemetry.propagate import inject

from libs.events.catalogue import decode, encode
from libs.events.contract import Command, Event
from libs.events.envelope import Envelope
from libs.events.ids import command_id, partition_key
from libs.events.order import Sealed
from libs.events.refusal import CommandRefused
from libs.runtime import wire
from libs.runtime.answers import Answer, Answers
from libs.runtime.kafka import KafkaPublisher
from libs.runtime.keyring import Keyring, Unsealed
from libs.runtime.load import Load
from libs.runtime.log import Log, LogRow, Unavailable
from libs.runtime.part_reader import PartReader
from libs.runtime.pool import DATABASE_FAULTS, moment
from libs.runtime.postgres_log import reachable
from libs.runtime.problems import Problem
from libs.runtime.reading import command_digest
from libs.runtime.reason import reason_of
from libs.runtime.relay import Message, PublishFailed
from libs.runtime.settings import Settings
from libs.runtime.stage import commands_topic
from libs.runtime.tokens import Claims, TokenRejected, verify

logger = structlog.get_logger()
T = TypeVar("T")
MANY_MAX = 500
_PARTS_KEPT_MAX = 20_000
"""Of what was read for who asks; a kilobyte or so each."""
_WAIT = re.compile(r"\bwait=(\d{1,4})\b")
_KEY = re.compile(r"[\x21-\x7e]{1,200}")


class Edge:
    """What a stage's `api.py` needs to turn requests into commands."""

    def __init__(
        self,
        stage: str,
        settings: Settings,
        publisher: KafkaPublisher,
        answers: Answers,
        keyring: Keyring | None,
        lane_of: Callable[[str], int],
        log: Log | None = None,
        pool: asyncpg.Pool | None = None,
    ) -> None:
        """`log` and `pool` are the stage's, where its routes read parts or tables."""
        self._log = log
        self._pool, self._readers = pool, asyncio.Semaphore(max(1, settings.pool_size // 2))
        self._stage, self.settings, self._publisher = stage, settings, publisher
        self._answers, self._keyring, self._lane_of = answers, keyring, lane_of
        self._load = Load(stage, settings)
        self._fresh: list[Callable[[Iterable[str]], None]] = []

    def require(self, *roles: str) -> Callable[[Request], Awaitable[Claims]]:
        """A dependency that lets these roles through (`admin` always) and returns who asks."""
        return require(self.settings, *roles)

    def reader(
        self, read: Callable[[bytes], T], fresh_seconds: float = 0.0
    ) -> Callable[[str, Iterable[str]], Awaitable[dict[str, T]]]:
        """What reads parts of a tenant's streams, by stream, as `read` makes of their JSON; with
        `fresh_seconds` perhaps as they were so long ago, but for what events of their own changed here. It
        raises Problem 503 where the database does not answer."""
        assert self._log is not None, f"{self._stage} opened no log"
        reading = PartReader(self._log.snapshots, read, _PARTS_KEPT_MAX, fresh_seconds)
        if fresh_seconds:
            self._fresh.append(reading.forget)

        async def parts(tenant: str, streams: Iterable[str]) -> dict[str, T]:
            try:
                found = await reading.parts([partition_key(tenant, stream) for stream in streams])
            except Unavailable as error:
                raise self._load.store_failed(str(error)) from error
            return {key.partition("/")[2]: part for key, part in found.items()}

        return parts

    def committed(self, rows: Iterable[LogRow]) -> None:
        """Streams have changed here by events of their own."""
        if self._fresh:
            keys = {partition_key(row.tenant, row.stream) for row in rows}
            for forget in self._fresh:
                forget(keys)

    async def first(self, tenant: str, stream: str, types: Sequence[type[Event]]) -> Event | None:
        """The first event of these types that the stage decided or heard of a stream. It raises Problem 503
        where the database does not answer."""
        assert self._log is not None, f"{self._stage} opened no log"
        try:
            row = await self._log.first(tenant, stream, [event.TYPE for event in types])
        except Unavailable as error:
            raise self._load.store_failed(str(error)) from error
        return None if row is None else cast(Event, decode(row.type, row.version, row.payload))

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Any]:
        """One moment of the stage's database, to be read. Half of the pool's connections at most: the others
        are the stage loop's. Raises Unavailable, which is answered with 503."""
        assert self._pool is not None, f"{self._stage} reads nothing at its edge"
        with reachable():
            async with moment(self._pool, self._readers, self.settings.connect_timeout_seconds) as connection:
                yield connection

    async def seal(self, tenant: str, subject: str, order_id: str, personal: Mapping[str, Any]) -> Sealed:
        """Personal data, readable only through the keyring from here on. Raises Problem 429 or 503."""
        assert self._keyring is not None, f"{self._stage} opened no keyring"
        self._load.make_room()
        try:
            return await self._keyring.seal(tenant, subject, order_id, personal)
        except DATABASE_FAULTS as error:
            raise self._load.store_failed(type(error).__name__) from error

    async def seal_many(self, tenant: str, requests: Sequence[Unsealed]) -> list[Sealed]:
        """As `seal`, for many at once."""
        assert self._keyring is not None, f"{self._stage} opened no keyring"
        self._load.make_room()
        try:
            return await self._keyring.seal_many(tenant, requests)
        except DATABASE_FAULTS as error:
            raise self._load.store_failed(type(error).__name__) from error

    async def submit(self, request: Request, claims: Claims, command: Command) -> Response:
        """Publish one command; 202, or its outcome when the request prefers to wait."""
        seconds = self._patience(request)
        envelope = _envelope(claims, command, self._id(request, claims), *_told(request))
        lane, message = self._lane_of(partition_key(claims.tenant, command.stream)), _message(envelope)
        expected = [_command(envelope, message)] if seconds else []
        with self._patient(seconds), self._answers.expecting(claims.tenant, expected) as answers:
            with self._load.publishing(1, _size(message)):
                await self._send(self._publisher.send(commands_topic(self._stage), lane, message))
            rows = (
                await self._wait(answers[0], claims.tenant, expected[0], lane, seconds) if seconds else None
            )
        if rows is not None:
            return _outcome_response(envelope.id, command.stream, rows)
        return _json(202, _pending(envelope.id, command.stream), {"Location": f"/v1/commands/{envelope.id}"})

    async def submit_many(
        self,
        request: Request,
        claims: Claims,
        commands: Sequence[Command | Problem],
        ids: Sequence[UUID | None] = (),
    ) -> Response:
        """Publish many commands at once; one result per row, in order. A Problem in a row is its result.
        With `Prefer: return=minimal` (RFC 7240) the results of rows that were taken are without their events.

        The Idempotency-Key, where given, names the whole request: row n has the key `<key>/n`.
        """
        if not commands or len(commands) > MANY_MAX:
            raise Problem(
                422,
                "invalid_request",
                "Too many or no rows",
                f"The request has {len(commands)} rows; 1 to {MANY_MAX} are allowed.",
                "Split it into several requests.",
            )
        seconds, told = self._patience(request), _told(request)
        results: list[dict[str, Any]] = []
        waiting: list[tuple[int, int, Envelope[Command], Message]] = []
        by_lane: dict[int, list[Message]] = {}
        for row, command in enumerate(commands):
            if isinstance(command, Problem):
                results.append({"status": command.status, "problem": command.document()})
                continue
            id_ = (ids[row] if ids else None) or self._id(request, claims, f"/{row}")
            envelope = _envelope(claims, command, id_, *told)
            lane = self._lane_of(partition_key(claims.tenant, command.stream))
            message = _message(envelope)
            by_lane.setdefault(lane, []).append(message)
            waiting.append((row, lane, envelope, message))
            results.append({"status": 202} | _pending(id_, command.stream))
        size = sum(_size(message) for messages in by_lane.values() for message in messages)
        expected = [_command(envelope, message) for *_, envelope, message in (waiting if seconds else ())]
        with self._patient(seconds), self._answers.expecting(claims.tenant, expected) as answers:
            with self._load.publishing(len(waiting), size):
                await self._send(self._publish(by_lane))
            if seconds:
                whole = "return=minimal" not in request.headers.get("prefer", "")
                await self._collect(waiting, seconds, results, answers, whole)
        return _json(207, {"results": results})

    async def _collect(
        self,
        waiting: Sequence[tuple[int, int, Envelope[Command], Message]],
        seconds: float,
        results: list[dict[str, Any]],
        answers: Sequence[Answer],
        whole: bool,
    ) -> None:
        """Replace the results of rows that are decided in time by their outcomes; unless `whole`, without the
        events of those that were taken."""
        deadline = datetime.now(UTC).timestamp() + seconds
        for (row, lane, envelope, message), answer in zip(waiting, answers, strict=True):
            left = max(0.0, deadline - datetime.now(UTC).timestamp())
            rows = answer.result() if answer.done() else None
            if rows is None:
                command = _command(envelope, message)
                rows = await self._wait(answer, envelope.tenant, command, lane, left)
            if rows is not None:
                status, document = outcome(envelope.id, envelope.stream, rows, whole)
                results[row] = {"status": status} | ({"problem": document} if status >= 400 else document)

    async def look_up(self, claims: Claims, id_: UUID) -> Response:
        """What became of a command."""
        rows = await self._answers.known(claims.tenant, id_)
        if rows is None:
            raise Problem(
                404,
                "undecided",
                "No such command has been decided",
                f"Command {id_} has not been decided here, or was never sent to {self._stage}.",
                "Ask again shortly; if it was never accepted, send it with the same Idempotency-Key.",
            )
        return _outcome_response(id_, rows[0].stream if rows else "", rows)

    def _id(self, request: Request, claims: Claims, suffix: str = "") -> UUID:
        key = request.headers.get("idempotency-key")
        if key is None:
            return uuid4()
        if not _KEY.fullmatch(key):
            raise Problem(
                400,
                "invalid_header",
                "Idempotency-Key is not valid",
                "Idempotency-Key takes 1 to 200 visible ASCII characters.",
                "Use a UUID, or your own document number.",
            )
        return command_id(claims.tenant, f"{self._stage}/{key}{suffix}")

    def _patience(self, request: Request) -> float:
        found = _WAIT.search(request.headers.get("prefer", ""))
        return min(float(found[1]), self.settings.wait_seconds_max) if found else 0.0

    def _patient(self, seconds: float) -> ExitStack:
        """Room to wait in, for a request that wants to. Raises Problem 429."""
        held = ExitStack()
        if seconds:
            held.enter_context(self._load.waiting())
        return held

    async def _wait(
        self, answer: Answer, tenant: str, command: tuple[UUID, bytes], lane: int, seconds: float
    ) -> list[LogRow] | None:
        """The outcome, or None when it is not there in time. The command is stored: that is no failure."""
        try:
            return await self._answers.outcome(answer, tenant, command, lane, seconds)
        except Unavailable as error:
            logger.warning("nobody can tell the outcome", command=str(command[0]), error=str(error))
            return None

    async def _publish(self, by_lane: Mapping[int, Sequence[Message]]) -> None:
        topic = commands_topic(self._stage)
        await asyncio.gather(*(self._publisher.publish(topic, *lane) for lane in by_lane.items()))

    async def _send(self, publishing: Awaitable[None]) -> None:
        try:
            await publishing
        except PublishFailed as error:
            raise self._load.broker_failed(str(error)) from None


def require(settings: Settings, *roles: str) -> Callable[[Request], Awaitable[Claims]]:
    """A dependency that lets these roles through (`admin` always) and returns who asks."""

    async def authenticated(request: Request) -> Claims:
        claims = authenticate(request, settings)
        if claims.role != "admin" and claims.role not in roles:
            raise Problem(
                403,
                "forbidden",
                "Your role may not do this",
                f"Role {claims.role!r} may not call this; {', '.join(roles)} or admin may.",
                "Ask for a token with one of these roles (`orderlog token --role …`).",
            )
        return claims

    return authenticated


def authenticate(request: Request, settings: Settings) -> Claims:
    """Who asks, from the bearer token. Raises Problem 401."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    reason = "The request carries no bearer token."
    if scheme.lower() == "bearer" and token:
        try:
            return verify(settings.jwt_key_file, token.strip())
        except TokenRejected as error:
            reason = f"The token was not accepted: {error.reason}."
    raise Problem(
        401,
        "unauthenticated",
        "Who are you?",
        reason,
        "Send `Authorization: Bearer …`; locally, `orderlog token` mints one.",
    )


def outcome(id_: UUID, stream: str, rows: Sequence[LogRow], whole: bool = True) -> tuple[int, dict[str, Any]]:
    """HTTP status and document of a decided command: its events, if `whole`, or the refusal as a problem."""
    for row in rows:
        if row.type == CommandRefused.TYPE:
            refused = CommandRefused.model_validate_json(row.payload)
            status = 409 if refused.command_id == id_ else 500
            problem = Problem(
                status, refused.code, "The command was refused", refused.message, refused.next_step
            )
            return status, problem.document() | {"command_id": str(id_), "stream": stream}
    decided = {"command_id": str(id_), "stream": stream, "decided": True}
    if not whole:
        return 200, decided
    events = [
        {
            "type": row.type,
            "version": row.version,
            "id": str(row.event_id),
            "lane": row.lane,
            "sequence": row.seq,
        }
        | {"data": orjson.loads(row.payload)}
        for row in rows
    ]
    return 200, decided | {"events": events}


def _outcome_response(id_: UUID, stream: str, rows: Sequence[LogRow]) -> Response:
    status, document = outcome(id_, stream, rows)
    media_type = "application/problem+json" if status >= 400 else "application/json"
    return Response(orjson.dumps(document), status, media_type=media_type)


def _pending(id_: UUID, stream: str) -> dict[str, Any]:
    return {"command_id": str(id_), "stream": stream, "decided": False}


def _message(envelope: Envelope[Command]) -> Message:
    key = partition_key(envelope.tenant, envelope.stream).encode()
    return key, encode(envelope.body), wire.headers(envelope), int(envelope.at.timestamp() * 1000)


def _told(request: Request) -> tuple[str, str]:
    """What a request says about all of its commands: the reason, and the trace that it belongs to. Raises
    Problem 400."""
    carrier: dict[str, str] = {}
    inject(carrier)
    reason = reason_of(request.headers.get("x-reason", ""))
    return reason, (request.headers.get("traceparent") or carrier.get("traceparent", ""))[:55]


def _envelope(
    claims: Claims, command: Command, id_: UUID, reason: str, traceparent: str
) -> Envelope[Command]:
    now, stream = datetime.now(UTC), command.stream
    about = (claims.actor, reason, id_, id_, "orderlog/edge")
    return Envelope(id_, claims.tenant, stream, command, now, *about, traceparent=traceparent)


def _command(envelope: Envelope[Command], message: Message) -> tuple[UUID, bytes]:
    """What tells a command from every other: its id and its digest."""
    return envelope.id, command_digest(envelope.body.TYPE, message[1])


def _size(message: Message) -> int:
    """Bytes that a message takes on its way, about."""
    return len(message[1] or b"") + 1_000


def _json(status: int, document: Any, headers: Mapping[str, str] | None = None) -> Response:
    return Response(orjson.dumps(document), status, dict(headers or {}), "application/json")
