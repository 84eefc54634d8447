"""Inventory's HTTP edge: warehouses report deliveries, operations correct it, and whoever
may look asks what there was at any moment, as was known then or is known now."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal, TypeVar

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import AwareDatetime, BaseModel, ConfigDict, Discriminator, Field, Tag, ValidationError

from libs.events.backorders import Backorders
from libs.events.catalogue import problems
from libs.events.contract import Count, Name, NodeId, Sku
from libs.events.inventory import AdjustStock, ReceiveStock
from libs.events.policy import Rank
from libs.events.promise import (
    ChannelTerms,
    DefinePromiseTerms,
    ReorderHold,
    Share,
)
from libs.runtime.edge import MANY_MAX, Edge
from libs.runtime.problems import Problem
from libs.runtime.routers import joined
from libs.runtime.tokens import Claims
from services.inventory import bundles_now, past, store
from services.inventory.basket_api import as_json
from services.inventory.lots_past import lots_then
from services.inventory.past import Asked, Stood
from services.inventory.unknown_api import must_be_node

LIMIT_MAX = 200
POINTS_MAX = 400
STEPS = {"hour": timedelta(hours=1), "day": timedelta(days=1), "week": timedelta(weeks=1)}
At = Annotated[datetime | None, Query(description="The moment asked about; now if left out.")]
KnownAt = Annotated[
    datetime | None,
    Query(description="Only what was known by then counts; left out, also what was told since."),
]
Node = Annotated[NodeId | None, Query(description="Only this node's buckets; totals are the network's.")]


class ItemsRequest(BaseModel):
    """Up to 500 items, each as it would be sent alone, and answered by itself."""

    model_config = ConfigDict(extra="forbid")

    items: Annotated[list[Any], Field(min_length=1, max_length=MANY_MAX)]


def one_or_many(body: object) -> str:
    """So that a mistake is reported against the shape that was meant."""
    many = isinstance(body, ItemsRequest) or (isinstance(body, dict) and "items" in body)
    return "items" if many else "item"


Item = TypeVar("Item", bound=BaseModel)
_Items = Annotated[ItemsRequest, Tag("items")]
Receipts = Annotated[Annotated[ReceiveStock, Tag("item")] | _Items, Discriminator(one_or_many)]
Adjustments = Annotated[Annotated[AdjustStock, Tag("item")] | _Items, Discriminator(one_or_many)]


class ShareRequest(BaseModel):
    """Free units that are kept for one channel."""

    model_config = ConfigDict(extra="forbid")

    channel: Name
    units: Annotated[int, Field(strict=True, ge=1, le=1_000_000_000)]
    lends_to: Annotated[tuple[Name, ...], Field(max_length=100)] = ()


class ChannelTermsRequest(BaseModel):
    """How a SKU is sold in one channel."""

    model_config = ConfigDict(extra="forbid")

    channel: Name
    buffer: Count = 0
    sold_out_at: Count = 0
    shown_max: Annotated[int, Field(strict=True, ge=1, le=1_000_000_000)] | None = None
    shelf_days_min: Annotated[int, Field(strict=True, ge=0, le=3650)] | None = None
    """0: none, whatever the channel asks of all SKUs."""


class ReorderRequest(BaseModel):
    """Free units below which only orders of a rank up to `rank_max` are promised any."""

    model_config = ConfigDict(extra="forbid")

    point: Annotated[int, Field(strict=True, ge=1, le=1_000_000_000)]
    rank_max: Rank


class ChannelBackordersRequest(BaseModel):
    """Units that orders of one channel may wait for at most."""

    model_config = ConfigDict(extra="forbid")

    channel: Name
    units_max: Count


class BackordersRequest(BaseModel):
    """How many units may be waited for beyond the stock, and when; what is left out does not limit."""

    model_config = ConfigDict(extra="forbid")

    units_max: Count | None = None
    inbound: bool = False
    channels: Annotated[list[ChannelBackordersRequest], Field(max_length=100)] = []
    opens_at: AwareDatetime | None = None
    closes_at: AwareDatetime | None = None


class TermsRequest(BaseModel):
    """The whole of a SKU's terms; what is left out is not kept."""

    model_config = ConfigDict(extra="forbid")

    safety_stock: Count = 0
    shares: Annotated[list[ShareRequest], Field(max_length=100)] = []
    channels: Annotated[list[ChannelTermsRequest], Field(max_length=100)] = []
    low_at: Count | None = None
    recovered_at: Count | None = None
    reorder: ReorderRequest | None = None
    backorders: BackordersRequest | None = None


