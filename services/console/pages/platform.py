"""Platform: how stages and projection do, records that wait for a person, and rebuilds of the tables."""

import asyncio
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Request, Response
from fastapi.responses import RedirectResponse

from libs.runtime.log import WAITING
from libs.runtime.problems import Problem
from libs.runtime.settings import STAGES
from services.console.pages.reasons import needed
from services.console.web.actions import Outcome
from services.console.web.roles import STAGE_ROLE
from services.console.web.sessions import Session
from services.console.web.site import Site

_ROWS_MAX = 200
Key = Annotated[str, Form(min_length=1, max_length=600, pattern=r"^[^\x00]*$")]
Note = Annotated[str, Form(max_length=500, pattern=r"^[^\x00]*$")]


def routes(site: Site) -> APIRouter:
    """The page, its part that follows, and what is done with a parked key."""
    router = site.router()
    looks = Annotated[Session, Depends(site.guard.require("platform"))]
    repairs = Annotated[Session, Depends(site.guard.require("repair"))]

    @router.get("/platform")
    async def platform(request: Request, session: looks) -> Response:
        return await draw(request, session, "platform.html")

    @router.get("/parts/platform")
    async def part(request: Request, session: looks) -> Response:
        return await draw(request, session, "platform_part.html")

    @router.post("/platform/{stage}/{verb}")
    async def settle(
        request: Request, session: repairs, stage: str, verb: str, key: Key, note: Note = ""
    ) -> Response:
        if stage not in STAGES or verb not in ("replay", "discard"):
            raise Problem(
                404, "http_404", "Not Found", "There is no such thing to do.", "Go back to Platform."
            )
        if not key.startswith((f"{session.tenant}/", *_unclaimed(session))):
            raise Problem(
                403,
                "forbidden",
                "Not your key",
                "It is another tenant's, or says not whose.",
                "Ask an admin.",
            )
        note = needed(note, "Whoever meets this key again wants to know what was done; it waits as before.")
        body = {"key": key, "note": note}
        outcome = await site.actions.call(
            session, stage, "POST", f"/v1/parked/{verb}", body=body, role=_role(session)
        )
        if not outcome.ok:
            return await draw(request, session, "platform.html", outcome, 409)
        return RedirectResponse("/platform", 303)

    async def draw(
        request: Request,
        session: Session,
        template: str,
        outcome: Outcome | None = None,
        status: int = 200,
    ) -> Response:
        stands, replicas, projection, (rows, silent), rebuilds = await asyncio.gather(
            site.stages.stands(),
            site.stages.replicas(),
            site.everything.projection(),
            _all_parked(site, session),
            site.everything.rebuilds(),
        )
        return await site.page(
            request,
            session,
            template,
            status=status,
            stands=stands,
            replicas=replicas,
            projection=projection,
            parked=rows,
            silent=silent,
            rebuilds=rebuilds,
            outcome=outcome,
        )

    return router


def _unclaimed(session: Session) -> tuple[str, ...]:
    """How keys begin of records that say not whose they are: for an admin alone."""
    return ("?",) if session.role == "admin" else ()


def _role(session: Session) -> str:
    """What a stage is asked as: its own operators see nothing that says not whose it is."""
    return "admin" if session.role == "admin" else STAGE_ROLE


async def _all_parked(site: Site, session: Session) -> tuple[list[dict[str, Any]], list[Outcome]]:
    """What all stages have parked of the person's tenant, the oldest first; of which that is not known."""
    told = await asyncio.gather(*(_parked(site, session, stage) for stage in STAGES))
    rows = [row for found in told if not isinstance(found, Outcome) for row in found]
    silent = [found for found in told if isinstance(found, Outcome)]
    return sorted(rows, key=lambda row: row["moment"]), silent


async def _parked(site: Site, session: Session, stage: str) -> list[dict[str, Any]] | Outcome:
    """What the stage has parked of the person's tenant, or why that is not known."""
    query = {"limit": str(_ROWS_MAX), "all_states": "false"}
    answer = await site.actions.call(session, stage, "GET", "/v1/parked", query=query, role=_role(session))
    if not answer.ok:
        return answer
    return [
        {**row, "stage": stage, "moment": datetime.fromisoformat(row["at"])}
        for row in answer.events[0]["parked"]
        if row["state"] in WAITING
        and (row["tenant"] == session.tenant or (_unclaimed(session) and not row["tenant"]))
    ]
