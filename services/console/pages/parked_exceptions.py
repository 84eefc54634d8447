"""What is done about parked keys in the queue: they are taken, put off, settled by hand, as what is of stock.
They are replayed and discarded on Platform."""

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request, Response
from pydantic import AwareDatetime

from libs.events.parked_exceptions import (
    AssignParkedException,
    ResolveParkedException,
    SnoozeParkedException,
)
from libs.runtime.problems import Problem
from services.console.pages.care import Care, Commands, care_command
from services.console.pages.exceptions import Back, Reason, Somebody, assigned, settle
from services.console.pages.platform import Key
from services.console.pages.reasons import needed
from services.console.parked_items import SINCE, unclaimed
from services.console.web.sessions import Session
from services.console.web.site import Site

_ITEM = f"""SELECT EXISTS (SELECT FROM parked_keys p
    WHERE p.stage = $1 AND p.parked_key = $2 AND {SINCE} = $3 AND p.waiting > 0)"""  # noqa: S608 - of ours
_WANTED = "Whoever looks at this key later wants to know why; nothing was changed."
_OF_KEY = Commands(AssignParkedException, SnoozeParkedException, ResolveParkedException)
Stage = Annotated[str, Form(pattern=r"^[a-z][a-z_]{0,31}$")]


def routes(site: Site) -> APIRouter:
    """Their buttons, for who may repair what is parked."""
    router = site.router()
    repairs = Annotated[Session, Depends(site.guard.require("repair"))]

    @router.post("/exceptions/parked/care/{verb}")
    async def care(
        request: Request,
        session: repairs,
        verb: Care,
        stage: Stage,
        key: Key,
        since: Annotated[AwareDatetime, Form()],
        why: Reason = "",
        hours: Annotated[int, Form(ge=1, le=24 * 60)] = 24,
        assignee: Somebody = "",
        back: Back = "",
    ) -> Response:
        why, whose = needed(why, _WANTED), assigned(verb, assignee, session)
        async with site.queries(session).reading(session.tenant) as connection:
            await unclaimed(connection, session.role)
            if not await connection.fetchval(_ITEM, stage, key, since):
                raise Problem(
                    404,
                    "unknown_item",
                    "No such exception",
                    "That key is not parked (any more), or you may not see it.",
                    "Go back to Exceptions.",
                )
        about = {"stage": stage, "parked_key": key, "since": since}
        command = care_command(_OF_KEY, about, verb, why, hours, whose, _WANTED)
        return await settle(site, request, session, command, why, back)

    return router
