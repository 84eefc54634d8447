"""Inventory's HTTP edge for a feed's map: sent in items, read in pages, and what it lacks."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response

from libs.events.contract import Sku
from libs.events.feed_maps import MapFeedSku, TheirSku
from libs.events.feeds import FeedId
from libs.runtime.edge import MANY_MAX, Edge
from libs.runtime.problems import Problem
from libs.runtime.tokens import Claims
from services.inventory import feed_map_book
from services.inventory.api import ItemsRequest, read_item
from services.inventory.basket_api import as_json
from services.inventory.unknown_api import must_be_feed


class _Entry(MapFeedSku):
    """An entry of a request: that theirs is none of ours is to be said."""

    sku: Sku | None


def feed_map_routes(router: APIRouter, edge: Edge, keepers: Any) -> None:
    """What inventory answers about feeds' maps, under /v1/stock."""
    readers = Annotated[Claims, Depends(edge.require("viewer", "support", "operator", "integrator"))]

    @router.post("/feeds/{feed}/map", status_code=202, summary="Up to 500 entries of a feed's map")
    async def map_skus(request: Request, claims: keepers, feed: FeedId, body: ItemsRequest) -> Response:
        return await edge.submit_many(request, claims, [_command(feed, item) for item in body.items])

    @router.get("/feeds/{feed}/map", summary="Entries of a feed's map, by their SKU")
    async def read_map(
        claims: readers,
        feed: FeedId,
        theirs: Annotated[TheirSku | None, Query(description="Only the entry of this SKU of theirs.")] = None,
        limit: Annotated[int, Query(ge=1, le=MANY_MAX)] = 100,
        after: Annotated[str, Query(description="The `next` of the page before.")] = "",
    ) -> Response:
        async with edge.reading() as connection:
            await must_be_feed(connection, claims.tenant, feed)
            if theirs is not None:
                found = await feed_map_book.entry(connection, claims.tenant, feed, theirs)
            else:
                found = await feed_map_book.entries(connection, claims.tenant, feed, after, limit)
        return as_json({"feed": feed, "skus": found, "next": _next(found, limit)})

    @router.get("/feeds/{feed}/map/summary", summary="How large a feed's map is")
    async def read_summary(claims: readers, feed: FeedId) -> Response:
        async with edge.reading() as connection:
            await must_be_feed(connection, claims.tenant, feed)
            found = await feed_map_book.summary(connection, claims.tenant, feed)
        return as_json({"feed": feed, **found})

    @router.get("/feeds/{feed}/unmapped", summary="SKUs that a feed's rows name and its map lacks")
    async def read_unmapped(
        claims: readers,
        feed: FeedId,
        limit: Annotated[int, Query(ge=1, le=MANY_MAX)] = 100,
        after: Annotated[str, Query(description="The `next` of the page before.")] = "",
    ) -> Response:
        async with edge.reading() as connection:
            await must_be_feed(connection, claims.tenant, feed)
            found = await feed_map_book.unmapped(connection, claims.tenant, feed, after, limit)
        return as_json({"feed": feed, "unmapped": found, "next": _next(found, limit)})


def _command(feed: str, item: object) -> MapFeedSku | Problem:
    """An entry as a command; the feed is in the path."""
    read = read_item(_Entry, {"feed": feed, **item} if isinstance(item, dict) else item)
    return read if isinstance(read, Problem) else MapFeedSku.model_validate(read.model_dump())


def _next(found: list[dict[str, Any]], limit: int) -> str | None:
    return found[-1]["theirs"] if len(found) == limit else None
