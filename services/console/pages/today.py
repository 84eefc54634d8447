"""Today: where orders stand, what is stuck, what is late, and how far everything has come."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from services.console.standing import OPEN
from services.console.web.sessions import Session
from services.console.web.site import Site

OLDEST_SHOWN = 10


def routes(site: Site) -> APIRouter:
    """The first page, and its part that follows the log."""
    router = APIRouter(include_in_schema=False)
    reader = Annotated[Session, Depends(site.guard.require("read"))]

    @router.get("/")
    async def today(request: Request, session: reader) -> Response:
        return await draw(request, session, "today.html")

    @router.get("/parts/today")
    async def part(request: Request, session: reader) -> Response:
        return await draw(request, session, "today_part.html")

    async def draw(request: Request, session: Session, template: str) -> Response:
        found = await site.queries(session).today(session.tenant, OLDEST_SHOWN)
        return await site.page(request, session, template, found=found, stages=("held", *OPEN))

    return router
