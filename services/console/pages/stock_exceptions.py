"""What is done about exceptions of stock: a difference is approved or rejected, a lot released."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Form, Request, Response

from libs.events.contract import Command, Sku
from libs.events.intake import ExceptionItem
from libs.events.lots import ReleaseLot
from libs.events.stocktaking import SettleDifference
from libs.runtime.problems import Problem
from services.console.pages.exceptions import Reason, settle
from services.console.pages.reasons import needed
from services.console.web.sessions import Session
from services.console.web.site import Site

_KINDS = {"approve": ("count_held", "stock_differs"), "reject": ("count_held", "stock_differs")} | {
    "release": ("lot_recalled",)
}
_ITEM = "SELECT kind FROM stock_items WHERE tenant = $1 AND sku = $2 AND item = $3"


def routes(site: Site) -> APIRouter:
    """Their buttons."""
    router = APIRouter(include_in_schema=False)
    adjusts = Annotated[Session, Depends(site.guard.require("adjust"))]

    @router.post("/exceptions/stock/{verb}")
    async def act(
        request: Request,
        session: adjusts,
        verb: Literal["approve", "reject", "release"],
        sku: Annotated[Sku, Form()],
        item: Annotated[ExceptionItem, Form()],
        why: Reason = "",
    ) -> Response:
        async with site.queries(session).reading(session.tenant) as connection:
            kind = await connection.fetchval(_ITEM, session.tenant, sku, item)
        if kind not in _KINDS[verb]:
            raise Problem(
                404,
                "unknown_item",
                "No such exception",
                f"There is no such thing to {verb} about this SKU, or you may not see it.",
                "Go back to Exceptions.",
            )
        return await settle(site, request, session, _command(verb, sku, item, why), why)

    return router


def _command(verb: str, sku: str, item: str, why: str) -> Command:
    """Raises Problem 422 where a reason is missing."""
    which = item.partition("/")[2]
    why = needed(why, "It is kept with the SKU's events; nothing was changed.")
    if verb == "release":
        return ReleaseLot(sku=sku, lot=which, reason=why)
    return SettleDifference(sku=sku, proposal_id=which, approve=verb == "approve", note=why)
