"""Orders: found, filtered, kept as a view, exported, and changed many at once."""

import csv
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from io import StringIO
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Form, Query, Request, Response
from fastapi.responses import RedirectResponse, StreamingResponse

from services.console.contacts import masked
from services.console.cursor import CURSOR_LENGTH_MAX, read_cursor, write_cursor
from services.console.finder import Finder
from services.console.hits import ARTICLES_MAX, Found
from services.console.order_view import money
from services.console.pages.amend import SERVICES
from services.console.pages.bulk import bulk_routes
from services.console.pages.days import ONE_DAY, day, moment, wrong
from services.console.queries import OrderFilter
from services.console.search.terms import QUERY_LENGTH_MAX
from services.console.segments import SEGMENTS
from services.console.standing import STATUSES
from services.console.today import MOMENTS, PROMISES
from services.console.web.sessions import Session
from services.console.web.site import Site

ROWS = 50
NO_NODES = "-"
"""As nodes that are asked for: none yet."""
_EXPORT_PAGE = 500
_COLUMNS = (
    "order_id", "status", "channel", "external_id", "customer_id", "ordered_at", "currency", "total_minor",
    "line_count", "units", "confirmed_at", "paid_at", "routed_at", "picking_at", "shipped_at", "picked_up_at",
    "delivered_at", "last_at", "promised_on",
)  # fmt: skip

Text = Annotated[str, Query(max_length=QUERY_LENGTH_MAX)]
Short = Annotated[str, Query(max_length=100)]


@dataclass(frozen=True, slots=True)
class Asked:
    """The filters of an address, as they stand in it."""

    q: str = ""
    status: str = ""
    channel: str = ""
    customer: str = ""
    sku: str = ""
    since: str = ""
    until: str = ""
    reached: str = ""
    reached_from: str = ""
    reached_to: str = ""
    waits_in: str = ""
    nodes: str = ""
    promise: str = ""
    node: str = ""
    service: str = ""

    def query(self, **more: str) -> str:
        """The same as an address has it, with more; what is empty is left out."""
        names = {"q": self.q, "status": self.status, "channel": self.channel, "customer": self.customer}
        names |= {"sku": self.sku, "from": self.since, "to": self.until}
        names |= {"reached": self.reached, "reached_from": self.reached_from, "reached_to": self.reached_to}
        names |= {
            "waits_in": self.waits_in,
            "nodes": self.nodes,
            "promise": self.promise,
            "node": self.node,
            "service": self.service,
        } | more
        return urlencode({name: value for name, value in names.items() if value})

    @property
    def cursor(self) -> str:
        """The kind of a page's cursor; a search's rows are in order of when they were placed."""
        return "orders" if self.q else self.filter().cursor

    def filter(self) -> OrderFilter:
        """Raises Problem 422: a status, or a day, that there is not."""
        if self.status and self.status not in STATUSES:
            raise wrong("status", f"Take one of {', '.join(STATUSES)}.")
        if "\x00" in self.channel + self.customer + self.sku + self.nodes + self.node + self.service:
            raise wrong("filter", "Leave out the NUL character.")
        if self.waits_in and self.waits_in not in SEGMENTS:
            raise wrong("waits_in", f"Take one of {', '.join(SEGMENTS)}.")
        if self.reached and self.reached not in MOMENTS:
            raise wrong("reached", f"Take one of {', '.join(MOMENTS)}.")
        if self.promise and self.promise not in PROMISES:
            raise wrong("promise", f"Take one of {', '.join(PROMISES)}.")
        until = day("to", self.until)
        return OrderFilter(
            status=self.status or None,
            channel=self.channel or None,
            sku=self.sku or None,
            customer_id=self.customer or None,
            since=day("from", self.since),
            before=until + ONE_DAY if until else None,
            reached=self.reached or None,
            reached_from=moment("reached_from", self.reached_from),
            reached_to=moment("reached_to", self.reached_to),
            waits_in=self.waits_in or None,
            nodes="" if self.nodes == NO_NODES else self.nodes or None,
            promise=self.promise or None,
            promise_at=datetime.now(UTC) if self.promise else None,
            node=self.node or None,
            service=self.service or None,
        )


