"""What every stage's edge offers besides its trade: its commands by type, outcomes, parked keys."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Any
from uuid import UUID

import orjson
from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from libs.events.catalogue import COMMANDS, problems
from libs.events.contract import Command
from libs.runtime.edge import MANY_MAX, Edge
from libs.runtime.postgres_log import PostgresLog
from libs.runtime.problems import Problem
from libs.runtime.tokens import Claims


class TypedCommand(BaseModel):
    """A command by its type; `id` is its idempotency key (a UUID)."""

    model_config = ConfigDict(extra="forbid")

    type: str = Field(max_length=128)
    id: UUID | None = None
    data: dict[str, Any]


class TypedCommands(BaseModel):
    model_config = ConfigDict(extra="forbid")

    commands: Annotated[list[TypedCommand], Field(min_length=1, max_length=MANY_MAX)]


class ParkedKey(BaseModel):
    """What to do with a parked key, and why."""

    model_config = ConfigDict(extra="forbid")

    key: str = Field(min_length=1, max_length=600, pattern=r"^[^\x00]*$")
    note: str = Field(default="", max_length=500, pattern=r"^[^\x00]*$")


def routes(stage: str, edge: Edge, log: PostgresLog, wake: Mapping[str, Any]) -> APIRouter:
    """Routes of `/v1/commands` and `/v1/parked`. `wake["work"]()` makes the loop look for replays at once."""
    router = APIRouter(prefix="/v1")
    by_type = {contract.TYPE: contract for contract in COMMANDS[stage]}
    sends = Annotated[Claims, Depends(edge.require("integrator", "operator"))]
    repairs = Annotated[Claims, Depends(edge.require("operator"))]

    @router.post("/commands", summary="Send up to 500 of this stage's commands by type")
    async def send(request: Request, claims: sends, body: TypedCommands) -> Response:
        parsed = [_parse(by_type, stage, typed) for typed in body.commands]
        return await edge.submit_many(request, claims, parsed, [typed.id for typed in body.commands])

    @router.get("/commands/{command_id}", summary="What became of a command")
    async def look_up(claims: sends, command_id: UUID) -> Response:
        return await edge.look_up(claims, command_id)

    @router.get("/parked", summary="Records that wait for a person, oldest first")
    async def parked(claims: repairs, all_states: bool = False, limit: int = 200) -> Response:
        tenant = None if claims.role == "admin" else claims.tenant
        rows = await log.parked(open_only=not all_states, limit=min(max(limit, 1), 1000), tenant=tenant)
        seen = [asdict(row) for row in rows]
        return Response(orjson.dumps({"parked": seen}), media_type="application/json")

    @router.post("/parked/replay", summary="Decide a parked key's records again, in order")
    async def replay(claims: repairs, body: ParkedKey) -> Response:
        return await resolve(claims, body, replay=True)

    @router.post("/parked/discard", summary="Discard a key's first parked record; those behind it go on")
    async def discard(claims: repairs, body: ParkedKey) -> Response:
        return await resolve(claims, body, replay=False)

    async def resolve(claims: Claims, body: ParkedKey, *, replay: bool) -> Response:
        if claims.role != "admin" and not body.key.startswith(f"{claims.tenant}/"):
            raise Problem(
                403,
                "forbidden",
                "Not your key",
                "The key belongs to another tenant, or to none.",
                "Ask an admin.",
            )
        count = await log.resolve_parked(body.key, replay=replay, actor=claims.actor, note=body.note)
        if not count:
            raise Problem(
                404,
                "not_parked",
                "Nothing is parked there",
                "No record is parked under this key.",
                "List what is parked: GET /v1/parked, or `orderlog parked list`.",
            )
        wake["work"]()
        return Response(orjson.dumps({"key": body.key, "records": count}), 202, media_type="application/json")

    return router


def _parse(by_type: Mapping[str, type[Command]], stage: str, typed: TypedCommand) -> Command | Problem:
    contract = by_type.get(typed.type)
    if contract is None:
        return Problem(
            422,
            "unknown_type",
            "Unknown command",
            f"{typed.type!r} is no command of {stage}.",
            f"Its commands are {', '.join(sorted(by_type))}.",
        )
    try:
        return contract.model_validate(typed.data)
    except ValidationError as error:
        found = [asdict(problem) for problem in problems(error)[:20]]
        return Problem(
            422,
            "invalid_request",
            "The command is not valid",
            f"{found[0]['where']}: {found[0]['what']}",
            "Correct the fields named in errors; the schemas are in contracts/schemas.",
            found,
        )
