"""How the stages do, as pages tell it: how far each lags behind, and which lanes have halted."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import orjson
import structlog
from aiokafka.errors import KafkaError

from libs.runtime.settings import STAGES, Settings
from services.console.web.lags import Lags
from services.console.web.replicas import Member, Owners, Replica, replicas

logger = structlog.get_logger()

NAMES = (*STAGES, "console")
_KEPT_SECONDS = 2.0
_OLD_SECONDS = 15.0
"""What is older is not shown any more: who asks waits for another."""


@dataclass(frozen=True, slots=True)
class StageStand:
    """One service. `lag`: records that it has not consumed; none where that is not known. `halted`: lanes
    that wait for a person, and why; of the process that answered, if a service has several."""

    name: str
    answers: bool
    ready: bool
    lag: int | None
    halted: Mapping[str, str] = field(default_factory=dict)


class Stages:
    """Asks Kafka and the stages, no more often than every two seconds, whoever wants to know."""

    def __init__(self, config: Settings, http: httpx2.AsyncClient) -> None:
        self._config, self._http = config, http
        self._lags = _Kept(self._count)
        self._asking = Lags(config, NAMES, config.console_probe_seconds)
        self._counted: Mapping[str, Mapping[int, int]] = {}
        self._counted_at = datetime.min.replace(tzinfo=UTC)
        self._stands = _Kept(self._look)
        self._owners = Owners(config, NAMES, config.console_probe_seconds)
        self._members = _Kept(self._join)

    async def lags(self) -> Mapping[str, int | None]:
        """Records that each service has not consumed; empty when Kafka does not answer."""
        found: Mapping[str, Mapping[int, int]] = await self._lags()
        return {name: sum(lanes.values()) if lanes else None for name, lanes in found.items()}

    async def replicas(self) -> list[Replica] | None:
        """Every process of every service with its lanes; None when Kafka does not tell who they are."""
        members: Mapping[str, Sequence[Member]] = await self._members()
        behind: Mapping[str, Mapping[int, int]] = await self._lags()
        return replicas(members, behind, self._config.partitions) if members else None

    async def stands(self) -> list[StageStand]:
        """Every service, in the order of an order's life."""
        ready: Mapping[str, Mapping[str, Any]] = await self._stands()
        lags = await self.lags()
        return [
            StageStand(
                name,
                bool(ready[name]),
                bool(ready[name].get("ready")),
                lags.get(name),
                ready[name].get("halted", {}),
            )
            for name in NAMES
        ]

    async def _join(self) -> Mapping[str, Sequence[Member]]:
        try:
            return await self._owners()
        except (KafkaError, OSError, TimeoutError) as error:
            logger.warning("who owns the lanes is not known", error=repr(error))
            return {}

    async def _count(self) -> Mapping[str, Mapping[int, int]]:
        try:
            self._counted = await self._asking()
        except (KafkaError, OSError, TimeoutError) as error:
            logger.warning("lags are not known", error=repr(error))
            old = datetime.now(UTC) - self._counted_at > timedelta(seconds=_OLD_SECONDS)
            return {} if old else self._counted
        self._counted_at = datetime.now(UTC)
        return self._counted

    async def close(self) -> None:
        """Let go of what it asks Kafka by."""
        await self._asking.close()
        await self._owners.close()

    async def _look(self) -> Mapping[str, Mapping[str, Any]]:
        return dict(zip(NAMES, await asyncio.gather(*map(self._readiness, NAMES)), strict=True))

    async def _readiness(self, name: str) -> Mapping[str, Any]:
        """What a service says of itself; empty when it does not answer."""
        try:
            patience = self._config.console_probe_seconds
            answer = await self._http.get(address(self._config, name) + "/readyz", timeout=patience)
            found = orjson.loads(answer.content)
        except (httpx2.HTTPError, orjson.JSONDecodeError):
            return {}
        return found if isinstance(found, dict) else {}


class _Kept:
    """An answer that is asked for once for all who want it; while another is asked for, the last is given."""

    def __init__(self, ask: Callable[[], Awaitable[Any]]) -> None:
        self._ask, self._known = ask, None
        self._asking: asyncio.Task[Any] | None = None
        self._good_until = self._old_at = datetime.min.replace(tzinfo=UTC)

    async def __call__(self) -> Any:
        now = datetime.now(UTC)
        if now >= self._good_until and self._asking is None:
            self._asking = asyncio.create_task(self._ask_once())
        if now >= self._old_at and self._asking is not None:
            await asyncio.shield(self._asking)
        return self._known

    async def _ask_once(self) -> None:
        try:
            self._known = await self._ask()
            now = datetime.now(UTC)
            self._good_until = now + timedelta(seconds=_KEPT_SECONDS)
            self._old_at = now + timedelta(seconds=_OLD_SECONDS)
        finally:
            self._asking = None


def address(config: Settings, service: str) -> str:
    """Where a service's edge is reached from here."""
    if config.stage_url:
        return config.stage_url.format(stage=service).rstrip("/")
    # Not `config.port`: this process may have been given a port of its own.
    return f"http://127.0.0.1:{config.http_port_base + NAMES.index(service)}"
