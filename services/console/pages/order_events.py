"""An order's events: page by page, as some have more than their page shows, and the document of each."""

from datetime import datetime
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends, Path, Query, Request, Response

from libs.events.contract import OrderId
from libs.runtime.problems import Problem
from services.console.cursor import CURSOR_LENGTH_MAX, read_cursor, write_cursor
from services.console.history import Place
from services.console.notes import notes
from services.console.pages.one_order import found
from services.console.queries import TIMELINE_KEY, Row, key_of
from services.console.web.sessions import Session
from services.console.web.site import Site

ROWS = 200
After = Annotated[str, Query(max_length=CURSOR_LENGTH_MAX)]


def routes(site: Site) -> APIRouter:
    """Both pages. They do not follow the log: what has happened stays."""
    router = site.router()
    reader = Annotated[Session, Depends(site.guard.require("read"))]

    @router.get("/orders/{order_id}/events")
    async def events(request: Request, session: reader, order_id: OrderId, after: After = "") -> Response:
        row, _ = await found(site, session, order_id)
        place: Any = tuple(read_cursor("timeline", after, (datetime, str, int, int))) if after else None
        rows = await site.queries(session).timeline(session.tenant, order_id, place, ROWS + 1)
        entries = rows[:ROWS]
        return await site.page(
            request,
            session,
            "order_events.html",
            row=row,
            entries=entries,
            notes=await notes(site.about, session, order_id, entries),
            first=not after,
            following=place_behind(rows[ROWS - 1]) if len(rows) > ROWS else None,
        )

    @router.get("/orders/{order_id}/events/{stage}/{lane}/{sequence}")
    async def document(
        request: Request,
        session: reader,
        order_id: OrderId,
        stage: str,
        lane: Annotated[int, Path(ge=0, lt=2**31)],
        sequence: Annotated[int, Path(ge=1, lt=2**62)],
    ) -> Response:
        place = Place(stage, lane, sequence)
        row = await site.queries(session).event(session.tenant, order_id, place.stage, lane, sequence)
        if row is None:
            raise _no_such_event(order_id)
        record = await site.about.history.record(place)
        return await site.page(
            request,
            session,
            "event.html",
            order_id=order_id,
            row=row,
            fields=[(name, value.decode(errors="replace")) for name, value in record.headers]
            if record
            else (),
            body=_pretty(record.value) if record else None,
            record=record,
        )

    return router


def place_behind(entry: Row) -> str:
    """The cursor of what follows an entry of a timeline."""
    return write_cursor("timeline", key_of(entry, TIMELINE_KEY))


def _no_such_event(order_id: str) -> Problem:
    return Problem(
        404,
        "unknown_event",
        "No such event",
        f"There is no order {order_id} that you may see with an event at this place.",
        "Open it from the order's timeline.",
    )


def _pretty(value: bytes | None) -> str:
    try:
        document: Any = orjson.loads(value or b"null")
        return orjson.dumps(document, option=orjson.OPT_INDENT_2).decode()
    except orjson.JSONDecodeError:
        return (value or b"").decode(errors="replace")
