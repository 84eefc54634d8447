"""Intake's HTTP edge for a tenant's exception rules: who gets which exception, and by when."""

from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, ConfigDict

from libs.events.care import Why
from libs.events.exception_rules import (
    RULES_STREAM,
    ChangeExceptionRule,
    DropExceptionRule,
    Minutes,
    Owner,
    RuleKind,
    RulesVersion,
    RuleWhich,
    Sentence,
)
from libs.runtime.edge import Edge
from libs.runtime.tokens import Claims


class PlaceRequest(BaseModel):
    """What the rule is for, the version of the rules that was looked at, and why it changes; the reason is
    kept for ever: never personal data."""

    model_config = ConfigDict(extra="forbid")

    kind: RuleKind
    which: RuleWhich | None = None
    based_on: RulesVersion
    note: Why


class RuleRequest(PlaceRequest):
    """Whose it is; minutes until it comes into the queue, and until it is overdue, since it began."""

    owner: Owner
    after_minutes: Minutes
    sla_minutes: Minutes
    next_step: Sentence | None = None


def routes(edge: Edge) -> APIRouter:
    """What intake answers under /v1/exception-rules."""
    router = APIRouter(prefix="/v1/exception-rules", tags=["exceptions"])
    editors = Annotated[Claims, Depends(edge.require("rule_editor"))]
    readers = Annotated[Claims, Depends(edge.require("viewer", "support", "operator", "rule_editor"))]
    parts_of = edge.reader(orjson.loads)

    @router.get("", summary="The tenant's own rules, by place, and their version")
    async def read(claims: readers) -> Response:
        known: dict[str, Any] = (await parts_of(claims.tenant, [RULES_STREAM])).get(RULES_STREAM, {})
        own = known.get("rules") or {"version": 0, "rules": {}}
        told = {"version": own["version"], "rules": list(own["rules"].values())}
        return Response(orjson.dumps(told), media_type="application/json")

    @router.post("", status_code=202, summary="Change a rule, or add one")
    async def change(request: Request, claims: editors, body: RuleRequest) -> Response:
        return await edge.submit(request, claims, ChangeExceptionRule.model_validate(body.model_dump()))

    @router.post("/drop", status_code=202, summary="Go back to the rule that the console brings")
    async def drop(request: Request, claims: editors, body: PlaceRequest) -> Response:
        return await edge.submit(request, claims, DropExceptionRule.model_validate(body.model_dump()))

    return router
