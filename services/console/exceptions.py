"""The queue of exceptions: what needs a person now, whose it is, and by when. Read at one moment, `now`.

Three sources: items that events of orders made (the table `exceptions`); orders that have stood in a segment
longer than a rule allows, which no event says; and what is the matter with a SKU (`stock_items`). All leave
by an event: the order goes on, somebody's care of it, the stock is put right. What the rules are at the
moment of the question (`services.console.rules`) says whose an item is, and since when it is in the queue.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from libs.events.record import record
from services.console.cursor import read_cursor
from services.console.items import STUCK, stuck_name
from services.console.rule_book import read_rules
from services.console.rules import Rule
from services.console.store import Connection
from services.console.today import EVERYTHING, Only

Row = Mapping[str, Any]

FOUND = """SELECT e.order_id AS subject, e.order_id, NULL AS sku, e.kind, split_part(e.item, '/', 2) AS which,
            e.item, e.since_at, e.node, e.units, e.why, e.assignee, e.snoozed_until_at, e.snoozed_why,
            rule.place, rule.owner, e.since_at + rule.sla_minutes * interval '1 min' AS due_at
        FROM exceptions e, LATERAL (SELECT * FROM {rules} r
            WHERE r.kind = e.kind AND (r.which IS NULL OR r.which = split_part(e.item, '/', 2))
            ORDER BY r.place LIMIT 1) AS rule
        WHERE e.tenant = $1 AND e.ended_at IS NULL AND e.kind <> 'stuck'
            AND e.since_at <= rule.since_before
        UNION ALL
        SELECT o.order_id, o.order_id, NULL, 'stuck', o.waiting_in, 'stuck/' || o.waiting_in,
            o.waiting_since_at, o.nodes, o.units,
            '', e.assignee, e.snoozed_until_at, coalesce(e.snoozed_why, ''), rule.place, rule.owner,
            o.waiting_since_at + rule.sla_minutes * interval '1 min'
        FROM {rules} rule JOIN orders o ON o.waiting_in = rule.which
            AND o.waiting_since_at <= rule.since_before
        LEFT JOIN exceptions e ON e.tenant = o.tenant AND e.order_id = o.order_id AND e.kind = 'stuck'
            AND e.since_at = o.waiting_since_at AND starts_with(e.item, 'stuck/' || o.waiting_in || ' ')
        WHERE rule.kind = 'stuck' AND o.tenant = $1 AND o.waiting_in <> '' AND e.ended_at IS NULL
        UNION ALL
        SELECT 'sku/' || s.sku, NULL, s.sku, s.kind, split_part(s.item, '/', 2), s.item, s.opened_at, s.node,
            s.units, s.why, nullif(care.assignee, ''), care.snoozed_until_at, coalesce(care.snoozed_why, ''),
            rule.place, rule.owner,
            s.opened_at + rule.sla_minutes * interval '1 min'
        FROM stock_items s JOIN {rules} rule ON rule.kind = s.kind AND rule.which IS NULL
        LEFT JOIN stock_care care ON care.tenant = s.tenant AND care.sku = s.sku AND care.item = s.item
            AND care.since_at = s.opened_at
        WHERE s.tenant = $1 AND s.opened_at IS NOT NULL AND (s.closed_at IS NULL OR s.closed_at < s.opened_at)
            AND (s.units > 0 OR s.kind = 'low_stock') AND care.resolved_at IS NULL
            AND s.opened_at + rule.after_minutes * interval '1 min' <= $2"""
"""Items of tenant $1 that are in the queue at $2 by `rules`. A `subject` is the stream that it is about."""
RULES = """(SELECT *, $2::timestamptz - r.after_minutes * interval '1 min' AS since_before
    FROM jsonb_to_recordset({}::jsonb) AS r (place int, kind text, which text, owner text,
        after_minutes int, sla_minutes int))"""
"""Rules as `rules_json` writes them, of a parameter. From when on they tell is reckoned here: under row-level
security, PostgreSQL looks up in no index what it would have to reckon for each row."""
_FOUND = f"WITH rules AS MATERIALIZED {RULES.format('$3')}, found AS ({FOUND.format(rules='rules')})"
_QUEUE = """ SELECT found.*, o.status, o.channel, o.external_id FROM (SELECT * FROM found WHERE {terms}
        ORDER BY found.due_at, found.subject, found.item LIMIT {limit}) AS found
    LEFT JOIN orders o ON o.tenant = $1 AND o.order_id = found.order_id
    ORDER BY found.due_at, found.subject, found.item"""
_COUNTS = """ SELECT owner, kind, count(*) FILTER (WHERE NOT snoozed)::bigint AS open,
        count(*) FILTER (WHERE NOT snoozed AND due_at < $2)::bigint AS overdue,
        count(*) FILTER (WHERE snoozed)::bigint AS snoozed,
        min(since_at) FILTER (WHERE NOT snoozed) AS oldest_at
    FROM (SELECT *, coalesce(snoozed_until_at > $2, false) AS snoozed FROM found{only}) AS counted
    GROUP BY owner, kind ORDER BY owner, kind"""
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
        shown = {
            name: value
            for name, value in self.row.items()
            if name not in ("place", "which", "item", "subject")
        }
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
    """Items, the one that is due first before all, from behind (due_at, subject, item) on."""
    rules = (await read_rules(connection, tenant)).rules
    values: list[Any] = [tenant, now, rules_json(rules)]
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
        add("(found.due_at, found.subject, found.item) > ({}, {}, {})", *after)
    values.append(limit)
    query = _FOUND + _QUEUE.format(terms=" AND ".join(terms), limit=f"${len(values)}")
    return [_work(dict(row), rules) for row in await connection.fetch(query, *values)]


async def count_queue(
    connection: Connection, tenant: str, now: datetime, only: Only = EVERYTHING
) -> Sequence[Row]:
    """Items by owner and kind: open, of those overdue, and snoozed; and since when the oldest open one is."""
    counts = _COUNTS.format(only=_ONLY.format(only.terms(4)) if only.values else "")
    rules = rules_json((await read_rules(connection, tenant)).rules)
    rows = await connection.fetch(_FOUND + counts, tenant, now, rules, *only.values)
    return [dict(row) for row in rows]


def read_place(cursor: str | None) -> tuple[datetime, str, str] | None:
    """A place in the queue, of a cursor. Raises Problem 400."""
    if cursor is None:
        return None
    due_at, subject, item = read_cursor("exceptions", cursor, (datetime, str, str))
    assert isinstance(due_at, datetime)
    return due_at, str(subject), str(item)


def place_of(work: Work) -> tuple[datetime, str, str]:
    """Its place in the queue, for a cursor."""
    return work.row["due_at"], work.row["subject"], work.row["item"]


def rules_json(rules: Sequence[Rule]) -> str:
    """Rules as the queue's query takes them: the first that fits counts."""
    terms = {"kind", "which", "owner", "after_minutes", "sla_minutes"}
    return orjson.dumps(
        [{"place": place, **rule.model_dump(include=terms)} for place, rule in enumerate(rules)]
    ).decode()


def _work(row: Row, rules: Sequence[Rule]) -> Work:
    stuck = row["kind"] == STUCK
    name = stuck_name(row["which"], row["since_at"]) if stuck else row["item"]
    return Work(row, rules[row["place"]], name)
