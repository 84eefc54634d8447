"""What went wrong, as a page for people: the same problem that a program gets as JSON."""

from collections.abc import Awaitable, Callable
from typing import Any

import orjson
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import RedirectResponse
from starlette.exceptions import HTTPException

from libs.runtime.log import Unavailable
from libs.runtime.problems import Problem
from services.console.web.guard import SignIn
from services.console.web.shell import Shell

_KINDS: tuple[type[Exception], ...] = (
    Unavailable,
    Problem,
    RequestValidationError,
    HTTPException,
    Exception,
)


def install(app: FastAPI, shell: Shell) -> None:
    """After `libs.runtime.problems.install`: who reads HTML gets a page, all others the problem as it is."""
    for kind in _KINDS:
        app.add_exception_handler(kind, _for_people(app.exception_handlers[kind], shell))

    @app.exception_handler(SignIn)
    async def sign_in(request: Request, nobody: SignIn) -> Response:
        if request.headers.get("hx-request"):
            return Response("", 401, {"HX-Redirect": nobody.location})
        return RedirectResponse(nobody.location, 303)


def _for_people(
    answer: Callable[[Request, Any], Any], shell: Shell
) -> Callable[[Request, Exception], Awaitable[Response]]:
    async def handler(request: Request, error: Exception) -> Response:
        response: Response = await answer(request, error)
        if not reads_pages(request):
            return response
        problem = orjson.loads(bytes(response.body))
        if problem["title"] == problem["detail"]:
            problem["detail"] = "There is nothing at this address."
            problem["next_step"] = "Go back, or take a page from the navigation."
        session = getattr(request.state, "session", None)
        kept = {name: response.headers[name] for name in ("retry-after",) if name in response.headers}
        return shell.page(
            request, session, "error.html", status=response.status_code, headers=kept, problem=problem
        )

    return handler


def reads_pages(request: Request) -> bool:
    """Whether who asks is a person with a browser."""
    return not request.url.path.startswith("/v1/") and "text/html" in request.headers.get("accept", "")
