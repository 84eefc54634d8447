"""Inventory's HTTP edge for the days that channels ask of the lots of all SKUs."""

from typing import Annotated

import orjson
from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from libs.events.channel_days import ChannelDays, DefineChannelDays
from libs.events.contract import Name
from libs.events.supply import RULES_STREAM
from libs.runtime.edge import Edge
from libs.runtime.tokens import Claims


class DaysRequest(BaseModel):
    """So many days before its last day a lot is given to the channel no more."""

    model_config = ConfigDict(extra="forbid")

    channel: Name
    shelf_days_min: Annotated[int, Field(strict=True, ge=1, le=3650)]


class ChannelsRequest(BaseModel):
    """The whole of them; a channel that is left out asks for nothing."""

    model_config = ConfigDict(extra="forbid")

    channels: Annotated[list[DaysRequest], Field(max_length=50)]


def channel_days_routes(edge: Edge) -> APIRouter:
    """What inventory answers about days that channels ask for, under /v1/stock."""
    router = APIRouter(prefix="/v1/stock/channel-days", tags=["promises"])
    parts_of = edge.reader(orjson.loads)

    @router.put("", status_code=202, summary="Set how many days lots of any SKU must last for a channel")
    async def define(
        request: Request,
        claims: Annotated[Claims, Depends(edge.require("integrator", "operator"))],
        body: ChannelsRequest,
    ) -> Response:
        channels = tuple(ChannelDays(**one.model_dump()) for one in body.channels)
        return await edge.submit(request, claims, DefineChannelDays(channels=channels))

    @router.get("", summary="How many days lots of any SKU must last for which channel")
    async def read(
        claims: Annotated[Claims, Depends(edge.require("viewer", "support", "operator", "integrator"))],
    ) -> Response:
        known = (await parts_of(claims.tenant, [RULES_STREAM])).get(RULES_STREAM, {})
        days = sorted(known.get("days", {}).items())
        told = {
            "version": known.get("days_version", 0),
            "channels": [{"channel": channel, "shelf_days_min": least} for channel, least in days],
        }
        return Response(orjson.dumps(told), media_type="application/json")

    return router
