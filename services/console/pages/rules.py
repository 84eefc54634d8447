"""Exception rules: what is in force, who changed what when, and a change that is shown before it is made."""

from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID, uuid4

from fastapi import APIRouter, Depends, Form, Query, Request, Response
from fastapi.responses import RedirectResponse

from libs.events.contract import Command
from libs.events.exception_rules import (
    ChangeExceptionRule,
    DropExceptionRule,
    Owner,
)
from libs.runtime.problems import Problem
from services.console.pages.reasons import as_header, needed
from services.console.rule_book import RuleBook, read_changes, read_rules
from services.console.rule_preview import would_move
from services.console.rules import OWNERS, SHIPPED, Kind, Rule, applied, replaced, shipped
from services.console.web.actions import Outcome
from services.console.web.sessions import Session
from services.console.web.site import Site

Which = Annotated[str, Form(max_length=64, pattern=r"^([a-z][a-z0-9_]{0,63})?$")]
Step = Annotated[str, Form(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]
Version = Annotated[int, Form(ge=0, lt=2**53)]
Reason = Annotated[str, Form(max_length=500, pattern=r"^[^\x00]*$")]
_WANTED = "Who looks at the rules later wants to know why; nothing was changed."
FormMinutes = Annotated[int, Form(ge=0, le=525_600)]


def routes(site: Site) -> APIRouter:
    """The rules, a change of one as a form and as what it would do, and its confirmation."""
    router = site.router()
    looks = Annotated[Session, Depends(site.guard.require("read"))]
    edits = Annotated[Session, Depends(site.guard.require("rules"))]

    @router.get("/exceptions/rules")
    async def rules(
        request: Request, session: looks, before: Annotated[int | None, Query(ge=1, lt=2**53)] = None
    ) -> Response:
        return await _draw(site, request, session, before)

    @router.get("/exceptions/rules/change")
    async def change(
        request: Request,
        session: edits,
        kind: Kind,
        which: Annotated[str, Query(max_length=64, pattern=r"^([a-z][a-z0-9_]{0,63})?$")] = "",
        owner: Owner | None = None,
        after_minutes: Annotated[int | None, Query(ge=0, le=525_600)] = None,
        sla_minutes: Annotated[int | None, Query(ge=0, le=525_600)] = None,
        next_step: Annotated[str, Query(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")] = "",
    ) -> Response:
        given = {"owner": owner, "after_minutes": after_minutes, "sla_minutes": sla_minutes}
        return await _preview(site, request, session, kind, which or None, given, next_step.strip())

    @router.post("/exceptions/rules/change")
    async def confirm(
        request: Request,
        session: edits,
        kind: Annotated[Kind, Form()],
        owner: Annotated[Owner, Form()],
        after_minutes: FormMinutes,
        sla_minutes: FormMinutes,
        based_on: Version,
        asked: Annotated[UUID, Form()],
        which: Which = "",
        next_step: Step = "",
        why: Reason = "",
    ) -> Response:
        command = ChangeExceptionRule(
            kind=kind,
            which=which or None,
            owner=owner,
            after_minutes=after_minutes,
            sla_minutes=sla_minutes,
            next_step=next_step.strip() or None,
            based_on=based_on,
            note=needed(why, _WANTED),
        )
        return await _send(site, request, session, command, why, asked)

    @router.post("/exceptions/rules/drop")
    async def drop(
        request: Request,
        session: edits,
        kind: Annotated[Kind, Form()],
        based_on: Version,
        asked: Annotated[UUID, Form()],
        which: Which = "",
        why: Reason = "",
    ) -> Response:
        command = DropExceptionRule(
            kind=kind, which=which or None, based_on=based_on, note=needed(why, _WANTED)
        )
        return await _send(site, request, session, command, why, asked)

    return router


async def _send(
    site: Site, request: Request, session: Session, command: Command, why: str, asked: UUID
) -> Response:
    outcome = await site.actions.send(session, command, reason=as_header(why), id_=asked)
    if outcome.ok:
        return RedirectResponse("/exceptions/rules", 303)
    return await _draw(site, request, session, None, outcome, 409)


async def _draw(
    site: Site,
    request: Request,
    session: Session,
    before: int | None,
    outcome: Outcome | None = None,
    status: int = 200,
) -> Response:
    async with site.queries(session).reading(session.tenant) as connection:
        book = await read_rules(connection, session.tenant)
        changes = await read_changes(connection, session.tenant, before)
    return await site.page(
        request,
        session,
        "rules.html",
        status=status,
        book=book,
        rules=sorted(book.rules, key=_shown),
        changes=changes,
        outcome=outcome,
    )


async def _preview(
    site: Site,
    request: Request,
    session: Session,
    kind: Kind,
    which: str | None,
    given: dict[str, Any],
    next_step: str,
) -> Response:
    """The form, and once it is filled in, what the rule would do to the items of now."""
    base, now = shipped(kind, which), datetime.now(UTC)
    if base is None or (kind == "stuck" and base.which is None):
        raise _no_rule(kind)
    async with site.queries(session).reading(session.tenant) as connection:
        book = await read_rules(connection, session.tenant)
        known = next((one for one in book.rules if (one.kind, one.which) == (kind, which)), base)
        terms = {name: getattr(known, name) if value is None else value for name, value in given.items()}
        own_step = next_step if any(value is not None for value in given.values()) else _own_step(book, known)
        asked = applied(base, {**terms, "which": which, "next_step": own_step})
        filled = all(value is not None for value in given.values())
        ordered = asked.after_minutes <= asked.sla_minutes
        moved = None
        if filled and ordered:
            others = replaced(book.rules, asked, (kind, which))
            moved = await would_move(connection, session.tenant, now, book.rules, others)
        drops = None
        if (kind, which) in book.own:
            back = next((one for one in SHIPPED if (one.kind, one.which) == (kind, which)), None)
            without = replaced(book.rules, back, (kind, which))
            drops = await would_move(connection, session.tenant, now, book.rules, without)
    return await site.page(
        request,
        session,
        "rule_change.html",
        book=book,
        rule=asked,
        which=which,
        own_step=own_step,
        filled=filled,
        ordered=ordered,
        moved=moved,
        drops=drops,
        owners=OWNERS,
        asked=uuid4(),
    )


def _own_step(book: RuleBook, rule: Rule) -> str:
    own = book.own.get((rule.kind, rule.which))
    return str(own["next_step"] or "") if own else ""


def _shown(rule: Rule) -> tuple[int, bool, str]:
    """In the console's order of kinds, the one for the whole kind behind those for one of it."""
    kinds = list(dict.fromkeys(one.kind for one in SHIPPED))
    return kinds.index(rule.kind), rule.which is None, rule.which or ""


def _no_rule(kind: str) -> Problem:
    return Problem(
        404,
        "unknown_rule",
        "No such rule",
        f"{kind} is not split like that: there is nothing for such a rule to be about.",
        "Choose one of the rules that are there.",
    )
