"""Inventory's HTTP edge for baskets: what of one could be promised and by when, and holding one."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import uuid4

import orjson
from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, ConfigDict, Field, model_validator

from libs.events.contract import Name, NodeId, Note, PromiseId, Quantity, Sku
from libs.events.ids import command_id
from libs.events.order import Destination
from libs.events.places import STANDARD
from libs.events.policy import POLICIES_STREAM
from libs.events.promise import (
    HOLD_SECONDS_MAX,
    HoldStock,
    ReleasePromise,
    Wanted,
)
from libs.events.record import record
from libs.events.routing import NODES_STREAM
from libs.runtime.edge import Edge
from libs.runtime.problems import Problem
from libs.runtime.routers import joined
from libs.runtime.tokens import Claims
from services.inventory.availability import (
    answer,
    answer_dated,
    parts_named,
    read_places,
    read_policies,
    read_recipe,
    read_sku,
    read_supply,
)
from services.inventory.bundles import LINE_UNITS_MAX, in_parts
from services.inventory.dates import Question
from services.inventory.holding import summed
from services.inventory.places import NO_PLACES
from services.inventory.policies import NO_POLICIES, policy_of
from services.inventory.stock import SkuPart
from services.inventory.supplies import SUPPLY_STREAM

BASKET_LINES_MAX = 1000
_RECIPE_SECONDS = 1.0
"""How old a recipe may be that another process changed. The decision refuses a bundle that was not known."""
PartsOf = Callable[[str, Iterable[str]], Awaitable[dict[str, SkuPart]]]
"""Parts of a tenant's SKUs as they are committed now, by stream."""


class LineRequest(BaseModel):
    """So many units of a SKU."""

    model_config = ConfigDict(extra="forbid")

    sku: Sku
    quantity: Quantity


class DestinationRequest(Destination):
    """Where it would be sent, as coarse as a date needs it."""

    model_config = ConfigDict(frozen=True, extra="forbid")


@record
class OrderTraits:
    """What policies look at."""

    channel: str | None
    order_type: str | None
    service: str | None


class BasketRequest(BaseModel):
    """A basket to ask about; with a destination, also when it can be there."""

    model_config = ConfigDict(extra="forbid")

    lines: Annotated[list[LineRequest], Field(min_length=1, max_length=1000)]
    channel: Name | None = None
    destination: DestinationRequest | None = None
    service: Name = STANDARD
    order_type: Name | None = None
    """What its order would say of itself: with channel and service, it chooses the class by the policies."""
    node: NodeId | None = None
    """What could be promised of this node's units alone: to be collected there, say."""

    @model_validator(mode="after")
    def _dates_are_of_all_nodes(self) -> "BasketRequest":
        if self.node is not None and self.destination is not None:
            raise ValueError("a basket is asked about for a node or for a destination, not for both")
        return self

    def asks(self) -> "OrderTraits":
        """By what an order of it would be given its class: the service as it would name it."""
        service = self.service if "service" in self.model_fields_set else None
        return OrderTraits(self.channel, self.order_type, service)


class HoldRequest(BaseModel):
    """A basket to set aside until its order comes."""

    model_config = ConfigDict(extra="forbid")

    lines: Annotated[list[LineRequest], Field(min_length=1, max_length=1000)]
    ttl_seconds: Annotated[int, Field(strict=True, ge=1, le=HOLD_SECONDS_MAX)] = 900
    channel: Name | None = None
    promise_id: PromiseId | None = None
    """The shop's own id of the basket; without one one is made: of the Idempotency-Key, if given."""
    destination: DestinationRequest | None = None
    """With it, the promise has a date."""
    service: Name | None = None
    order_type: Name | None = None


class ReleaseRequest(BaseModel):
    """Why; never personal data, as it is kept for ever."""

    model_config = ConfigDict(extra="forbid")

    reason: Note = ""


def basket_routes(edge: Edge) -> APIRouter:
    """What inventory answers under /v1/promises and /v1/availability."""
    recipes = edge.reader(read_recipe, _RECIPE_SECONDS)
    return joined(_promises(edge, recipes), _availability(edge, edge.reader(read_sku)))


