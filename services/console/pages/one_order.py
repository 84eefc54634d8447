"""What every page about one order needs: the order as this person may see it, and how an action ended."""

from collections.abc import Sequence

from fastapi import Request, Response
from fastapi.responses import RedirectResponse

from libs.runtime.problems import Problem
from services.console.facts import State
from services.console.queries import Row
from services.console.stored import read_state
from services.console.web.actions import Outcome
from services.console.web.sessions import Session
from services.console.web.site import Site


async def found(
    site: Site, session: Session, order_id: str, entries_max: int = 1
) -> tuple[Row, Sequence[Row]]:
    """The order's row, and as many entries of its timeline. Raises Problem 404."""
    order = await site.queries(session).order(session.tenant, order_id, entries_max)
    if order is None:
        raise Problem(
            404,
            "unknown_order",
            "No such order",
            "There is no order with this id that you may see, or it has not come here yet.",
            "Search for it by another of its numbers; one just submitted shows within a second.",
        )
    return order[0], order[2]


async def order_of(site: Site, session: Session, order_id: str) -> tuple[Row, State]:
    """The order's row and facts. Raises Problem 404."""
    row, _ = await found(site, session, order_id)
    return row, read_state(row["facts"])


async def told(site: Site, request: Request, session: Session, order_id: str, outcome: Outcome) -> Response:
    """Back to the order, which shows what comes of it; or why it was not done."""
    if outcome.ok:
        return RedirectResponse(f"/orders/{order_id}", 303)
    return await site.page(
        request,
        session,
        "confirm.html",
        status=409,
        order_id=order_id,
        what="It was not done",
        preview=None,
        action="",
        outcome=outcome,
    )


def units_of(text: str) -> int | None:
    """Units as a form sends them, seven digits at most, nothing for none; None where it is no such number."""
    written = text.strip() or "0"
    return int(written) if written.isascii() and written.isdigit() and len(written) < 8 else None


def one_line(text: str) -> str:
    """A person's words without line breaks and control characters."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
