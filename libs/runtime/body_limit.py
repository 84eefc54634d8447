"""No request body larger than the settings allow reaches an application, whatever its headers claim."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from libs.runtime.problems import Problem


class BodyLimit:
    """ASGI middleware that answers 413 as soon as a body exceeds `bytes_max`."""

    def __init__(self, app: ASGIApp, bytes_max: int) -> None:
        self._app, self._bytes_max = app, bytes_max

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        announced = dict(scope["headers"]).get(b"content-length", b"0")
        if not announced.isdigit() or int(announced) > self._bytes_max:
            await self._problem().response()(scope, receive, send)
            return
        received, exceeded, answered = 0, False, False

        async def counted() -> Message:
            nonlocal received, exceeded
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._bytes_max:
                exceeded = True
                raise self._problem()
            return message

        async def answer(message: Message) -> None:
            """What the application makes of a body that broke off is not what is wrong with it."""
            nonlocal answered
            if not exceeded:
                answered = True
                await send(message)

        try:
            await self._app(scope, counted, answer)
        except Problem:
            if not exceeded:
                raise
        if exceeded and not answered:
            await self._problem().response()(scope, receive, send)

    def _problem(self) -> Problem:
        return Problem(
            413,
            "too_large",
            "The request is too large",
            f"The body is larger than the {self._bytes_max} bytes that are allowed.",
            "Split it into several requests.",
        )
