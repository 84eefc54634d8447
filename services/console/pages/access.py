"""Access: who looked at whose personal data, when and why. For auditors and admins."""

from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query, Request, Response

from services.console.cursor import CURSOR_LENGTH_MAX
from services.console.web.looks import LooksFilter, read_looks
from services.console.web.roles import NAMES
from services.console.web.sessions import Session
from services.console.web.site import Site

ROWS = 100
Word = Annotated[str, Query(max_length=200, pattern=r"^[^\x00]*$")]


def routes(site: Site) -> APIRouter:
    """/access, by person and by order."""
    router = site.router()
    auditor = Annotated[Session, Depends(site.guard.require("audit"))]

    @router.get("/access")
    async def access(
        request: Request,
        session: auditor,
        person: Word = "",
        order: Word = "",
        after: Annotated[str | None, Query(max_length=CURSOR_LENGTH_MAX)] = None,
    ) -> Response:
        person, order = person.strip(), order.strip()
        async with site.queries(session).reading(session.tenant) as connection:
            looks, following = await read_looks(
                connection, session, LooksFilter(person or None, order or None), after, ROWS
            )
        asked = urlencode({"person": person, "order": order})
        return await site.page(
            request,
            session,
            "access.html",
            looks=looks,
            person=person,
            order=order,
            following=f"{asked}&{urlencode({'after': following})}" if following else None,
            first=f"?{asked}" if after else None,
            names=NAMES,
        )

    return router