def routes(edge: Edge) -> APIRouter:
    """What inventory answers under /v1."""
    return joined(_stock(edge), _terms(edge))


def _terms(edge: Edge) -> APIRouter:
    router = APIRouter(prefix="/v1/promise-terms", tags=["promises"])
    planners = Annotated[Claims, Depends(edge.require("integrator", "operator"))]

    @router.put("/{sku}", status_code=202, summary="Set what of a SKU is promised to whom")
    async def define_terms(request: Request, claims: planners, sku: Sku, body: TermsRequest) -> Response:
        shares = tuple(
            Share(channel=share.channel, units=share.units, lends_to=share.lends_to) for share in body.shares
        )
        held = body.reorder and ReorderHold(point=body.reorder.point, rank_max=body.reorder.rank_max)
        command = DefinePromiseTerms(
            sku=sku,
            safety_stock=body.safety_stock,
            shares=shares,
            channels=tuple(ChannelTerms(**one.model_dump()) for one in body.channels),
            low_at=body.low_at,
            recovered_at=body.recovered_at,
            reorder=held,
            backorders=body.backorders and Backorders.model_validate(body.backorders.model_dump()),
        )
        return await edge.submit(request, claims, command)

    return router


def _stock(edge: Edge) -> APIRouter:
    router = APIRouter(prefix="/v1/stock", tags=["stock"])
    keepers = Annotated[Claims, Depends(edge.require("integrator", "operator"))]

    @router.post("/receipts", status_code=202, summary="Receive one delivery of a SKU, or up to 500")
    async def receive_stock(request: Request, claims: keepers, body: Receipts) -> Response:
        if isinstance(body, ReceiveStock):
            return await edge.submit(request, claims, body)
        return await edge.submit_many(request, claims, [read_item(ReceiveStock, item) for item in body.items])

    @router.post("/adjustments", status_code=202, summary="Correct what is on hand of a SKU, or of up to 500")
    async def adjust_stock(request: Request, claims: keepers, body: Adjustments) -> Response:
        if isinstance(body, AdjustStock):
            return await edge.submit(request, claims, body)
        return await edge.submit_many(request, claims, [read_item(AdjustStock, item) for item in body.items])

    _past_routes(router, edge)
    return router


def _past_routes(router: APIRouter, edge: Edge) -> None:
    readers = Annotated[Claims, Depends(edge.require("viewer", "support", "operator", "integrator"))]

    @router.get("", summary="What there was of each SKU at a moment, as known at another")
    async def stock_then(
        claims: readers,
        at: At = None,
        known_at: KnownAt = None,
        node: Node = None,
        limit: Annotated[int, Query(ge=1, le=LIMIT_MAX, description="SKUs of a page.")] = 50,
        after: Annotated[Sku | None, Query(description="The `next` of the page before.")] = None,
    ) -> Response:
        moment, known = _moments(at, known_at)
        async with edge.reading() as connection:
            now = at is None and known_at is None
            if now and node is None:
                found = await bundles_now.listed(connection, claims.tenant, after or "", limit + 1)
            else:
                found = await _moved(connection, claims.tenant, node, after, limit + 1)
            asked = [Asked(sku, moment, known) for sku in found[:limit]]
            stood = await store.as_of(connection, claims.tenant, asked)
            stood = await store.with_terms(connection, claims.tenant, stood)
            stood = await store.with_lots(connection, claims.tenant, stood) if now else stood
            told = [past.document(one, node) for one in stood]
            if now and node is None:
                told = await bundles_now.with_bundles(connection, claims.tenant, told, moment)
        following = found[limit - 1] if len(found) > limit else None
        return as_json({"stock": told, "next": following})

    @router.get("/{sku}", summary="What there was of a SKU at a moment, as known at another")
    async def sku_then(
        claims: readers, sku: Sku, at: At = None, known_at: KnownAt = None, node: Node = None
    ) -> Response:
        asked, now = [Asked(sku, *_moments(at, known_at))], at is None and known_at is None
        (stood,) = await _stood(edge, claims, asked, now)
        told = [past.document(stood, node)]
        async with edge.reading() as connection:
            lots = await lots_then(connection, claims.tenant, stood, node)
            if now and node is None:
                told = await bundles_now.with_bundles(connection, claims.tenant, told, asked[0].at)
        return as_json(told[0] | ({} if lots is None else {"lots": lots}))

    @router.get("/{sku}/series", summary="What there was of a SKU from one moment to another, at equal steps")
    async def series(
        claims: readers,
        sku: Sku,
        since: Annotated[datetime, Query(alias="from", description="The first point.")],
        until: Annotated[datetime | None, Query(alias="to", description="The last; now if left out.")] = None,
        step: Literal["hour", "day", "week"] = "day",
        known_at: KnownAt = None,
        as_known_then: Annotated[
            bool, Query(description="Each point as known at its own moment, not as corrected since.")
        ] = False,
    ) -> Response:
        last, known = _moments(until, known_at)
        first = _utc("from", since)
        points = (last - first) // STEPS[step] + 1
        if not 1 <= points <= POINTS_MAX:
            raise Problem(
                422,
                "invalid_range",
                "Too many points, or none",
                f"`from` to `to` by the {step} are {max(points, 0)} points; 1 to {POINTS_MAX} are allowed.",
                "Take a larger step or a shorter time; `from` is not after `to`.",
            )
        moments = [first + STEPS[step] * number for number in range(points)]
        asked = [Asked(sku, moment, moment if as_known_then else known) for moment in moments]
        stood = await _stood(edge, claims, asked)
        shown = [{"at": one.asked.at} | past.totals(one) for one in stood]
        return as_json({"sku": sku, "known_at": known, "as_known_then": as_known_then, "points": shown})


