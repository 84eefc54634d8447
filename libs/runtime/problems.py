"""Errors that a client sees, as RFC 9457 problem details: what, where, and what to do next."""

from collections.abc import Sequence
from typing import Any

import orjson
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from libs.runtime.log import Unavailable

MEDIA_TYPE = "application/problem+json"


class Problem(Exception):
    """A refusal at the edge. `code` is stable and becomes the problem's type; `next_step` is for people;
    `retry_after_seconds` is for programs, where trying again will help."""

    def __init__(
        self,
        status: int,
        code: str,
        title: str,
        detail: str,
        next_step: str,
        errors: Sequence[Any] = (),
        retry_after_seconds: int = 0,
    ) -> None:
        super().__init__(detail)
        self.retry_after_seconds = retry_after_seconds
        self.status, self.code, self.title = status, code, title
        self.detail, self.next_step, self.errors = detail, next_step, tuple(errors)

    def document(self) -> dict[str, Any]:
        """The problem as JSON-serialisable members."""
        found: dict[str, Any] = {
            "type": f"urn:orderlog:problem:{self.code}",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "next_step": self.next_step,
        }
        if self.errors:
            found["errors"] = list(self.errors)
        return found

    def response(self) -> Response:
        headers = {"WWW-Authenticate": "Bearer"} if self.status == 401 else {}
        if self.retry_after_seconds:
            headers["Retry-After"] = str(self.retry_after_seconds)
        return Response(orjson.dumps(self.document()), self.status, headers, MEDIA_TYPE)


def install(app: FastAPI, retry_after_seconds: int = 2) -> None:
    """Make every error of an app a problem; none shows a traceback or echoes what was sent."""

    @app.exception_handler(Unavailable)
    async def unavailable(_: Request, error: Unavailable) -> Response:
        return Problem(
            503,
            "store_unavailable",
            "The database or Kafka does not answer",
            f"The request needs it ({str(error).partition(':')[0]}).",
            "Send it again after Retry-After with the same Idempotency-Key.",
            retry_after_seconds=retry_after_seconds,
        ).response()

    @app.exception_handler(Problem)
    async def problem(_: Request, error: Problem) -> Response:
        return error.response()

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> Response:
        errors = [
            {"where": ".".join(str(part) for part in item["loc"]), "what": item["msg"]}
            for item in error.errors()
        ]
        return Problem(
            422,
            "invalid_request",
            "The request is not valid",
            f"{len(errors)} field(s) are not as documented; the first is {errors[0]['where']}.",
            "Correct the fields named in errors and send it again; the schema is at /openapi.json.",
            errors[:50],
        ).response()

    @app.exception_handler(HTTPException)
    async def http(_: Request, error: HTTPException) -> Response:
        return Problem(
            error.status_code,
            f"http_{error.status_code}",
            str(error.detail),
            str(error.detail),
            "The paths and methods that exist are at /openapi.json.",
        ).response()

    @app.exception_handler(Exception)
    async def unexpected(_: Request, error: Exception) -> Response:
        return Problem(
            500,
            "internal_error",
            "Something went wrong here",
            f"The request could not be completed ({type(error).__name__}).",
            "Send it again with the same Idempotency-Key; if it persists, look at the service's log.",
        ).response()
