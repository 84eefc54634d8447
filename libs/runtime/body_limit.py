"""No request body larger than the settings allow reaches an application, whatever its headers claim, and none
is waited for without a bound."""

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from libs.runtime.problems import Problem


class BodyLimit:
    """ASGI middleware that answers 413 as soon as a body exceeds `bytes_max`, and 408 when one is not whole
    within `seconds_max`: whoever sends it slowly holds a place among those that are answered."""

    def __init__(self, app: ASGIApp, bytes_max: int, seconds_max: float) -> None:
        self._app, self._bytes_max, self._seconds_max = app, bytes_max, seconds_max

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        announced = dict(scope["headers"]).get(b"content-length", b"0")
        if not announced.isdigit() or int(announced) > self._bytes_max:
            await self._too_large().response()(scope, receive, send)
            return
        body = _Body(receive, self._seconds_max)
        broken: Problem | None = None
        answered = False

        async def counted() -> Message:
            nonlocal broken
            try:
                message = await body.next()
            except TimeoutError:
                broken = self._too_slow()
                raise broken from None
            if body.received > self._bytes_max:
                broken = self._too_large()
                raise broken
            return message

        async def answer(message: Message) -> None:
            """What the application makes of a body that broke off is not what is wrong with it."""
            nonlocal answered
            if broken is None:
                answered = True
                await send(message)

        try:
            await self._app(scope, counted, answer)
        except Problem:
            if broken is None:
                raise
        if broken is not None and not answered:
            await broken.response()(scope, receive, send)

    def _too_large(self) -> Problem:
        return Problem(
            413,
            "too_large",
            "The request is too large",
            f"The body is larger than the {self._bytes_max} bytes that are allowed.",
            "Split it into several requests.",
        )

    def _too_slow(self) -> Problem:
        return Problem(
            408,
            "too_slow",
            "The request did not come in time",
            f"Its body was not here {self._seconds_max:g} s after its head; nothing of it was taken.",
            "Send it again, with the same Idempotency-Key, and in smaller pieces over a slow line.",
        )


class _Body:
    """A request's body as it comes. What comes after it (that the client has gone) may take its time."""

    def __init__(self, receive: Receive, seconds_max: float) -> None:
        self._receive, self._seconds_max = receive, seconds_max
        self._give_up_at: float | None = None
        self._whole = False
        self.received = 0

    async def next(self) -> Message:
        """Raises TimeoutError."""
        if self._whole:
            return await self._receive()
        if self._give_up_at is None:
            self._give_up_at = asyncio.get_running_loop().time() + self._seconds_max
        async with asyncio.timeout_at(self._give_up_at):
            message = await self._receive()
        self._whole = not message.get("more_body", False)
        self.received += len(message.get("body", b""))
        return message