async def _moved(connection: Any, tenant: str, node: str | None, after: str | None, limit: int) -> list[str]:
    """SKUs that ever moved, at the node where one is named. Raises Problem 404: nobody knows the node."""
    found = await store.skus(connection, tenant, node, after or "", limit)
    if node is not None and not found and after is None:
        await must_be_node(connection, tenant, node)
    return found


async def _stood(edge: Edge, claims: Claims, asked: list[Asked], now: bool = False) -> list[Stood]:
    """Answers to questions about one SKU; `now`, about this moment. Raises Problem 404."""
    async with edge.reading() as connection:
        named = [asked[0].sku]
        if await store.has_moved(connection, claims.tenant, *named) or (
            now and await bundles_now.among(connection, claims.tenant, named)
        ):
            stood = await store.as_of(connection, claims.tenant, asked)
            stood = await store.with_terms(connection, claims.tenant, stood)
            return await store.with_lots(connection, claims.tenant, stood) if now else stood
    raise Problem(
        404,
        "unknown_sku",
        "No such SKU",
        f"No unit of SKU {asked[0].sku} ever moved for your tenant.",
        "Check its spelling (case matters), or list what there is: `orderlog stock list` (GET /v1/stock).",
    )


def _moments(at: datetime | None, known_at: datetime | None) -> tuple[datetime, datetime | None]:
    """The moment asked about and by when it must have been known. Left out: what was known then, then."""
    known = None if known_at is None else _utc("known_at", known_at)
    if at is not None:
        return _utc("at", at), known
    return known or datetime.now(UTC), known


def _utc(name: str, moment: datetime) -> datetime:
    """UTC; a date, or a time without a zone, is taken as UTC. Raises Problem 422 for what is to come."""
    utc = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    if utc.year >= 1900 and utc <= datetime.now(UTC) + timedelta(seconds=60):
        return utc
    raise Problem(
        422,
        "invalid_time",
        "That is not a moment of the past",
        f"`{name}` is {utc.isoformat()}: before the year 1900, or still to come.",
        "Send a date or a time as in RFC 3339, e.g. 2026-03-02 or 2026-03-02T09:00:00Z.",
    )


def read_item(kind: type[Item], item: object) -> Item | Problem:
    """One item as a command, or whatever it is to be, or what is wrong with it, without the values."""
    try:
        return kind.model_validate(item)
    except ValidationError as error:
        found = [{"where": problem.where, "what": problem.what} for problem in problems(error)]
        return Problem(
            422,
            "invalid_item",
            "The item is not valid",
            f"{len(found)} field(s) are not as documented; the first is {found[0]['where']}.",
            "Correct the fields named in errors and send this item again; the others stand.",
            found[:50],
        )
