"""How a person changes something from a page: a command at a stage's edge, in their name, and its outcome.

The console writes no order data itself. What a stage refuses, and a stage that is not there, come back as
sentences for people, never as exceptions.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote
from uuid import UUID, uuid4

import httpx2
import orjson

from libs.events.catalogue import COMMANDS, encode
from libs.events.contract import Command
from libs.runtime.settings import Settings
from libs.runtime.tokens import mint
from services.console.queries import Queries
from services.console.web.roles import STAGE_ROLE
from services.console.web.sessions import Session
from services.console.web.stages import address

_TOKEN_SECONDS = 120
_SHOWN_SECONDS = 2.0
_LOOK_SECONDS = 0.03
_STAGE_OF = {command.TYPE: stage for stage, commands in COMMANDS.items() for command in commands}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a command. `ok`: the stage decided it and did not refuse; `events` are what it led to,
    each with `type` and `data`. Else `sentence` says what is the matter and `next_step` what to do.
    `shown`: the read models have it already."""

    ok: bool
    sentence: str
    next_step: str = ""
    code: str = ""
    events: Sequence[Mapping[str, Any]] = field(default_factory=tuple)
    shown: bool = False


class Actions:
    """Sends commands to the stages, for people who are signed in."""

    def __init__(self, config: Settings, queries: Queries, http: httpx2.AsyncClient) -> None:
        self._config, self._queries, self._http = config, queries, http

    async def send(
        self, session: Session, command: Command, *, reason: str = "", id_: UUID | None = None
    ) -> Outcome:
        """Send a command as the person, wait for its outcome, and until the pages show it. `reason` is kept
        for ever with what it leads to; `id_` makes a repetition the same command."""
        stage = _STAGE_OF[command.TYPE]
        typed = {"type": command.TYPE, "id": str(id_ or uuid4()), "data": orjson.loads(encode(command))}
        answer = await self.call(
            session, stage, "POST", "/v1/commands", body={"commands": [typed]}, reason=reason
        )
        if not answer.ok:
            return answer
        [result] = answer.events[0]["results"]
        if "problem" in result:
            return _refused(result["problem"])
        if not result.get("decided"):
            seconds = self._config.console_wait_seconds
            return Outcome(
                False,
                f"{stage.capitalize()} has taken it and not decided it within {seconds} s.",
                "It will be decided; look again in a moment.",
                "undecided",
            )
        shown = await self._shown(stage, result["events"])
        return Outcome(True, "Done.", events=tuple(result["events"]), shown=shown)

    async def call(
        self,
        session: Session,
        stage: str,
        method: str,
        path: str,
        *,
        body: object = None,
        query: Mapping[str, str | Sequence[str]] | None = None,
        reason: str = "",
        role: str = STAGE_ROLE,
    ) -> Outcome:
        """Ask a stage's edge for something else than a command; `events` holds its one answer."""
        try:
            token = mint(self._config.jwt_key_file, session.tenant, session.actor, role, _TOKEN_SECONDS)
        except (OSError, ValueError, AttributeError) as error:
            return Outcome(
                False,
                f"This console has no key to act with ({type(error).__name__}); nothing was changed.",
                "Tell your administrator: ORDERLOG_JWT_KEY_FILE must hold a private key.",
                "no_key",
            )
        headers = {
            "Authorization": f"Bearer {token}",
            "Content-Type": "application/json",
            "Prefer": f"wait={self._config.console_wait_seconds}",
        }
        if reason:
            headers["X-Reason"] = reason if _plain(reason) else f"UTF-8''{quote(reason, safe='')}"
        content = None if body is None else orjson.dumps(body)
        try:
            answer = await self._http.request(
                method, address(self._config, stage) + path, params=query, headers=headers, content=content
            )
            told = orjson.loads(answer.content)
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout):  # nothing was sent
            return _silent(stage, "does not answer", "Nothing was changed.")
        except (httpx2.HTTPError, orjson.JSONDecodeError) as error:
            return _silent(stage, f"broke off ({type(error).__name__})", "Whether it was done is not known.")
        return _refused(told) if answer.status_code >= 400 else Outcome(True, "Done.", events=(told,))

    async def _shown(self, stage: str, events: Sequence[Mapping[str, Any]]) -> bool:
        """Wait a little until the read models have these events; whether they do."""
        wanted: dict[int, int] = {}
        for event in events:
            wanted[event["lane"]] = max(event["sequence"], wanted.get(event["lane"], 0))
        loop = asyncio.get_running_loop()
        until = loop.time() + _SHOWN_SECONDS
        while not await self._queries.has_heard(f"orderlog/{stage}", wanted):
            if loop.time() > until:
                return False
            await asyncio.sleep(_LOOK_SECONDS)
        return True


def _plain(reason: str) -> bool:
    return reason.isascii() and reason.isprintable() and not reason.startswith("UTF-8''")


def _refused(problem: Mapping[str, Any]) -> Outcome:
    sentence = str(problem.get("detail") or problem.get("title") or "The stage refused it.")
    code = str(problem.get("type", "")).rpartition(":")[2]
    return Outcome(False, sentence, str(problem.get("next_step", "")), code)


def _silent(stage: str, how: str, so: str) -> Outcome:
    return Outcome(
        False,
        f"{stage.capitalize()} {how}. {so}",
        "Try again in a moment; the platform page shows which stages run.",
        "stage_unavailable",
    )
