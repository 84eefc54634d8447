"""The customer's page: one order by a signed link, in their language, and a return request."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

from babel.dates import format_date
from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import RedirectResponse

from libs.events.returns import AuthoriseReturn, ReturnLine
from libs.runtime.links import TOKEN_LENGTH_MAX, Link, NotALink, read_link
from services.console.customer_view import customer_view, returnable
from services.console.customer_words import LANGUAGES, STANDINGS, WORDS, language
from services.console.facts import State
from services.console.stored import read_state
from services.console.web.sessions import Session
from services.console.web.site import Site

ACTOR = "customer"
LINES_MAX = 1000
_REASON_MAX = 200
Token = Annotated[str, Path(max_length=TOKEN_LENGTH_MAX)]
Rma = Annotated[str, Query(max_length=80)]
Lang = Annotated[str | None, Query(max_length=8)]


def routes(site: Site) -> APIRouter:
    """/o/{token}. What goes wrong is said to a customer, not to an operator."""
    router = site.router()

    @router.get("/o/{token}")
    async def show(request: Request, token: Token, lang: Lang = None, rma: Rma = "") -> Response:
        speaks = language(lang, request.headers.get("accept-language", ""))
        found = await _open(site, token)
        if not isinstance(found, tuple):
            return _nothing(site, request, speaks, found)
        _, state = found
        registered = rma if rma in state.returns.rmas else ""
        return _page(site, request, token, speaks, state, registered=registered)

    @router.post("/o/{token}")
    async def ask(request: Request, token: Token, lang: Lang = None) -> Response:
        speaks = language(lang, request.headers.get("accept-language", ""))
        found = await _open(site, token)
        if not isinstance(found, tuple):
            return _nothing(site, request, speaks, found)
        link, state = found
        form = await request.form(max_fields=2 * LINES_MAX)
        lines = _lines({name: value for name, value in form.items() if isinstance(value, str)}, state)
        if not lines:
            return _page(site, request, token, speaks, state, problem="chosen_none", status=422)
        customer = Session(link.tenant, ACTOR, ACTOR, "support", "")
        command = AuthoriseReturn(order_id=link.order_id, lines=lines)
        outcome = await site.actions.send(customer, command)
        if not outcome.ok:
            problem = "later" if outcome.code in ("stage_unavailable", "undecided", "no_key") else "refused"
            return _page(site, request, token, speaks, state, problem=problem, status=409)
        rma = next((event["data"].get("rma_id", "") for event in outcome.events), "")
        return RedirectResponse(f"/o/{token}?lang={speaks}&rma={rma}", 303)

    return router


async def _open(site: Site, token: str) -> tuple[Link, State] | str:
    """The link and its order; or which words say what is wrong with it."""
    try:
        link = read_link(site.about.contacts.link_key(), token, datetime.now(UTC))
    except NotALink as wrong:
        return "expired" if wrong.expired else "unknown"
    facts = await site.everything.facts(link.tenant, [link.order_id])
    return (link, read_state(facts[link.order_id][1])) if link.order_id in facts else "unknown"


def _page(
    site: Site,
    request: Request,
    token: str,
    speaks: str,
    state: State,
    *,
    registered: str = "",
    problem: str = "",
    status: int = 200,
) -> Response:
    return site.shell.page(
        request,
        None,
        "customer.html",
        status=status,
        headers=_PRIVATE,
        view=customer_view(state),
        token=token,
        registered=registered,
        problem=problem,
        day=lambda at: format_date(at, "long", locale=speaks) if at else "",
        **_spoken(speaks),
    )


def _nothing(site: Site, request: Request, speaks: str, which: str) -> Response:
    status = 410 if which == "expired" else 404
    values = {"view": None, "problem": which, "token": "", "registered": ""}
    return site.shell.page(
        request, None, "customer.html", status=status, headers=_PRIVATE, **values, **_spoken(speaks)
    )


_PRIVATE = {"Referrer-Policy": "no-referrer", "X-Robots-Tag": "noindex"}
"""The address is the key: nobody else is to learn it."""


def _spoken(speaks: str) -> dict[str, Any]:
    return {"say": WORDS[speaks], "standings": STANDINGS[speaks], "speaks": speaks, "languages": LANGUAGES}


def _lines(form: Mapping[str, str], state: State) -> tuple[ReturnLine, ...]:
    """What the form asks for, of what may still come back: `units-<line>` and one reason for all."""
    reason = "".join(letter if letter.isprintable() else " " for letter in form.get("reason", ""))
    lines = []
    for line, units in returnable(state).items():
        wished = form.get(f"units-{line}", "")
        count = int(wished) if wished.isascii() and wished.isdigit() and len(wished) < 10 else 0
        if count:
            why = reason.strip()[:_REASON_MAX]
            lines.append(ReturnLine(line=line, quantity=min(count, units), reason=why))
    return tuple(lines)
