"""What the edge of one process has under way, and the bounds at which it sends people away.

A request that is refused here has left nothing behind: it was not sealed, published or remembered. 429 says
that we are busy, 503 that Kafka or the database is not there; both say when to try again.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

from libs.runtime import telemetry
from libs.runtime.body_limit import BodyLimit
from libs.runtime.problems import Problem
from libs.runtime.settings import Settings

_PROBES = ("/livez", "/readyz", "/metrics", "/broker")


class Load:
    """Counts of one process's edge; one event loop, so that nothing comes between asking and taking."""

    def __init__(self, stage: str, settings: Settings) -> None:
        self._stage, self._settings = stage, settings
        self._commands = self._bytes = self._waiting = 0
        self._broker_failed = False

    def make_room(self) -> None:
        """Ask before work is done for a command that could not be taken. Raises Problem 429 or 503."""
        self._check(1, 1)

    @contextmanager
    def publishing(self, commands: int, size_bytes: int) -> Iterator[None]:
        """Commands on their way to Kafka, from here until it has them. Raises Problem 429 or 503."""
        self._check(commands, size_bytes)
        self._count(commands, size_bytes)
        try:
            yield
            self._broker_failed = False
        finally:
            self._count(-commands, -size_bytes)

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """A request that waits for its outcome. Raises Problem 429."""
        if self._waiting >= self._settings.waiting_max:
            raise self._away(
                429,
                "too_many_waiting",
                "Too many requests wait for their outcome",
                f"{self._waiting} requests wait already, {self._settings.waiting_max} may; it was not taken.",
                "Send it again after Retry-After, or without `Prefer: wait` and ask for its outcome later.",
            )
        self._waiting += 1
        telemetry.EDGE_WAITING.labels(self._stage).set(self._waiting)
        try:
            yield
        finally:
            self._waiting -= 1
            telemetry.EDGE_WAITING.labels(self._stage).set(self._waiting)

    def broker_failed(self, why: str) -> Problem:
        """Kafka did not take what was sent. Until it takes something, one request at a time tries it."""
        self._broker_failed = True
        return self._away(
            503,
            "broker_unavailable",
            "The command could not be stored",
            f"Kafka did not take it: {why}. Whether it arrived is unknown.",
            "Send it again after Retry-After with the same Idempotency-Key: it will not be done twice.",
        )

    def store_failed(self, why: str) -> Problem:
        """The database does not answer, and nothing was published."""
        return self._away(
            503,
            "store_unavailable",
            "The database does not answer",
            f"The request needs it, and was not taken ({why}).",
            "Send it again after Retry-After with the same Idempotency-Key.",
        )

    def _check(self, commands: int, size_bytes: int) -> None:
        if not self._commands:
            return  # whatever it is, it is all that is under way
        if self._broker_failed:
            raise self._away(
                503,
                "broker_unavailable",
                "The command could not be stored",
                "Kafka does not answer at the moment; the command was not sent to it.",
                "Send it again after Retry-After.",
            )
        settings = self._settings
        if (
            self._commands + commands > settings.commands_in_flight_max
            or self._bytes + size_bytes > settings.commands_in_flight_bytes_max
        ):
            raise self._away(
                429,
                "too_busy",
                "Too many commands are on their way",
                f"{self._commands} commands of {self._bytes} bytes are not stored yet; it was not taken.",
                "Send it again after Retry-After, and fewer at once.",
            )

    def _count(self, commands: int, size_bytes: int) -> None:
        self._commands += commands
        self._bytes += size_bytes
        telemetry.EDGE_IN_FLIGHT.labels(self._stage).set(self._commands)

    def _away(self, status: int, code: str, title: str, detail: str, next_step: str) -> Problem:
        telemetry.EDGE_REFUSED.labels(self._stage, code).inc()
        after = self._settings.retry_after_seconds
        return Problem(status, code, title, detail, next_step, retry_after_seconds=after)


def limit(app: FastAPI, service: str, settings: Settings) -> None:
    """No more requests at once, and no larger or slower bodies, than the settings allow."""
    app.add_middleware(BodyLimit, bytes_max=settings.body_bytes_max, seconds_max=settings.body_seconds_max)
    app.add_middleware(RequestLimit, service=service, settings=settings)


class RequestLimit:
    """ASGI middleware that answers 429 while so many requests are under way, or bytes of their bodies,
    as the settings allow; probes always pass."""

    def __init__(self, app: ASGIApp, service: str, settings: Settings) -> None:
        self._app, self._service, self._settings = app, service, settings
        self._requests = self._bytes = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith(_PROBES):
            await self._app(scope, receive, send)
            return
        size = self._announced(scope)
        full = self._requests and self._bytes + size > self._settings.requests_bytes_max
        if full or self._requests >= self._settings.requests_max:
            telemetry.EDGE_REFUSED.labels(self._service, "too_many_requests").inc()
            problem = Problem(
                429,
                "too_many_requests",
                "Too many requests at once",
                f"{self._requests} requests of {self._bytes} bytes are being answered; it was not taken.",
                "Send it again after Retry-After, on fewer connections.",
                retry_after_seconds=self._settings.retry_after_seconds,
            )
            await problem.response()(scope, receive, send)
            return
        self._requests += 1
        self._bytes += size
        try:
            await self._app(scope, receive, send)
        finally:
            self._requests -= 1
            self._bytes -= size

    def _announced(self, scope: Scope) -> int:
        """Bytes that the body may have; one without a length may have what is allowed."""
        headers, most = dict(scope["headers"]), self._settings.body_bytes_max
        if b"transfer-encoding" in headers:
            return most
        length = headers.get(b"content-length", b"0")
        return min(int(length), most) if length.isdigit() else 0
