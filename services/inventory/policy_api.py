"""Inventory's HTTP edge for who gets what is scarce: a tenant's reservation policies."""

from typing import Annotated, Any, Literal

import orjson
from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from libs.events.contract import Name
from libs.events.policy import (
    POLICIES_STREAM,
    DefineReservationPolicies,
    PolicyName,
    PolicyRule,
    PriorityClass,
    Rank,
    StepDays,
)
from libs.runtime.edge import Edge
from libs.runtime.tokens import Claims


class ClassRequest(BaseModel):
    """Orders that are served alike. A smaller rank is served first; an order of no class has 50."""

    model_config = ConfigDict(extra="forbid")

    name: Name
    rank: Rank
    step_days: StepDays | None = None


class RuleRequest(BaseModel):
    """Which orders it is for, and what holds for them; what is left out of the first three fits any."""

    model_config = ConfigDict(extra="forbid")

    channel: Name | None = None
    order_type: Name | None = None
    service: Name | None = None
    priority: Name | None = None
    """Name of a class."""
    policy: PolicyName = "together"
    wait_days: Annotated[int, Field(strict=True, ge=1, le=3650)] | None = None
    then: Annotated[str, Field(pattern="^(cancel|ship)$")] = "cancel"
    reallocates: bool = False
    substitutes: Literal[True] | None = None
    """Whether a line that lacks may be replaced by a substitute of its SKU."""
    baskets_wait: Literal[True] | None = None
    """Whether a basket that lacks units is held where what is to come covers them."""


class PoliciesRequest(BaseModel):
    """The whole of them; what is left out is not kept."""

    model_config = ConfigDict(extra="forbid")

    classes: Annotated[list[ClassRequest], Field(max_length=99)] = []
    rules: Annotated[list[RuleRequest], Field(max_length=500)] = []


def policy_routes(edge: Edge) -> APIRouter:
    """What inventory answers about policies, under /v1/stock."""
    router = APIRouter(prefix="/v1/stock/policies", tags=["promises"])
    parts_of = edge.reader(orjson.loads)

    @router.put("", status_code=202, summary="Replace the policies of who gets what is scarce")
    async def define(
        request: Request,
        claims: Annotated[Claims, Depends(edge.require("operator"))],
        body: PoliciesRequest,
    ) -> Response:
        command = DefineReservationPolicies(
            classes=tuple(PriorityClass(**one.model_dump()) for one in body.classes),
            rules=tuple(PolicyRule.model_validate(one.model_dump()) for one in body.rules),
        )
        return await edge.submit(request, claims, command)

    @router.get("", summary="The policies that hold for orders accepted now")
    async def read(
        claims: Annotated[Claims, Depends(edge.require("viewer", "support", "operator", "integrator"))],
    ) -> Response:
        known: dict[str, Any] = (await parts_of(claims.tenant, [POLICIES_STREAM])).get(POLICIES_STREAM, {})
        told = {"version": known.get("version", 0)}
        told |= {name: known.get(name, []) for name in ("classes", "rules")}
        return Response(orjson.dumps(told), media_type="application/json")

    return router
