"""A rebuild begun from the platform page: said what it takes, and asked why; that page shows how it goes."""

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request, Response
from fastapi.responses import RedirectResponse

from services.console.pages.reasons import needed
from services.console.web.sessions import Session
from services.console.web.site import Site

Why = Annotated[str, Form(max_length=500, pattern=r"^[^\x00]*$")]


def routes(site: Site) -> APIRouter:
    """Whether it is meant, and its beginning."""
    router = site.router()
    begins = Annotated[Session, Depends(site.guard.require("rebuild"))]

    @router.get("/platform/rebuild")
    async def ask(request: Request, session: begins) -> Response:
        rows = await site.everything.rebuilds()
        under_way = any(row["ended_at"] is None and not row["silent"] for row in rows)
        last = next((row for row in rows if row["rebuilt_digest"]), None)
        return await site.page(request, session, "rebuild.html", under_way=under_way, last=last)

    @router.post("/platform/rebuild")
    async def begin(session: begins, why: Why = "") -> Response:
        wanted = "Whoever sees the rebuild wants to know what it is for; nothing was begun."
        await site.rebuilds.begin(session, needed(why, wanted))
        return RedirectResponse("/platform", 303)

    return router
