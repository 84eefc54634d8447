"""A unit by its serial number: where it is, and everything that became of it."""

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response

from libs.events.contract import Sku
from services.console.serials_read import count_units, find_units, read_moves, read_units
from services.console.web.sessions import Session
from services.console.web.site import Site

ROWS = 50
MOVES_MAX = 500
SKUS_MAX = 50
SerialText = Annotated[str, Query(max_length=128, pattern=r"^[^\x00]*$")]


def routes(site: Site) -> APIRouter:
    """The search by number, which is the unit's page where one SKU has it."""
    router = site.router()
    reader = Annotated[Session, Depends(site.guard.require("read"))]

    @router.get("/serials")
    async def serials(
        request: Request, session: reader, number: SerialText = "", sku: Sku | None = None
    ) -> Response:
        number, tenant = number.strip(), session.tenant
        async with site.queries(session).reading(tenant) as connection:
            found = await find_units(connection, tenant, number, sku, SKUS_MAX) if number else ()
            moves = await read_moves(connection, tenant, found[0]["sku"], number, MOVES_MAX) if found else ()
        return await site.page(
            request,
            session,
            "serials.html",
            number=number,
            sku=sku,
            found=found,
            moves=moves if len(found) == 1 else (),
        )

    return router


async def serials_of_sku(
    site: Site, session: Session, sku: str, place: str, node: str, after: str
) -> Mapping[str, Any]:
    """What the page of an article shows of its units: by place and node, and those of one place and node, or
    all, by number."""
    async with site.queries(session).reading(session.tenant) as connection:
        counts = await count_units(connection, session.tenant, sku)
        units = (
            await read_units(connection, session.tenant, sku, place or None, node or None, after, ROWS + 1)
            if counts
            else ()
        )
    return {
        "serial_counts": counts,
        "serials": units[:ROWS],
        "serials_next": units[ROWS - 1]["serial"] if len(units) > ROWS else None,
        "serials_of": (place, node, after),
    }
