"""How the stages do, as pages tell it: how far each lags behind, and which lanes have halted."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import orjson
import structlog
from aiokafka.errors import KafkaError

from libs.runtime.complaint import Complaint
from libs.runtime.settings import STAGES, Settings
from libs.runtime.topics import count_lag

logger = structlog.get_logger()

NAMES = (*STAGES, "console")
_KEPT_SECONDS = 2.0
_PATIENCE_SECONDS = 3.0


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
        self._stands = _Kept(self._look)

    async def lags(self) -> Mapping[str, int | None]:
        """Records that each service has not consumed; empty when Kafka does not answer."""
        found: Mapping[str, int | None] = await self._lags()
        return found

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

    async def _count(self) -> Mapping[str, int | None]:
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                found = await count_lag(self._config, [f"orderlog.{name}" for name in NAMES])
        except (KafkaError, OSError, TimeoutError, Complaint) as error:
            logger.warning("lags are not known", error=repr(error))
            return {}
        return {name: found[f"orderlog.{name}"] for name in NAMES}

    async def _look(self) -> Mapping[str, Mapping[str, Any]]:
        return dict(zip(NAMES, await asyncio.gather(*map(self._readiness, NAMES)), strict=True))

    async def _readiness(self, name: str) -> Mapping[str, Any]:
        """What a service says of itself; empty when it does not answer."""
        try:
            answer = await self._http.get(address(self._config, name) + "/readyz", timeout=_PATIENCE_SECONDS)
            found = orjson.loads(answer.content)
        except (httpx2.HTTPError, orjson.JSONDecodeError):
            return {}
        return found if isinstance(found, dict) else {}


class _Kept:
    """An answer that is asked for once for all who want it, and kept a while."""

    def __init__(self, ask: Callable[[], Awaitable[Any]]) -> None:
        self._ask, self._asking = ask, asyncio.Lock()
        self._known: Any = None
        self._good_until = datetime.min.replace(tzinfo=UTC)

    async def __call__(self) -> Any:
        async with self._asking:
            if datetime.now(UTC) >= self._good_until:
                self._known = await self._ask()
                self._good_until = datetime.now(UTC) + timedelta(seconds=_KEPT_SECONDS)
            return self._known


def address(config: Settings, service: str) -> str:
    """Where a service's edge is reached from here."""
    if config.stage_url:
        return config.stage_url.format(stage=service).rstrip("/")
    return f"http://127.0.0.1:{config.port(service)}"
