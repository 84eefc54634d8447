"""Who has a claim on a SKU: who waits for units of it, as inventory tells it, and who holds some.

Who is next is inventory's to say (orders, rests of orders, baskets that were held at checkout, places that
were taken over): the page asks it and shows its list, in its order. It does so again as stock moves, more
rarely than it reads the tables: what it asks is the stage that has the work.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Depends, Query, Request, Response

from libs.events.contract import Sku
from libs.runtime.problems import Problem
from services.console.claims import read_holding, read_names
from services.console.web.sessions import Session
from services.console.web.site import Site

CLAIMS = 100
"""Rows of each list."""
Behind = Annotated[str, Query(max_length=200, description="The `next` of the queue's page before.")]


@dataclass(frozen=True, slots=True)
class _Waiting:
    """Who waits, and all that was told of the queue; none, and `why` it was not."""

    rows: Sequence[Mapping[str, Any]] = ()
    told: Mapping[str, Any] | None = None
    why: str = ""


_NOT_TOLD = _Waiting()


def claims_routes(router: APIRouter, site: Site) -> None:
    """The part of a SKU's page that says so."""
    reader = Annotated[Session, Depends(site.guard.require("read"))]

    @router.get("/parts/stock/{sku}/claims")
    async def part(request: Request, session: reader, sku: Sku, behind: Behind = "") -> Response:
        await must_be_known(site, session, sku)
        values = await claims_on(site, session, sku, behind)
        return await site.page(request, session, "claims_part.html", **values)


async def must_be_known(site: Site, session: Session, sku: str) -> None:
    """Raises Problem 404: no unit of it ever moved, and nobody ordered any, as far as this person may see."""
    queries = site.queries(session)
    if await queries.stock(session.tenant, sku, None, None, 1):
        return
    if not await queries.reservations(session.tenant, None, sku, None, 1):
        raise Problem(
            404,
            "unknown_sku",
            "No such SKU",
            "No unit of it ever moved for your tenant.",
            "Check its spelling (case matters), or look for it in Stock.",
        )


async def claims_on(site: Site, session: Session, sku: str, behind: str) -> dict[str, Any]:
    """`holding`: orders that hold units; `queue`: who waits, from behind a place on, none where inventory
    does not tell, and then `untold` says why. Who may see some nodes only is told nothing of the queue, which
    is the network's."""
    waits = await _waiting(site, session, sku, behind) if session.nodes is None else _NOT_TOLD
    ids = [row["order_id"] for row in waits.rows if row["order_id"]]
    async with site.queries(session).reading(session.tenant) as connection:
        holding = await read_holding(connection, session.tenant, sku, CLAIMS + 1)
        names = await read_names(connection, session.tenant, ids)
    waiting = {"queue": waits.told, "untold": waits.why, "behind": behind}
    return {"sku": sku, "holding": holding, "names": names, "shown": CLAIMS, **waiting}


async def _waiting(site: Site, session: Session, sku: str, behind: str) -> _Waiting:
    asked = {"limit": str(CLAIMS)} | ({"after": behind} if behind else {})
    path = f"/v1/stock/{quote(sku, safe='')}/queue"
    answer = await site.actions.call(session, "inventory", "GET", path, query=asked)
    if answer.ok:
        rows = [_row(row) for row in answer.events[0]["queue"]]
        return _Waiting(rows, {**answer.events[0], "queue": rows})
    if answer.code == "unknown_sku":  # it has heard of no order of it yet
        return _Waiting((), {"queue": (), "next": None})
    silent = answer.code == "stage_unavailable"
    why = "inventory, who keeps the queue, does not answer now." if silent else answer.sentence
    return _Waiting((), None, f"{why} {answer.next_step}")


def _row(told: Mapping[str, Any]) -> Mapping[str, Any]:
    """One who waits, with moments as such."""
    supply = told["supply"]
    if supply is not None and supply["usable_at"] is not None:
        supply = {**supply, "usable_at": datetime.fromisoformat(supply["usable_at"])}
    return {**told, "since": datetime.fromisoformat(told["since"]), "supply": supply}
