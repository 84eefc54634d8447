"""The query API on exceptions, delays and measures, of the caller's tenant. It changes nothing."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response

from libs.events.contract import Name, NodeId
from libs.events.exception_rules import Owner
from libs.runtime.problems import Problem
from libs.runtime.tokens import Claims
from services.console.answers import Fields, answer, selected
from services.console.api import READERS, After, Gate, Limit
from services.console.cursor import write_cursor
from services.console.exceptions import QueueFilter, count_queue, place_of, read_place, read_queue
from services.console.feeds_heard import read_feeds
from services.console.measures import DEFINITIONS, By, DelaysBy, Period, read_delays, read_measures
from services.console.own_writes import MinVersion, OwnWrites
from services.console.parked_items import unclaimed
from services.console.queries import Queries
from services.console.rule_book import read_changes, read_rules
from services.console.rules import Kind
from services.console.today import TODAY, Only, read_today
from services.console.web.roles import ROLES

DAYS = 30
DAYS_MAX = 400
ONE_MINUTE = timedelta(minutes=1)
Since = Annotated[datetime | None, Query(alias="from", description="A month before `to` if left out.")]
Before = Annotated[datetime | None, Query(alias="to", description="No part of it; now if left out.")]


def routes(gate: Gate, queries: Queries, own_writes: OwnWrites) -> APIRouter:
    """What belongs under /v1; for each role."""
    router = APIRouter(prefix="/v1")
    reader = Annotated[Claims, Depends(gate.require(*READERS))]

    _exceptions_routes(router, reader, queries, own_writes)

    @router.get("/measures", tags=["measures"], summary="How well orders are fulfilled")
    async def measures(
        request: Request,
        claims: reader,
        by: By = "all",
        since: Since = None,
        before: Before = None,
        fields: Fields = None,
    ) -> Response:
        """Up to the end of this minute where nobody names another, so that an answer stays for one."""
        now = _minute() + ONE_MINUTE
        asked = period(since, before, now)
        async with queries.reading(claims.tenant) as connection:
            found = await read_measures(connection, claims.tenant, asked, by, now)
        rows = [selected(row, fields) for row in found]
        return answer(request, _of(asked) | {"by": by, "measures": rows, "definitions": DEFINITIONS})

    _metrics_route(router, reader, queries)

    @router.get("/delays", tags=["measures"], summary="Where delivered orders' time went, in microseconds")
    async def delays(
        request: Request,
        claims: reader,
        by: DelaysBy = "all",
        since: Since = None,
        before: Before = None,
        fields: Fields = None,
    ) -> Response:
        """Up to the end of this minute where nobody names another, so that an answer stays for one."""
        now = _minute() + ONE_MINUTE
        asked = period(since, before, now)
        async with queries.reading(claims.tenant) as connection:
            found = await read_delays(connection, claims.tenant, asked, by, now)
        rows = [selected(row, fields) for row in found]
        return answer(request, _of(asked) | {"by": by, "delays": rows})

    return router


def _exceptions_routes(router: APIRouter, reader: Any, queries: Queries, own_writes: OwnWrites) -> None:
    @router.get("/exceptions", tags=["exceptions"], summary="What needs a person, what is due first")
    async def exceptions(
        request: Request,
        claims: reader,
        owner: Owner | None = None,
        kind: Kind | None = None,
        assignee: Annotated[Name | None, Query(description="Whose it is; `-` for nobody's.")] = None,
        snoozed: Annotated[bool, Query(description="Those that are put off, instead.")] = False,
        node: Annotated[NodeId | None, Query(description="Only what is at this node.")] = None,
        overdue: Annotated[bool, Query(description="Only what is overdue.")] = False,
        limit: Limit = 50,
        after: After = None,
        fields: Fields = None,
        min_version: MinVersion = None,
    ) -> Response:
        await own_writes.reached(request, min_version)
        now = datetime.now(UTC)
        platform = "platform" in ROLES.get(claims.role, ())
        wanted = QueueFilter(owner, kind, assignee, snoozed, node, overdue, platform)
        async with queries.reading(claims.tenant) as connection:
            await unclaimed(connection, claims.role)
            found = await read_queue(connection, claims.tenant, now, wanted, read_place(after), limit + 1)
            counts = await count_queue(connection, claims.tenant, now, platform=platform)
        following = write_cursor("exceptions", place_of(found[limit - 1])) if len(found) > limit else None
        documents = [
            work.document(now) | {"commands": work.commands(claims.tenant)} for work in found[:limit]
        ]
        rows = [selected(document, fields) for document in documents]
        told = {"exceptions": rows, "next": following, "counts": counts, "as_of": now}
        return answer(request, told, of_now=("as_of",))

    @router.get("/feeds", tags=["stock"], summary="When each feed was last heard, and which are silent")
    async def feeds(
        request: Request, claims: reader, fields: Fields = None, min_version: MinVersion = None
    ) -> Response:
        """How they are defined is inventory's to tell: `GET /v1/stock/feeds` at its edge."""
        await own_writes.reached(request, min_version)
        async with queries.reading(claims.tenant) as connection:
            found = await read_feeds(connection, claims.tenant)
        return answer(request, {"feeds": [selected(row, fields) for row in found]})

    @router.get("/exceptions/rules", tags=["exceptions"], summary="Who gets which exception, and by when")
    async def rules(
        request: Request,
        claims: reader,
        before: Annotated[int | None, Query(ge=1, lt=2**53)] = None,
        fields: Fields = None,
        min_version: MinVersion = None,
    ) -> Response:
        """Rules in force, those for one hold or segment before those for a kind; and the last changes, older
        than version `before` if it is given. They are changed at intake's edge."""
        await own_writes.reached(request, min_version)
        async with queries.reading(claims.tenant) as connection:
            book = await read_rules(connection, claims.tenant)
            changes = await read_changes(connection, claims.tenant, before)
        shown = [rule.model_dump() | {"own": (rule.kind, rule.which) in book.own} for rule in book.rules]
        told = [{name: value for name, value in row.items() if name != "tenant"} for row in changes]
        document = {"version": book.version, "rules": shown, "changes": told}
        return answer(request, selected(document, fields))


