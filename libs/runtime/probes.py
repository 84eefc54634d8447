"""What an orchestrator asks of every process: alive, ready, metrics, and whether the broker answers."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import asyncpg
from fastapi import FastAPI
from fastapi.responses import JSONResponse, Response
from faststream.asgi import make_ping_asgi
from faststream.kafka import KafkaBroker
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from libs.runtime.settings import Settings


def add_probes(
    app: FastAPI,
    broker: KafkaBroker,
    settings: Settings,
    *,
    liveness: Callable[[], Mapping[str, Any]],
    readiness: Callable[[], Awaitable[Mapping[str, Any]]],
) -> None:
    """Routes /livez (503 unless `alive`), /readyz (503 unless `ready`), /metrics and /broker."""

    @app.get("/livez", include_in_schema=False)
    async def livez() -> Response:
        state = liveness()
        return JSONResponse(state, 200 if state["alive"] else 503)

    @app.get("/readyz", include_in_schema=False)
    async def readyz() -> Response:
        state = await readiness()
        return JSONResponse(state, 200 if state["ready"] else 503)

    @app.get("/metrics", include_in_schema=False)
    async def metrics() -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    app.mount("/broker", make_ping_asgi(broker, timeout=settings.probe_seconds_max))


async def answers(pool: asyncpg.Pool, seconds: float) -> bool:
    """Whether the database answers within so long."""
    try:
        await asyncio.wait_for(pool.fetchval("SELECT 1"), seconds)
    except Exception:
        return False
    return True
