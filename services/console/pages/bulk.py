"""One action on many orders: shown first, then done, with a result for each."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Form, Request, Response

from libs.events.contract import Command
from libs.events.intake import CancelOrder, ReleaseHold
from services.console.facts import State
from services.console.order_view import Preview, preview_cancel, preview_release
from services.console.pages.one_order import one_line
from services.console.pages.reasons import needed
from services.console.rules import Rule, rule_of
from services.console.standing import open_holds
from services.console.stored import read_state
from services.console.web.holds import may_release, tenants_rules
from services.console.web.sessions import Session
from services.console.web.site import Site

ORDERS_MAX = 100
_AT_ONCE = 8
_NOTE_MAX = 500

Action = Literal["release", "cancel"]
Theirs = Callable[[str], Rule | None]
"""Of a hold: the rule by which it is others' to release; none where the person may."""


@dataclass(frozen=True, slots=True)
class Planned:
    """One command on one order, as it is shown before and after. `hold` of a release."""

    order_id: str
    name: str
    hold: str
    preview: Preview
    command: Command | None
    done: bool | None = None
    result: str = ""


def bulk_routes(router: APIRouter, site: Site) -> None:
    """/orders/bulk/release and …/cancel: a preview unless it is confirmed."""
    _bulk_route(router, site, "release")
    _bulk_route(router, site, "cancel")


def _bulk_route(router: APIRouter, site: Site, action: Action) -> None:
    permitted = Annotated[Session, Depends(site.guard.require(action))]

    @router.post(f"/orders/bulk/{action}")
    async def bulk(
        request: Request,
        session: permitted,
        order_id: Annotated[list[str], Form(max_length=ORDERS_MAX)] = [],  # noqa: B006  (FastAPI copies it)
        note: Annotated[str, Form(max_length=_NOTE_MAX)] = "",
        confirmed: Annotated[bool, Form()] = False,
    ) -> Response:
        note = one_line(note)
        if confirmed:
            needed(note, "Whoever looks at these orders later wants to know why; nothing was changed.")
        states = await site.queries(session).facts(session.tenant, order_id)
        rules = await tenants_rules(site, session) if action == "release" else ()

        def theirs(hold: str) -> Rule | None:
            return None if may_release(session, rules, hold) else rule_of(rules, "hold", hold)

        planned = [
            one for id_ in dict.fromkeys(order_id) for one in plan(action, id_, states.get(id_), note, theirs)
        ]
        if confirmed:
            planned = await _carry_out(site, session, planned, note)
        return await site.page(
            request, session, "bulk.html", action=action, planned=planned, note=note, confirmed=confirmed
        )


def plan(
    action: Action, order_id: str, found: tuple[str, str] | None, note: str, theirs: Theirs
) -> Sequence[Planned]:
    """What the action is for one order: a release is of each of its open holds."""
    if found is None:
        return [Planned(order_id, order_id, "", Preview(False, "No such order."), None)]
    name, state = found[0], read_state(found[1])
    if action == "cancel":
        preview = preview_cancel(state)
        command = CancelOrder(order_id=order_id, reason=note) if preview.possible else None
        return [Planned(order_id, name, "", preview, command)]
    return _releases(order_id, name, state, note, theirs)


def _releases(order_id: str, name: str, state: State, note: str, theirs: Theirs) -> Sequence[Planned]:
    open_ = [hold.name for hold in open_holds(state)]
    if not open_ or state.intake.closed_at is not None:
        return [Planned(order_id, name, "", Preview(False, "No hold blocks it."), None)]
    planned = []
    for hold in open_:
        preview, command = preview_release(state, hold), ReleaseHold(order_id=order_id, hold=hold, note=note)
        if (rule := theirs(hold)) is not None:
            planned.append(Planned(order_id, name, hold, Preview(False, _not_yours(rule)), None))
        else:
            planned.append(Planned(order_id, name, hold, preview, command))
    return planned


def _not_yours(rule: Rule) -> str:
    return f"It is for {rule.owner} to release: {rule.title}."


async def _carry_out(site: Site, session: Session, planned: Sequence[Planned], note: str) -> list[Planned]:
    """Send the commands, those of one order in their order, a few orders at a time."""
    room = asyncio.Semaphore(_AT_ONCE)
    by_order: dict[str, list[Planned]] = {}
    for one in planned:
        by_order.setdefault(one.order_id, []).append(one)

    async def of_order(mine: Sequence[Planned]) -> list[Planned]:
        async with room:
            return [await _done(site, session, one, note) for one in mine]

    results = await asyncio.gather(*(of_order(mine) for mine in by_order.values()))
    return [one for mine in results for one in mine]


async def _done(site: Site, session: Session, one: Planned, note: str) -> Planned:
    if one.command is None:
        return Planned(one.order_id, one.name, one.hold, one.preview, None, False, one.preview.sentence)
    outcome = await site.actions.send(session, one.command, reason=note[:200])
    told = "Done." if outcome.ok else f"{outcome.sentence} {outcome.next_step}".strip()
    return Planned(one.order_id, one.name, one.hold, one.preview, None, outcome.ok, told)