def _promises(edge: Edge, parts_of: PartsOf) -> APIRouter:
    router = APIRouter(prefix="/v1/promises", tags=["promises"])
    shops = Annotated[Claims, Depends(edge.require("integrator", "operator"))]

    @router.post("", status_code=202, summary="Hold a basket for an order that is yet to come")
    async def hold_stock(request: Request, claims: shops, body: HoldRequest) -> Response:
        key = request.headers.get("idempotency-key")
        made = command_id(claims.tenant, f"promise/{key}") if key else uuid4()
        command = HoldStock(
            promise_id=body.promise_id or str(made),
            lines=basket(body.lines, await _known(claims, body.lines, parts_of)),
            ttl_seconds=body.ttl_seconds,
            channel=body.channel,
            destination=body.destination and Destination(**body.destination.model_dump()),
            service=body.service,
            order_type=body.order_type,
        )
        return await edge.submit(request, claims, command)

    @router.post("/{promise_id}/release", status_code=202, summary="Give a held basket up")
    async def release_promise(
        request: Request, claims: shops, promise_id: PromiseId, body: ReleaseRequest | None = None
    ) -> Response:
        reason = body.reason if body else ""
        return await edge.submit(request, claims, ReleasePromise(promise_id=promise_id, reason=reason))

    return router


def _availability(edge: Edge, parts_of: PartsOf) -> APIRouter:
    router = APIRouter(prefix="/v1/availability", tags=["promises"])
    shops = Annotated[Claims, Depends(edge.require("integrator", "operator", "support"))]
    supplies_of, places_of = edge.reader(read_supply), edge.reader(read_places)
    policies_of = edge.reader(read_policies, _RECIPE_SECONDS)

    @router.post("", summary="What of a basket could be promised now; nothing is claimed")
    async def look(claims: shops, body: BasketRequest) -> Response:
        wanted = tuple(Wanted(sku=line.sku, quantity=line.quantity) for line in body.lines)
        skus = await _known(claims, body.lines, parts_of)
        if more := parts_named(skus.values()) - skus.keys():
            found = await parts_of(claims.tenant, {f"sku/{sku}" for sku in more})
            skus |= {stream.removeprefix("sku/"): part for stream, part in found.items()}
        policies = (await policies_of(claims.tenant, {POLICIES_STREAM})).get(POLICIES_STREAM, NO_POLICIES)
        policy = policy_of(policies, body.asks())
        if body.destination is None:
            return as_json(answer(wanted, body.channel, skus, datetime.now(UTC), policy, body.node))
        of_supply, places = await asyncio.gather(
            supplies_of(claims.tenant, {SUPPLY_STREAM + sku for sku in skus}),
            places_of(claims.tenant, {NODES_STREAM}),
        )
        supplies = {stream.removeprefix(SUPPLY_STREAM): part for stream, part in of_supply.items()}
        known = places.get(NODES_STREAM, NO_PLACES)
        question = Question(body.destination, body.service, datetime.now(UTC), known, policy)
        return as_json(answer_dated(wanted, body.channel, skus, supplies, question))

    return router


async def _known(claims: Claims, lines: Iterable[LineRequest], parts_of: PartsOf) -> dict[str, SkuPart]:
    """What is known of the SKUs that a basket names."""
    found = await parts_of(claims.tenant, {f"sku/{line.sku}" for line in lines})
    return {stream.removeprefix("sku/"): part for stream, part in found.items()}


def basket(lines: Sequence[LineRequest], skus: Mapping[str, SkuPart]) -> tuple[Wanted, ...]:
    """The lines of a basket, of bundles those of their parts, summed. Raises Problem 422."""
    wanted = tuple(Wanted(sku=line.sku, quantity=line.quantity) for line in lines)
    if not parts_named(skus.values()):
        return wanted
    sums = in_parts(summed(wanted), skus)
    if len(sums) > BASKET_LINES_MAX or max(sums.values()) > LINE_UNITS_MAX:
        raise Problem(
            422,
            "too_many_parts",
            "The basket's bundles come to too much",
            f"They come to {len(sums)} SKUs, at most {BASKET_LINES_MAX} are possible; of one, at most "
            f"{LINE_UNITS_MAX} units.",
            "Hold it as several baskets.",
        )
    return tuple(Wanted(sku=sku, quantity=quantity) for sku, quantity in sums.items())


def as_json(document: dict[str, Any]) -> Response:
    """An answer with moments in it."""
    return Response(orjson.dumps(document, option=orjson.OPT_UTC_Z), media_type="application/json")
