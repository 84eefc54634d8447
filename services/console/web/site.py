"""What a page's module is given: who asks, what to read, how to change something, how to draw.

    def routes(site: Site) -> APIRouter:
        router = site.router()
        reader = Annotated[Session, Depends(site.guard.require("read"))]

        @router.get("/stock")
        async def stock(request: Request, session: reader) -> Response:
            rows = await site.queries(session).stock(session.tenant, None, None, None, 100)
            return await site.page(request, session, "stock.html", rows=rows)

A part that follows the log is a template of its own that the page includes, and a route that draws it alone.
"""

from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.responses import StreamingResponse

from libs.runtime.settings import Settings
from services.console.contacts import Contacts
from services.console.history import History
from services.console.queries import Queries
from services.console.saved_views import SavedViews
from services.console.web.actions import Actions
from services.console.web.feed import Feed
from services.console.web.freshness import Freshness
from services.console.web.guard import Guard
from services.console.web.looks import Looks
from services.console.web.rebuilds import Rebuilds
from services.console.web.sessions import Session
from services.console.web.shell import Shell
from services.console.web.stages import Stages

Position = Annotated[int | None, Query(ge=0, lt=2**63)]


@dataclass(frozen=True, slots=True)
class AboutOrders:
    """What the orders' pages read besides the read models."""

    contacts: Contacts
    history: History
    views: SavedViews
    looks: Looks


@dataclass(frozen=True, slots=True)
class Site:
    """All of it, of one process."""

    settings: Settings
    everything: Queries
    guard: Guard
    shell: Shell
    freshness: Freshness
    feed: Feed
    actions: Actions
    about: AboutOrders
    stages: Stages
    rebuilds: Rebuilds

    def router(self) -> APIRouter:
        """For the routes of a page: each notes the stand before anything is read."""
        return APIRouter(include_in_schema=False, dependencies=[Depends(self.note_stand)])

    def queries(self, session: Session) -> Queries:
        """The read models as far as this person may see them."""
        return self.everything.within(session.nodes)

    async def page(
        self, request: Request, session: Session, template: str, *, status: int = 200, **values: Any
    ) -> Response:
        """A page, or a part of one, for a person. What a template gets besides `values`: `session`, `now`,
        `here` (the path), `stand` (how old all of it may be; give it if `values` were read before this
        request came)."""
        known = {"stand": request.state.stand, **values}
        return self.shell.page(request, session, template, status=status, **known)

    async def note_stand(self, request: Request) -> None:
        """A dependency of each page, before it reads anything: what comes while it reads is told to it, since
        its stream begins from here."""
        request.state.stand = await self.freshness.stand()


def routes(site: Site) -> APIRouter:
    """What belongs to every page: the stream that keeps it live."""
    router = APIRouter(include_in_schema=False)
    reader = Annotated[Session, Depends(site.guard.require("read"))]

    @router.get("/live")
    async def live(
        request: Request,
        session: reader,
        since: Position = None,
        last_event_id: Annotated[str, Header()] = "",
    ) -> Response:
        seen = int(last_event_id) if last_event_id.isdigit() and len(last_event_id) < 19 else since
        signed_in = partial(site.guard.lasts, request)
        events = await site.feed.stream(session.tenant, seen, session.nodes is None, signed_in)
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(events, headers=headers, media_type="text/event-stream")

    return router