def _metrics_route(router: APIRouter, reader: Any, queries: Queries) -> None:
    @router.get(
        "/metrics", tags=["measures"], summary="The figures of Today and of Measures, with their meaning"
    )
    async def metrics(
        request: Request,
        claims: reader,
        by: By = "all",
        day: Annotated[date | None, Query(description="Measures of this day, UTC.")] = None,
        since: Since = None,
        before: Before = None,
        channel: Annotated[Name | None, Query(description="Only orders of this channel.")] = None,
        node: Annotated[NodeId | None, Query(description="Only orders that concern this node.")] = None,
        fields: Fields = None,
    ) -> Response:
        """`today` is of now and the last 24 hours, `measures` of a period: `day`, or `from` to `to`, or a
        month up to now. Moments that nobody named are full minutes, so that an answer stays for one."""
        minute = _minute()
        now = minute + ONE_MINUTE
        if day is not None:
            if since is not None or before is not None:
                raise _no_period("Both `day` and `from` or `to` are there.")
            since = datetime.combine(day, time(), UTC)
            before = since + timedelta(days=1)
        asked, only = period(since, before, now), Only(channel, node)
        async with queries.reading(claims.tenant) as connection:
            today = await read_today(connection, claims.tenant, minute - timedelta(days=1), now, only)
            counts = await count_queue(connection, claims.tenant, now, only)
            found = await read_measures(connection, claims.tenant, asked, by, now, only)
        document = {
            "channel": channel,
            "node": node,
            "today": today.document() | {"exceptions": counts},
            **_of(asked),
            "by": by,
            "measures": found,
            "definitions": {"today": TODAY, "measures": DEFINITIONS},
        }
        return answer(request, selected(document, fields))


def period(since: datetime | None, before: datetime | None, now: datetime) -> Period:
    """From and to, in UTC; what is left out is a month, up to now. Raises Problem 422."""
    for moment in (since, before):
        if moment is not None and not 1900 <= moment.year < 3000:
            raise _no_period("A moment is outside the years 1900 to 2999.")
    to = now if before is None else _utc(before)
    begin = to - timedelta(days=DAYS) if since is None else _utc(since)
    if not timedelta(0) < to - begin <= timedelta(days=DAYS_MAX):
        raise _no_period(f"It runs from {begin.isoformat()} to {to.isoformat()}.")
    return Period(begin, to)


def _no_period(detail: str) -> Problem:
    return Problem(
        422,
        "invalid_period",
        "That is not a period",
        detail,
        f"`from` comes before `to`, by {DAYS_MAX} days at most; both as in RFC 3339, e.g. 2026-03-02.",
    )


def _minute() -> datetime:
    """The one that is now, its beginning."""
    return datetime.now(UTC).replace(second=0, microsecond=0)


def _utc(at: datetime) -> datetime:
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


def _of(asked: Period) -> dict[str, Any]:
    return {"from": asked.since, "to": asked.before}
