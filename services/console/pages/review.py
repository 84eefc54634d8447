"""A plan that is held for review: what stands against it, where else it could be shipped, its approval.

The approval is routing's to decide; the order's page then tells what came of it.
"""

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Path, Request, Response

from libs.events.contract import NodeId, OrderId
from libs.events.routing import ApproveRouting
from services.console.facts import RoutingDecision, State
from services.console.pages.one_order import found, one_line, order_of, told
from services.console.pages.reasons import OF_ORDER, needed
from services.console.rules import Rule
from services.console.standing import in_review
from services.console.web.holds import check_release, may_release
from services.console.web.sessions import Session
from services.console.web.site import Site

Round = Annotated[int, Path(ge=1, le=10**9)]


def may_approve(session: Session, rules: Sequence[Rule], state: State) -> bool:
    """Whether the person may let the order's plan pass, where one is held."""
    held = in_review(state)
    return held is not None and may_release(session, rules, str(held.round), "review")


def routes(site: Site) -> APIRouter:
    """/orders/{id}/review/{round}: the plan, and its approval."""
    router = site.router()
    releaser = Annotated[Session, Depends(site.guard.require("release"))]

    @router.get("/orders/{order_id}/review/{round}")
    async def ask(request: Request, session: releaser, order_id: OrderId, round: Round) -> Response:
        await check_release(site, session, str(round), "review")
        row, state = await order_of(site, session, order_id)
        held = in_review(state)
        if held is not None and held.round != round:
            held = None
        return await site.page(
            request,
            session,
            "review.html",
            order_id=order_id,
            row=row,
            held=held,
            round=round,
            others=others(held) if held else (),
            skus={line: known.sku for line, known in state.inventory.lines.items()},
        )

    @router.post("/orders/{order_id}/review/{round}")
    async def approve(
        request: Request,
        session: releaser,
        order_id: OrderId,
        round: Round,
        node: Annotated[list[NodeId], Form(max_length=50)] = [],  # noqa: B006  (FastAPI copies it)
        note: Annotated[str, Form(max_length=500)] = "",
    ) -> Response:
        await found(site, session, order_id)
        await check_release(site, session, str(round), "review")
        reason = needed(one_line(note), OF_ORDER)
        nodes = tuple(dict.fromkeys(node)) or None
        command = ApproveRouting(order_id=order_id, round=round, nodes=nodes, reason=reason)
        outcome = await site.actions.send(session, command, reason=reason[:200])
        return await told(site, request, session, order_id, outcome)

    return router


def others(held: RoutingDecision) -> list[str]:
    """Nodes that had some of it when it was held, those of the plan among them, the nearest first."""
    named = [node for one in held.candidates if one.units for node in one.nodes]
    return list(dict.fromkeys(named))
