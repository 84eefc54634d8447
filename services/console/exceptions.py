"""The queue of exceptions: what needs a person now, whose it is, and by when. Read at one moment, `now`.

Two sources: items that events made (the table `exceptions`), and orders that have stood in a segment longer
than a rule allows, which no event says. Both leave by an event: the order goes on, or somebody's care of it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from libs.events.record import record
from services.console.cursor import read_cursor
from services.console.items import STUCK, stuck_name
from services.console.rules import RULES, Rule
from services.console.store import Connection
from services.console.today import EVERYTHING, Only

Row = Mapping[str, Any]

_FOUND = """WITH rules AS (SELECT * FROM jsonb_to_recordset($3::jsonb) AS r (place int, kind text, which text,
        owner text, after_minutes int, sla_minutes int)),
    found AS (
        SELECT e.order_id, e.kind, split_part(e.item, '/', 2) AS which, e.item, e.since_at, e.node, e.units,
            e.why, e.assignee, e.snoozed_until_at, e.snoozed_why, rule.place, rule.owner,
            e.since_at + rule.sla_minutes * interval '1 min' AS due_at
        FROM exceptions e, LATERAL (SELECT * FROM rules r
            WHERE r.kind = e.kind AND (r.which IS NULL OR r.which = split_part(e.item, '/', 2))
            ORDER BY r.place LIMIT 1) AS rule
        WHERE e.tenant = $1 AND e.ended_at IS NULL AND e.kind <> 'stuck'
            AND e.since_at + rule.after_minutes * interval '1 min' <= $2
        UNION ALL
        SELECT o.order_id, 'stuck', o.waiting_in, 'stuck/' || o.waiting_in, o.waiting_since_at,
            o.nodes, o.units,
            '', e.assignee, e.snoozed_until_at, coalesce(e.snoozed_why, ''), rule.place, rule.owner,
            o.waiting_since_at + rule.sla_minutes * interval '1 min'
        FROM rules rule JOIN orders o ON o.waiting_in = rule.which
            AND o.waiting_since_at <= $2 - rule.after_minutes * interval '1 min'
        LEFT JOIN exceptions e ON e.tenant = o.tenant AND e.order_id = o.order_id AND e.kind = 'stuck'
            AND e.since_at = o.waiting_since_at AND starts_with(e.item, 'stuck/' || o.waiting_in || ' ')
        WHERE rule.kind = 'stuck' AND o.tenant = $1 AND o.waiting_in <> '' AND e.ended_at IS NULL
    )"""
_QUEUE = """ SELECT found.*, o.status, o.channel, o.external_id FROM found
    JOIN orders o ON o.tenant = $1 AND o.order_id = found.order_id"""
_COUNTS = """ SELECT owner, kind, count(*) FILTER (WHERE NOT snoozed)::bigint AS open,
        count(*) FILTER (WHERE NOT snoozed AND due_at < $2)::bigint AS overdue,
        count(*) FILTER (WHERE snoozed)::bigint AS snoozed,
        min(since_at) FILTER (WHERE NOT snoozed) AS oldest_at
    FROM (SELECT *, coalesce(snoozed_until_at > $2, false) AS snoozed FROM found{only}) AS counted
    GROUP BY owner, kind ORDER BY owner, kind"""
_RULES = orjson.dumps(
    [{"place": place, **rule.model_dump(mode="json")} for place, rule in enumerate(RULES)]
).decode()
_ONLY = " WHERE EXISTS (SELECT FROM orders o WHERE o.tenant = $1 AND o.order_id = found.order_id{})"
NOBODY = "-"
"""As an assignee that is asked for: none."""


@record
class QueueFilter:
    """Which items; none means any. Snoozed ones only if `snoozed`, and then those alone."""

    owner: str | None = None
    kind: str | None = None
    assignee: str | None = None
    snoozed: bool = False
    node: str | None = None


@dataclass(frozen=True, slots=True)
class Work:
    """One item of the queue, with its rule. `item` is what commands name."""

    row: Row
    rule: Rule
    item: str

    def document(self, now: datetime) -> dict[str, Any]:
        """As the API tells it."""
        shown = {name: value for name, value in self.row.items() if name not in ("place", "which", "item")}
        return shown | {
            "item": self.item,
            "title": self.rule.title,
            "next_step": self.rule.next_step,
            "action": self.rule.action,
            "overdue": self.row["due_at"] < now,
        }


async def read_queue(
    connection: Connection,
    tenant: str,
    now: datetime,
    wanted: QueueFilter,
    after: tuple[datetime, str, str] | None,
    limit: int,
) -> list[Work]:
    """Items, the one that is due first before all, from behind (due_at, order_id, item) on."""
    values: list[Any] = [tenant, now, _RULES]
    terms = ["(found.snoozed_until_at > $2) IS " + ("TRUE" if wanted.snoozed else "NOT TRUE")]

    def add(term: str, *given: object) -> None:
        names = [f"${len(values) + number}" for number in range(1, len(given) + 1)]
        terms.append(term.format(*names))
        values.extend(given)

    if wanted.owner is not None:
        add("found.owner = {}", wanted.owner)
    if wanted.kind is not None:
        add("found.kind = {}", wanted.kind)
    if wanted.node is not None:
        add("{} = ANY (string_to_array(found.node, ','))", wanted.node)
    if wanted.assignee == NOBODY:
        terms.append("found.assignee IS NULL")
    elif wanted.assignee is not None:
        add("found.assignee = {}", wanted.assignee)
    if after is not None:
        add("(found.due_at, found.order_id, found.item) > ({}, {}, {})", *after)
    values.append(limit)
    order = f" ORDER BY found.due_at, found.order_id, found.item LIMIT ${len(values)}"
    query = _FOUND + _QUEUE + f" WHERE {' AND '.join(terms)}" + order
    return [_work(dict(row)) for row in await connection.fetch(query, *values)]


async def count_queue(
    connection: Connection, tenant: str, now: datetime, only: Only = EVERYTHING
) -> Sequence[Row]:
    """Items by owner and kind: open, of those overdue, and snoozed; and since when the oldest open one is."""
    counts = _COUNTS.format(only=_ONLY.format(only.terms(4)) if only.values else "")
    rows = await connection.fetch(_FOUND + counts, tenant, now, _RULES, *only.values)
    return [dict(row) for row in rows]


def read_place(cursor: str | None) -> tuple[datetime, str, str] | None:
    """A place in the queue, of a cursor. Raises Problem 400."""
    if cursor is None:
        return None
    due_at, order_id, item = read_cursor("exceptions", cursor, (datetime, str, str))
    assert isinstance(due_at, datetime)
    return due_at, str(order_id), str(item)


def place_of(work: Work) -> tuple[datetime, str, str]:
    """Its place in the queue, for a cursor."""
    return work.row["due_at"], work.row["order_id"], work.row["item"]


def _work(row: Row) -> Work:
    stuck = row["kind"] == STUCK
    name = stuck_name(row["which"], row["since_at"]) if stuck else row["item"]
    return Work(row, RULES[row["place"]], name)
