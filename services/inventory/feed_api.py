"""Inventory's HTTP edge for feeds: how they are read, amended and retired, their runs and their rows."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from libs.events.contract import Count, Name, NodeId, Note
from libs.events.feed_maps import TellStock
from libs.events.feeds import (
    AmendFeed,
    ApproveFeedRun,
    DefineFeed,
    FeedId,
    OpenFeedRun,
    ReportStock,
    RetireFeed,
)
from libs.runtime.edge import Edge
from libs.runtime.problems import Problem
from libs.runtime.tokens import Claims
from services.inventory.api import Item, ItemsRequest, read_item


class RunRequest(BaseModel):
    """The announcement of a full feed."""

    model_config = ConfigDict(extra="forbid")

    run_id: Name
    rows: Annotated[int, Field(strict=True, ge=0, le=10**9)]
    units: Annotated[int, Field(strict=True, ge=0, le=10**15)]
    stated_at: AwareDatetime


class FeedRequest(BaseModel):
    """How a feed is read; its name is in the path."""

    model_config = ConfigDict(extra="forbid")

    node: NodeId
    kind: str
    buffer_units: Count = 0
    buffer_percent: Annotated[int, Field(ge=0, le=100)] = 0
    stale_minutes: Annotated[int, Field(ge=1, le=525_600)] = 1440
    sellable_only: bool = False
    mapped: bool = False


class FeedChangeRequest(BaseModel):
    """What is to change of a feed; what is left out stays."""

    model_config = ConfigDict(extra="forbid")

    node: NodeId | None = None
    kind: str | None = None
    buffer_units: Count | None = None
    buffer_percent: Annotated[int, Field(ge=0, le=100)] | None = None
    stale_minutes: Annotated[int, Field(ge=1, le=525_600)] | None = None
    sellable_only: bool | None = None
    mapped: bool | None = None


class RetirementRequest(BaseModel):
    """Why a feed is retired; its name is in the path."""

    model_config = ConfigDict(extra="forbid")

    reason: Note = ""


def feed_routes(router: APIRouter, edge: Edge, keepers: Any) -> None:
    """What inventory answers about feeds, under /v1/stock."""

    @router.put("/feeds/{feed}", status_code=202, summary="Define a feed, or change it")
    async def define_feed(request: Request, claims: keepers, feed: FeedId, body: FeedRequest) -> Response:
        command = _read(DefineFeed, {"definition": {"feed": feed, **body.model_dump()}})
        return await edge.submit(request, claims, command)

    @router.patch("/feeds/{feed}", status_code=202, summary="Change of a feed what is named")
    async def amend_feed(
        request: Request, claims: keepers, feed: FeedId, body: FeedChangeRequest
    ) -> Response:
        command = _read(AmendFeed, {"feed": feed, **body.model_dump(exclude_none=True)})
        return await edge.submit(request, claims, command)

    @router.post("/feeds/{feed}/retirement", status_code=202, summary="Hear no more of a feed")
    async def retire_feed(
        request: Request, claims: keepers, feed: FeedId, body: RetirementRequest
    ) -> Response:
        return await edge.submit(request, claims, RetireFeed(feed=feed, reason=body.reason))

    @router.post("/feeds/{feed}/runs", status_code=202, summary="Announce a full feed")
    async def open_run(request: Request, claims: keepers, feed: FeedId, body: RunRequest) -> Response:
        return await edge.submit(request, claims, OpenFeedRun(feed=feed, **body.model_dump()))

    @router.post("/feeds/{feed}/runs/{run_id}/approval", status_code=202, summary="Take a run that was held")
    async def approve_run(
        request: Request,
        claims: Annotated[Claims, Depends(edge.require("operator"))],
        feed: FeedId,
        run_id: Name,
    ) -> Response:
        return await edge.submit(request, claims, ApproveFeedRun(feed=feed, run_id=run_id))

    @router.post("/feeds/{feed}/rows", status_code=202, summary="Up to 500 rows of a feed")
    async def take_rows(request: Request, claims: keepers, feed: FeedId, body: ItemsRequest) -> Response:
        rows = [_row(_named(feed, item)) for item in body.items]
        return await edge.submit_many(request, claims, rows)


def _named(feed: str, item: object) -> object:
    """A row with its feed's name, which is in the path."""
    return {"feed": feed, **item} if isinstance(item, dict) else item


def _row(told: object) -> ReportStock | TellStock | Problem:
    """A row in their words, or in ours."""
    if isinstance(told, dict) and "theirs" in told:
        return read_item(TellStock, told)
    return read_item(ReportStock, told)


def _read(kind: type[Item], told: object) -> Item:
    """What a request says, as a whole. Raises Problem 422."""
    found = read_item(kind, told)
    if isinstance(found, Problem):
        raise found
    return found
