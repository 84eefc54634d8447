"""The command line's client with the network replaced: what the edges would answer is written in the test.

So these tests hold the text layer only; tests/e2e/test_cli.py holds it against the real edges.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from cli import client
from cli.main import app
from libs.runtime.settings import STAGES, settings
from libs.runtime.tokens import new_signing_key

ANSWER = Callable[[httpx.Request], httpx.Response]
_BASE = 18080


@dataclass
class FakeEdges:
    """Answers by (service, path); every request is kept."""

    answers: dict[tuple[str, str], Any] = field(default_factory=dict)
    requests: list[httpx.Request] = field(default_factory=list)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        service = (*STAGES, "console")[(request.url.port or 0) - _BASE]
        answer = self.answers.get((service, request.url.path), {"title": "no answer in this test"})
        if isinstance(answer, list):
            answer = answer.pop(0) if len(answer) > 1 else answer[0]
        if callable(answer):
            answer = answer(request)
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, httpx.Response):
            return answer
        return httpx.Response(404 if "title" in answer else 200, json=answer)

    def bodies(self, path: str) -> list[Any]:
        return [json.loads(one.content) for one in self.requests if one.url.path == path and one.content]


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    exit_code: int
    error: BaseException | None
    out: str
    err: str

    @property
    def said(self) -> str:
        """What people read, with the terminal's line breaks taken out."""
        return " ".join(self.err.split())

    @property
    def json(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.out.splitlines()[-1])
        return found


@contextmanager
def signing_key(folder: Path, patch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Settings with a key to sign with and the default ports."""
    key = folder / "jwt.json"
    key.write_bytes(new_signing_key())
    patch.setenv("ORDERLOG_HOME", str(folder))
    patch.setenv("ORDERLOG_JWT_KEY_FILE", str(key))
    patch.delenv("ORDERLOG_TENANT", raising=False)
    settings.cache_clear()
    try:
        yield key
    finally:
        settings.cache_clear()


def edges_of(fake: ANSWER, tenant: str = "acme", role: str = "operator") -> client.Edges:
    return client.Edges(tenant, role, httpx.MockTransport(fake))


def run(fake: ANSWER, module: Any, patch: pytest.MonkeyPatch, arguments: Sequence[str]) -> Ended:
    """One command whose module would connect to the edges."""
    patch.setattr(
        module, "connect", lambda tenant, role="operator": edges_of(fake, tenant, role), raising=False
    )
    result = CliRunner().invoke(app, [*arguments])
    error = result.exception if not isinstance(result.exception, SystemExit) else None
    return Ended(result.exit_code, error, result.stdout, result.stderr)
