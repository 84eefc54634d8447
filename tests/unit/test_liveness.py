"""/livez turns when a task of a stage ended, or its relay or timers fail for a reason that nobody foresaw."""

import asyncio
from collections.abc import Sequence
from unittest.mock import AsyncMock, Mock

import asyncpg
import httpx
import pytest
from fastapi import APIRouter
from opentelemetry.trace import NoOpTracer

from libs.runtime.health import Health
from libs.runtime.log import LogRow, Mark, Unavailable
from libs.runtime.memory_broker import MemoryBroker
from libs.runtime.memory_log import MemoryLog
from libs.runtime.service import StageService
from libs.runtime.settings import Settings
from libs.runtime.watched_relay import WatchedRelay
from services.intake.app import STAGE


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class Broken(MemoryLog):
    """Fails as it is told to."""

    error: Exception | None = None

    async def unpublished(self, lane: int, after: int, limit: int) -> list[LogRow]:
        if self.error is not None:
            raise self.error
        return await super().unpublished(lane, after, limit)


def relay(log: Broken, health: Health) -> WatchedRelay:
    return WatchedRelay("intake", STAGE.topic, log, MemoryBroker(4), health=health)


async def livez(service: StageService) -> httpx.Response:
    transport = httpx.ASGITransport(service.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://stage") as http:
        return await http.get("/livez")


def stage_service() -> StageService:
    return StageService(STAGE, lambda _: APIRouter(), None, None, Settings(), NoOpTracer())


@pytest.mark.parametrize("error", [KeyError("gone"), None], ids=["by an error", "without one"])
async def test_a_task_that_ended_is_told_at_livez(error: Exception | None) -> None:
    service = stage_service()
    assert (await livez(service)).status_code == 200

    async def work() -> None:
        if error is not None:
            raise error

    task = asyncio.create_task(work(), name="relay")
    service._health.watch(task)
    await asyncio.wait([task])
    told = await livez(service)
    assert told.status_code == 503
    assert set(told.json()["failed"]) == {"relay"}


async def test_a_relay_that_fails_unforeseen_is_told_after_a_while_until_it_publishes() -> None:
    clock = Clock()
    health, log = Health(60, clock), Broken()
    watched = relay(log, health)
    await watched.own([0])
    log.error = ValueError("a row that nobody can read")
    for clock.now in (0.0, 50.0):
        with pytest.raises(ValueError, match="nobody can read"):
            await watched.turn()
        watched.catch_up()
        assert health.report()["alive"] is True
    clock.now = 61.0
    assert health.report() == {"alive": False, "failed": {"relay": "ValueError for 61 s"}}
    log.error = None
    await watched.turn()
    assert health.report()["alive"] is True


async def test_a_relay_waits_for_its_database_without_harm() -> None:
    clock = Clock()
    health, log = Health(60, clock), Broken()
    watched = relay(log, health)
    await watched.own([0])
    log.error = Unavailable("gone")
    for clock.now in (0.0, 100.0, 200.0):
        with pytest.raises(Unavailable):
            await watched.turn()
        watched.catch_up()
        assert health.report()["alive"] is True


async def test_turns_of_the_relay_do_not_overlap() -> None:
    """The last turn before a stop waits for the one that is under way: their rows would be mixed."""

    class Slow(Broken):
        within = most = 0

        async def published(self, lanes: Sequence[int]) -> dict[int, Mark]:
            return dict.fromkeys(lanes, Mark(0))

        async def unpublished(self, lane: int, after: int, limit: int) -> list[LogRow]:
            self.within += 1
            self.most = max(self.most, self.within)
            await asyncio.sleep(0)
            self.within -= 1
            return []

    log = Slow()
    watched = relay(log, Health(60))
    await watched.own([0])
    first = asyncio.create_task(watched.turn())
    await asyncio.sleep(0)
    watched.catch_up()
    await asyncio.gather(first, watched.turn())
    assert log.most == 1


@pytest.mark.parametrize(
    "fault", [OSError, TimeoutError, asyncpg.InterfaceError, asyncpg.InternalClientError]
)
async def test_a_database_that_is_broken_off_ends_no_task_of_a_stage(fault: type[Exception]) -> None:
    """How far it is is told Kafka each second, also after a server died in the midst of a statement."""
    advance, commit = AsyncMock(side_effect=fault("another operation is in progress")), AsyncMock()
    service = object.__new__(StageService)
    service._loop = Mock()
    service._settled, service._subscription = Mock(advance=advance), Mock(commit=commit)
    await service._commit()
    commit.assert_awaited_once()
