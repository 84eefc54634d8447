"""One order: where it is, what blocks it, all that happened to it, and what can be done about it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Query, Request, Response
from markupsafe import Markup

from libs.events.contract import Command, OrderId
from libs.events.intake import CancelOrder, HoldName, ReleaseHold
from libs.runtime.links import GOOD_FOR, Link, write_link
from libs.runtime.settings import STAGES
from services.console.amend_view import amendments, terms_now
from services.console.blockers import OWNERS
from services.console.causes import picture
from services.console.change_view import outcomes
from services.console.contacts import masked
from services.console.customer_view import returnable
from services.console.facts import State
from services.console.full_days_read import read_full_days
from services.console.history import Place, as_of
from services.console.notes import notes
from services.console.order_view import Preview, money, order_view, preview_cancel, preview_release
from services.console.pages.one_order import found, one_line, order_of, told
from services.console.pages.order_events import place_behind
from services.console.pages.reasons import OF_ORDER, needed
from services.console.pages.review import may_approve
from services.console.parked_order import ParkedOfOrder, parked_blockers, read_parked
from services.console.pick_places import places_said
from services.console.queries import Row
from services.console.rule_book import read_rules
from services.console.rules import Rule
from services.console.serials_read import read_serials_of_order
from services.console.standing import declined_at, in_review, open_holds, work_state
from services.console.stored import read_state
from services.console.web.holds import check_release, may_release
from services.console.web.sessions import Session
from services.console.web.site import Site

TIMELINE_MAX = 1000
SERIALS_MAX = 500
_NOTE = Annotated[str, Form(max_length=500)]
Step = Annotated[int | None, Query(ge=0, le=100_000)]


def routes(site: Site) -> APIRouter:
    """The page, its live part, its actions."""
    router = site.router()
    _page_routes(router, site)
    _action_routes(router, site)
    _contact_routes(router, site)
    return router


def _page_routes(router: APIRouter, site: Site) -> None:
    reader = Annotated[Session, Depends(site.guard.require("read"))]

    @router.get("/orders/{order_id}")
    async def order(request: Request, session: reader, order_id: OrderId, step: Step = None) -> Response:
        return await draw(request, session, order_id, "order.html", step)

    @router.get("/parts/orders/{order_id}")
    async def part(request: Request, session: reader, order_id: OrderId, step: Step = None) -> Response:
        return await draw(request, session, order_id, "order_part.html", step)

    async def draw(
        request: Request, session: Session, order_id: str, template: str, step: int | None
    ) -> Response:
        row, entries = await found(site, session, order_id, TIMELINE_MAX + 1)
        later = place_behind(entries[TIMELINE_MAX - 1]) if len(entries) > TIMELINE_MAX else None
        entries = sorted(
            entries[:TIMELINE_MAX], key=lambda entry: (entry["at"], entry["stage"], entry["sequence"])
        )
        state, then, latest = read_state(row["facts"]), None, len(entries) + (later is not None)
        headers = {}
        if step is not None and template == "order_part.html":
            headers["HX-Replace-Url"] = f"/orders/{order_id}" + (f"?step={step}" if step < latest else "")
        step = None if step is not None and step >= latest else step
        if step is not None:
            shown = entries[:step]
            then = shown[-1] if shown else None
            places = [Place(one["stage"], one["lane"], one["sequence"]) for one in shown]
            events = await site.about.history.envelopes(places)
            state = as_of(events, order_id, then["at"] if then else datetime.min.replace(tzinfo=UTC))
        contact = await site.about.contacts.open(session.tenant, [order_id])
        now = await _as_of_now(site, session, order_id, state if step is None else None)
        return await site.page(
            request,
            session,
            template,
            order=order_view(order_id, state, now.rules, tuple(parked_blockers(now.parked, now.rules))),
            releasable={
                hold.name for hold in open_holds(state) if may_release(session, now.rules, hold.name)
            },
            may_approve=may_approve(session, now.rules, state),
            reviewed=held.round if (held := in_review(state)) else None,
            changes=outcomes(state),
            amendments=amendments(state),
            now_terms=terms_now(state),
            late={hold.name for hold in state.intake.holds if declined_at(state, hold)},
            notes=await notes(site.about, session, order_id, entries),
            row=row,
            entries=entries,
            stages=STAGES,
            latest=latest,
            later=later,
            step=step,
            then=then,
            headers=headers,
            contact=masked(contact[order_id]) if order_id in contact else None,
            picture=Markup(picture(entries)),  # noqa: S704  (all of it escaped where it is made)
            full_days=now.full_days,
            serials=now.serials,
            may_return=bool(returnable(state)),
            owners=OWNERS,
            money=money,
            places_said=places_said,
            work_state=work_state,
        )


@dataclass(frozen=True, slots=True)
class _Now:
    """What other tables say of the order: whose exceptions are; days that are full now at the nodes of its
    latest plan, which dates pass over; by SKU the serial numbers that it was sent; what of it is parked."""

    rules: Sequence[Rule]
    full_days: Mapping[str, Sequence[date]]
    serials: Mapping[str, Sequence[Row]]
    parked: Sequence[ParkedOfOrder] = ()


async def _as_of_now(site: Site, session: Session, order_id: str, state: State | None) -> _Now:
    """Without a state, which is that of now, only the rules: the rest is not known of the past."""
    tenant = session.tenant
    decisions = state.routing.decisions if state else ()
    nodes = list(decisions[-1].nodes) if decisions else []
    async with site.queries(session).reading(tenant) as connection:
        rules = (await read_rules(connection, tenant)).rules
        if state is None:
            return _Now(rules, {}, {})
        return _Now(
            rules,
            await read_full_days(connection, tenant, datetime.now(UTC), nodes) if nodes else {},
            await read_serials_of_order(connection, tenant, order_id, SERIALS_MAX),
            await read_parked(connection, tenant, order_id),
        )


def _action_routes(router: APIRouter, site: Site) -> None:
    canceller = Annotated[Session, Depends(site.guard.require("cancel"))]
    releaser = Annotated[Session, Depends(site.guard.require("release"))]

    @router.get("/orders/{order_id}/cancel")
    async def ask_cancel(request: Request, session: canceller, order_id: OrderId) -> Response:
        _, state = await order_of(site, session, order_id)
        return await _ask(request, session, order_id, "Cancel", preview_cancel(state), "cancel")

    @router.post("/orders/{order_id}/cancel")
    async def cancel(request: Request, session: canceller, order_id: OrderId, note: _NOTE = "") -> Response:
        await found(site, session, order_id)
        reason = needed(one_line(note), OF_ORDER)
        return await _do(request, session, order_id, CancelOrder(order_id=order_id, reason=reason), reason)

    @router.get("/orders/{order_id}/holds/{hold}/release")
    async def ask_release(request: Request, session: releaser, order_id: OrderId, hold: HoldName) -> Response:
        await check_release(site, session, hold)
        _, state = await order_of(site, session, order_id)
        what = f"Release hold {hold}"
        return await _ask(
            request, session, order_id, what, preview_release(state, hold), f"holds/{hold}/release"
        )

    @router.post("/orders/{order_id}/holds/{hold}/release")
    async def release(
        request: Request, session: releaser, order_id: OrderId, hold: HoldName, note: _NOTE = ""
    ) -> Response:
        await found(site, session, order_id)
        await check_release(site, session, hold)
        reason = needed(one_line(note), OF_ORDER)
        command = ReleaseHold(order_id=order_id, hold=hold, note=reason)
        return await _do(request, session, order_id, command, reason)

    async def _ask(
        request: Request, session: Session, order_id: str, what: str, preview: Preview, action: str
    ) -> Response:
        return await site.page(
            request,
            session,
            "confirm.html",
            order_id=order_id,
            what=what,
            preview=preview,
            action=action,
            outcome=None,
        )

    async def _do(
        request: Request, session: Session, order_id: str, command: Command, reason: str
    ) -> Response:
        outcome = await site.actions.send(session, command, reason=reason[:200])
        return await told(site, request, session, order_id, outcome)


def _contact_routes(router: APIRouter, site: Site) -> None:
    seer = Annotated[Session, Depends(site.guard.require("personal"))]

    @router.post("/orders/{order_id}/contact")
    async def contact(
        request: Request, session: seer, order_id: OrderId, why: Annotated[str, Form(max_length=500)] = ""
    ) -> Response:
        await found(site, session, order_id)
        await site.about.looks.note(session, order_id, one_line(why))
        opened = await site.about.contacts.open(session.tenant, [order_id])
        return await site.page(
            request, session, "contact.html", order_id=order_id, personal=opened.get(order_id)
        )

    @router.post("/orders/{order_id}/link")
    async def link(request: Request, session: seer, order_id: OrderId) -> Response:
        await found(site, session, order_id)
        until = datetime.now(UTC) + GOOD_FOR
        token = write_link(site.about.contacts.link_key(), Link(session.tenant, order_id, until))
        return await site.page(
            request, session, "link.html", order_id=order_id, url=f"{site.guard.url}/o/{token}", until=until
        )
