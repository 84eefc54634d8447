"""Who may release which hold, and approve a plan: whoever the tenant's rules give it to, and those who may
release any."""

from collections.abc import Sequence
from typing import Literal

from libs.runtime.problems import Problem
from services.console.rule_book import read_rules
from services.console.rules import Rule, rule_of
from services.console.web.roles import OWNED
from services.console.web.sessions import Session
from services.console.web.site import Site

Held = Literal["hold", "review"]
"""Kinds of exception that a person ends by letting the order go on."""


def may_release(session: Session, rules: Sequence[Rule], which: str, kind: Held = "hold") -> bool:
    """By rules, which are the tenant's of now. `which`: a hold's name, or the round of a plan."""
    if session.may("hold"):
        return True
    return session.may("release") and rule_of(rules, kind, which).owner in OWNED.get(session.role, ())


async def tenants_rules(site: Site, session: Session) -> Sequence[Rule]:
    """The rules of now, of the person's tenant."""
    async with site.queries(session).reading(session.tenant) as connection:
        return (await read_rules(connection, session.tenant)).rules


async def check_release(site: Site, session: Session, which: str, kind: Held = "hold") -> None:
    """Raises Problem 403 where the hold, or the plan, is not this person's to release."""
    rules = await tenants_rules(site, session)
    if not may_release(session, rules, which, kind):
        raise not_theirs(rule_of(rules, kind, which))


def not_theirs(rule: Rule) -> Problem:
    """By the rule that the hold, or the plan, falls under."""
    code, title, what = "not_your_hold", "This hold is not yours to release", "which hold"
    if rule.kind == "review":
        code, title, what = "not_your_review", "This plan is not yours to approve", "what"
    return Problem(
        403,
        code,
        title,
        f"By your tenant's rules it is for {rule.owner}: {rule.title}. Nothing was changed.",
        f"Ask them, or an operator; who owns {what} stands under Exceptions, The rules.",
    )
