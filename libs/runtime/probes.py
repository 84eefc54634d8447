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

_DATABASE_SECONDS = 2.0
_BROKER_SECONDS = 5.0


def add_probes(
    app: FastAPI,
    broker: KafkaBroker,
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

    app.mount("/broker", make_ping_asgi(broker, timeout=_BROKER_SECONDS))


async def answers(pool: asyncpg.Pool) -> bool:
    """Whether the database answers in time."""
    try:
        await asyncio.wait_for(pool.fetchval("SELECT 1"), _DATABASE_SECONDS)
    except Exception:
        return False
    return True
