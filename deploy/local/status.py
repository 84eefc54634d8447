"""How each program of the local stack does."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

from aiokafka.errors import KafkaError

from deploy.local import kafka, postgres, programs, replicas, stack
from libs.runtime.settings import settings
from libs.runtime.topics import count_lag


@dataclass(frozen=True, slots=True)
class ProgramStatus:
    """`health` is ready, halted (a lane waits for a person), not ready, died, stopped, or elsewhere (not ours
    to run). `lag_records` is the service's, told with its first process; None where there is nothing to lag
    behind. `halted` names lanes and why."""

    name: str
    health: str
    pid: int | None
    since: float | None
    lag_records: int | None
    memory_mb: float | None
    lanes: list[int] | None = None
    halted: dict[str, str] = field(default_factory=dict)


def read_status() -> list[ProgramStatus]:
    """All programs, in the order in which they come up. Blocks for a second or two."""
    place = stack.home()
    broker_runs = programs.find(place, kafka.NAME) is not None or stack.runs_elsewhere(kafka.NAME)
    lags = asyncio.run(_lags()) if broker_runs else {}
    return [_status(name, lags) for name in stack.names()]


def _status(name: str, lags: dict[str, int | None]) -> ProgramStatus:
    place = stack.home()
    if stack.runs_elsewhere(name):
        return ProgramStatus(name, "elsewhere", None, None, None, None)
    running = programs.find(place, name)
    if running is None:
        health = "died" if programs.was_started(place, name) else "stopped"
        return ProgramStatus(name, health, None, None, lags.get(name), None)
    memory = round(programs.memory_mb(running.pid), 1)
    said = _said(name)
    halted = dict(said.get("halted") or {})
    health = ("halted" if halted else "ready") if said.get("ready") else "not ready"
    lag = lags.get(name)
    return ProgramStatus(name, health, running.pid, running.since, lag, memory, said.get("lanes"), halted)


def _said(name: str) -> dict[str, Any]:
    """What a service says of itself; of the others, whether they listen."""
    if replicas.service_of(name):
        return stack.readiness(name)
    chosen = settings()
    listen = {
        kafka.NAME: kafka.port(chosen),
        postgres.NAME: chosen.postgres_port,
        stack.SINK: chosen.smtp_port,
    }[name]
    return {"ready": listen is not None and programs.port_open(listen)}


async def _lags() -> dict[str, int | None]:
    """Lag by service; empty when the broker does not answer."""
    groups = {f"orderlog.{name}": name for name in replicas.SERVICES}
    try:
        lags = await asyncio.wait_for(count_lag(settings(), groups), timeout=10.0)
    except (KafkaError, OSError, TimeoutError):
        return {}
    return {groups[group]: lag for group, lag in lags.items()}