def asked(
    q: Text = "",
    status: Short = "",
    channel: Short = "",
    customer: Short = "",
    sku: Short = "",
    since: Annotated[str, Query(alias="from", max_length=30)] = "",
    until: Annotated[str, Query(alias="to", max_length=30)] = "",
    reached: Short = "",
    reached_from: Short = "",
    reached_to: Short = "",
    waits_in: Short = "",
    nodes: Text = "",
    promise: Short = "",
    node: Short = "",
    service: Short = "",
) -> Asked:
    """A dependency: the filters of a request."""
    words = (q.strip(), status, channel.strip(), customer.strip(), sku.strip())
    moments = (since, until, reached, reached_from, reached_to)
    return Asked(*words, *moments, waits_in, nodes, promise, node.strip(), service.strip())


Filters = Annotated[Asked, Depends(asked)]
After = Annotated[str, Query(max_length=CURSOR_LENGTH_MAX)]


def routes(site: Site) -> APIRouter:
    """The list, what can be done from it, and its export."""
    router = site.router()
    reader = Annotated[Session, Depends(site.guard.require("read"))]
    bulk_routes(router, site)
    _view_routes(router, site)

    @router.get("/orders")
    async def orders(request: Request, session: reader, filters: Filters, after: After = "") -> Response:
        found = await find(site, session, filters, after, ROWS)
        ids = [row["order_id"] for row in found.rows]
        opened = await site.about.contacts.open(session.tenant, ids) if session.may("personal") else {}
        names = {id_: masked(personal).get("name", "") for id_, personal in opened.items()}
        following = write_cursor(filters.cursor, found.following) if found.following else ""
        return await site.page(
            request,
            session,
            "orders.html",
            asked=filters,
            found=found,
            names=names,
            first=not after,
            next_query=filters.query(after=following) if following else "",
            statuses=STATUSES,
            moments=MOMENTS,
            promises=PROMISES,
            services=SERVICES,
            views=await site.about.views.of(session.tenant, session.actor),
            articles_max=ARTICLES_MAX,
            money=money,
        )

    @router.get("/orders.csv")
    async def export(session: reader, filters: Filters) -> Response:
        filters.filter()
        name = f"orders-{session.tenant}.csv"
        headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
        lines = _csv(site, session, filters)
        return StreamingResponse(lines, media_type="text/csv; charset=utf-8", headers=headers)

    return router


async def find(site: Site, session: Session, filters: Asked, after: str, limit: int) -> Found:
    """A page of the list as this person may see it."""
    place: Any = tuple(read_cursor(filters.cursor, after, (datetime, str))) if after else None
    personal = session.may("personal")
    finder = Finder(site.queries(session), site.about.contacts)
    return await finder.page(
        session.tenant, filters.filter(), filters.q or None, place, limit, personal=personal
    )


def _view_routes(router: APIRouter, site: Site) -> None:
    reader = Annotated[Session, Depends(site.guard.require("read"))]

    @router.post("/orders/views")
    async def save_view(
        session: reader,
        name: Annotated[str, Form(max_length=200)],
        query: Annotated[str, Form(max_length=2000)] = "",
    ) -> Response:
        await site.about.views.save(session.tenant, session.actor, " ".join(name.split()), query)
        return RedirectResponse(f"/orders?{query}", 303)

    @router.post("/orders/views/delete")
    async def delete_view(session: reader, name: Annotated[str, Form(max_length=200)]) -> Response:
        await site.about.views.delete(session.tenant, session.actor, name)
        return RedirectResponse("/orders", 303)


async def _csv(site: Site, session: Session, filters: Asked) -> AsyncIterator[str]:
    """All of a list, page by page; what a spreadsheet would take for a formula is quoted. Where a search has
    not looked at all, the last line says so."""
    yield _lines([_COLUMNS])
    after: str | None = ""
    while after is not None:
        found = await find(site, session, filters, after, _EXPORT_PAGE)
        yield _lines([_cell(row[name]) for name in _COLUMNS] for row in found.rows)
        after = write_cursor(filters.cursor, found.following) if found.following else None
    if found.articles_cut:
        told = f"orders of {ARTICLES_MAX} articles with these words. Say more of them."
        yield _lines([[f"Only a part was looked at: {told}"]])


def _lines(rows: Iterable[Sequence[str]]) -> str:
    out = StringIO()
    csv.writer(out).writerows(rows)
    return out.getvalue()


def _cell(value: object) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    text = "" if value is None else str(value)
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") and not isinstance(value, int) else text
