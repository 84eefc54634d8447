"""The queue of exceptions: what needs a person now, whose it is, and by when. Read at one moment, `now`.

Five sources: items that events of orders made (the table `exceptions`); orders that have stood in a segment
longer than a rule allows, and orders that are late or at risk (`promise_items`), which no event says; what is
the matter with a SKU or a feed (`stock_items`); and keys that a stage has parked (`parked_items`). All leave
by an event: the order goes on, somebody's care of it, the stock is put right, the key is settled. What the
rules are at the moment of the question (`services.console.rules`) says whose an item is, and since when it is
in the queue.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from shlex import quote
from typing import Any

import orjson

from libs.events.ids import DEFAULT_TENANT
from libs.events.record import record
from libs.runtime.pool import Connection
from services.console.cursor import read_cursor
from services.console.items import STUCK, stuck_name
from services.console.parked_items import PARKED, PARKED_SOURCE, item_of
from services.console.promise_items import (
    OF_PROMISES,
    of_all,
    promise_found,
    promise_item,
    promise_source,
)
from services.console.rule_book import read_rules
from services.console.rules import Rule
from services.console.supply_items import OF_NO_UNITS, held_run
from services.console.today import EVERYTHING, Only

Row = Mapping[str, Any]

_COLUMNS = """subject, order_id, sku, kind, which, item, since_at, node, units, why, assignee,
    snoozed_until_at, snoozed_why, place, owner, due_at"""
_WHICH = """CASE WHEN rule.which IS NOT NULL THEN split_part(e.item, '/', 2) = rule.which
        WHEN cardinality(rule.others) > 0 THEN split_part(e.item, '/', 2) <> ALL (rule.others)
        ELSE TRUE END"""
_EVENTS = f"""FROM {{rules}} rule, LATERAL (SELECT * FROM exceptions e
            WHERE e.tenant = $1 AND e.kind = rule.kind AND e.ended_at IS NULL
                AND e.since_at <= rule.since_before AND {_WHICH}{{events}}) AS e
        WHERE rule.kind NOT IN {(STUCK, *OF_PROMISES)}"""  # noqa: S608 - names of ours
_STUCK = """FROM {rules} rule, LATERAL (SELECT o.order_id, o.waiting_in, o.waiting_since_at, o.nodes, o.units,
                e.assignee, e.snoozed_until_at, e.snoozed_why
            FROM orders o LEFT JOIN exceptions e ON e.tenant = $1 AND e.order_id = o.order_id
                AND e.kind = 'stuck' AND e.since_at = o.waiting_since_at
                AND starts_with(e.item, 'stuck/' || o.waiting_in || ' ')
            WHERE o.tenant = $1 AND o.waiting_in = rule.which AND o.waiting_in <> ''
                AND o.waiting_since_at <= rule.since_before AND e.ended_at IS NULL{stuck}) AS waits
        WHERE rule.kind = 'stuck'"""
"""Rule by rule, each as its index has it: what is oldest of a rule is due first of it."""
_STOCK = f"""
        SELECT CASE s.sku WHEN '' THEN 'feed' ELSE 'sku/' || s.sku END, NULL, nullif(s.sku, ''), s.kind,
            split_part(s.item, '/', 2), s.item, s.opened_at, s.node, s.units, s.why,
            nullif(care.assignee, ''), care.snoozed_until_at, coalesce(care.snoozed_why, ''),
            rule.place, rule.owner,
            s.opened_at + rule.sla_minutes * interval '1 min'
        FROM stock_items s JOIN {{rules}} rule ON rule.kind = s.kind AND rule.which IS NULL
        LEFT JOIN stock_care care ON care.tenant = s.tenant AND care.sku = s.sku AND care.item = s.item
            AND care.since_at = s.opened_at
        WHERE s.tenant = $1 AND s.opened_at IS NOT NULL AND (s.closed_at IS NULL OR s.closed_at < s.opened_at)
            AND (s.units > 0 OR s.kind IN {OF_NO_UNITS}) AND care.resolved_at IS NULL
            AND s.opened_at + rule.after_minutes * interval '1 min' <= $2
        UNION ALL {PARKED_SOURCE}"""  # noqa: S608 - names of ours
_FOUND = f"""SELECT e.order_id AS subject, e.order_id, NULL AS sku, e.kind,
            split_part(e.item, '/', 2) AS which, e.item, e.since_at, e.node, e.units, e.why, e.assignee,
            e.snoozed_until_at, e.snoozed_why,
            rule.place, rule.owner, e.since_at + rule.sla_minutes * interval '1 min' AS due_at
        {_EVENTS}
        UNION ALL
        SELECT waits.order_id, waits.order_id, NULL, 'stuck', waits.waiting_in, 'stuck/' || waits.waiting_in,
            waits.waiting_since_at, waits.nodes, waits.units, '', waits.assignee, waits.snoozed_until_at,
            coalesce(waits.snoozed_why, ''), rule.place, rule.owner,
            waits.waiting_since_at + rule.sla_minutes * interval '1 min'
        {_STUCK}
        UNION ALL {" UNION ALL ".join(of_all(promise_found).values())}
        UNION ALL {_STOCK}"""
RULES = """(SELECT *, $2::timestamptz - r.after_minutes * interval '1 min' AS since_before,
        $2::timestamptz - r.sla_minutes * interval '1 min' AS overdue_before
    FROM jsonb_to_recordset({}::jsonb) AS r (place int, kind text, which text, others text[], owner text,
        after_minutes int, sla_minutes int))"""
"""Rules as `rules_json` writes them, of a parameter. From when on they tell is reckoned here: under row-level
security, PostgreSQL looks up in no index what it would have to reckon for each row."""
_QUEUE = f"""WITH rules AS MATERIALIZED (SELECT *,
            {{behind}}::timestamptz - sla_minutes * interval '1 min' AS behind
        FROM {RULES.format("$3")} AS rules),
    found ({_COLUMNS}) AS ({
    _FOUND.format(rules="rules", events="{events}", stuck="{stuck}", **of_all("{{{}}}".format))
})
    SELECT found.*, o.status, o.channel, o.external_id FROM (SELECT * FROM found WHERE {{terms}}{{after}}
        ORDER BY due_at, subject, item LIMIT $4) AS found
    LEFT JOIN orders o ON o.tenant = $1 AND o.order_id = found.order_id
    ORDER BY found.due_at, found.subject, found.item"""  # noqa: S608 - names of ours
_COUNTED = """count(*) FILTER (WHERE {care} IS NOT TRUE) AS open,
            count(*) FILTER (WHERE {care} IS NOT TRUE AND {since} < rule.overdue_before) AS overdue,
            count(*) FILTER (WHERE {care}) AS snoozed,
            min({since}) FILTER (WHERE {care} IS NOT TRUE) AS oldest_at"""
_PROMISES = " UNION ALL ".join(
    f"""SELECT rule.owner, rule.kind,
            {_COUNTED.format(care=f"{kind}.snoozed_until_at > $2", since=f"{kind}.since_at")}
        {promise_source(kind).format(rules="rules", **{kind: "{stuck}"})}
        GROUP BY rule.place, rule.owner, rule.kind"""
    for kind in OF_PROMISES
)
_COUNTS = f"""WITH rules AS MATERIALIZED {RULES.format("$3")}
    SELECT owner, kind, sum(open)::bigint AS open, sum(overdue)::bigint AS overdue,
        sum(snoozed)::bigint AS snoozed, min(oldest_at) AS oldest_at
    FROM (SELECT rule.owner, rule.kind,
            {_COUNTED.format(care="e.snoozed_until_at > $2", since="e.since_at")}
        {_EVENTS.format(rules="rules", events="{events}")} GROUP BY rule.place, rule.owner, rule.kind
        UNION ALL
        SELECT rule.owner, rule.kind,
            {_COUNTED.format(care="waits.snoozed_until_at > $2", since="waits.waiting_since_at")}
        {_STUCK.format(rules="rules", stuck="{stuck}")} GROUP BY rule.place, rule.owner, rule.kind
        UNION ALL {_PROMISES}
        UNION ALL
        SELECT rule.owner, rule.kind,
            {_COUNTED.format(care="stock.snoozed_until_at > $2", since="stock.since_at")}
        FROM ({_STOCK.format(rules="rules")}) AS stock ({_COLUMNS}) JOIN rules rule USING (place){{stock}}
        GROUP BY place, rule.owner, rule.kind) AS counted
    GROUP BY owner, kind ORDER BY owner, kind"""  # noqa: S608 - names of ours
_ONLY = "EXISTS (SELECT FROM orders o WHERE o.tenant = $1 AND o.order_id = {}{})"
NOBODY = "-"
"""As an assignee that is asked for: none."""


@record
class QueueFilter:
    """Which items; none means any. Snoozed ones only if `snoozed`, and then those alone; if `overdue`, those
    that are."""

    owner: str | None = None
    kind: str | None = None
    assignee: str | None = None
    snoozed: bool = False
    node: str | None = None
    overdue: bool = False
    platform: bool = False
    """Parked keys too: of who may look at Platform."""


@dataclass(frozen=True, slots=True)
class Work:
    """One item of the queue, with its rule. `item` is what commands name."""

    row: Row
    rule: Rule
    item: str

    def commands(self, tenant: str) -> tuple[str, ...]:
        """What may be typed to settle it, whole, in order; nothing where it is done otherwise."""
        if self.row["kind"] != "feed_held":
            return ()
        feed, of = self.row["which"], "" if tenant == DEFAULT_TENANT else f" --tenant {tenant}"
        run = quote(held_run(self.row["why"]))
        return f"orderlog stock approve-feed {feed} {run}{of}", f"orderlog stock feed FILE --feed {feed}{of}"

    def document(self, now: datetime) -> dict[str, Any]:
        """As the API tells it."""
        shown = {
            name: value
            for name, value in self.row.items()
            if name not in ("place", "which", "item", "subject")
        }
        if self.row["kind"] == PARKED:
            key = item_of(self.row["subject"])
            shown |= {"stage": key.stage, "parked_key": key.key, "order_id": key.order_id}
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
    of_these = [
        (place, rule)
        for place, rule in enumerate(rules)
        if wanted.owner in (None, rule.owner)
        and wanted.kind in (None, rule.kind)
        and (wanted.platform or rule.kind != PARKED)
    ]
    values: list[Any] = [tenant, now, rules_json(rules, of_these), limit]

    def ask(*given: object) -> list[str]:
        values.extend(given)
        return [f"${number}" for number in range(len(values) - len(given) + 1, len(values) + 1)]

    snoozed = "{care}.snoozed_until_at > $2"
    terms = [snoozed if wanted.snoozed else f"({snoozed}) IS NOT TRUE"]
    if wanted.node is not None:
        terms += [f"{ask(wanted.node)[0]} = ANY (string_to_array({{place}}, ','))"]
    if wanted.assignee == NOBODY:
        terms += ["{care}.assignee IS NULL"]
    elif wanted.assignee is not None:
        terms += [f"{{care}}.assignee = {ask(wanted.assignee)[0]}"]
    behind, rest = "$2", ""
    if after is not None:
        behind, *rest_of_key = ask(*after)
        rest = ", ".join(rest_of_key)
    text = _QUEUE.format(
        behind=behind,
        events=_first(terms, "e", "e.node", "e.since_at, e.order_id, e.item", rest),
        stuck=_first(terms, "e", "o.nodes", "o.waiting_since_at, o.order_id, 'stuck/' || o.waiting_in", rest),
        **of_all(
            lambda kind: _first(
                terms, "e", "o.nodes", f"o.{OF_PROMISES[kind]}, o.order_id, {promise_item(kind)}", rest
            )
        ),
        # Of each rule what is due first has been found, so all that is overdue is there.
        terms=" AND ".join(
            [term.format(care="found", place="found.node") for term in terms]
            + ["due_at < $2"] * wanted.overdue
        ),
        after=f" AND (due_at, subject, item) > ({behind}, {rest})" if rest else "",
    )
    return [_work(dict(row), rules) for row in await connection.fetch(text, *values)]


def _first(terms: Sequence[str], care: str, place: str, key: str, rest: str) -> str:
    """The first of one rule's, from behind the place that a page ended at on."""
    asked = [term.format(care=care, place=place) for term in terms]
    if rest:
        asked.append(f"({key}) > (rule.behind, {rest})")
    return f" AND {' AND '.join(asked)} ORDER BY {key} LIMIT $4"


async def count_queue(
    connection: Connection, tenant: str, now: datetime, only: Only = EVERYTHING, *, platform: bool = False
) -> Sequence[Row]:
    """Items by owner and kind: open, of those overdue, and snoozed; and since when the oldest open one is.
    With `platform`, parked keys too."""
    of_orders = only.terms(4)
    events, stock = (
        _ONLY.format(order_id, of_orders) if only.values else "TRUE"
        for order_id in ("e.order_id", "stock.order_id")
    )
    text = _COUNTS.format(events=f" AND {events}", stuck=of_orders, stock=f" WHERE {stock}")
    rules = (await read_rules(connection, tenant)).rules
    seen = [(place, rule) for place, rule in enumerate(rules) if platform or rule.kind != PARKED]
    return [
        dict(row) for row in await connection.fetch(text, tenant, now, rules_json(rules, seen), *only.values)
    ]


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


def found(rules: str) -> str:
    """Items of tenant $1 that are in the queue at $2, by the rules of a table of that name, made by RULES. A
    `subject` is the stream that an item is about."""
    return _FOUND.format(rules=rules, events="", stuck="", **of_all(lambda kind: ""))


def rules_json(rules: Sequence[Rule], of_these: Iterable[tuple[int, Rule]] | None = None) -> str:
    """Rules, or `of_these` with their places among them, as the queue's query takes them: a rule for any of a
    kind leaves those alone that have one of their own."""
    terms = {"kind", "which", "owner", "after_minutes", "sla_minutes"}
    own = [(rule.kind, rule.which) for rule in rules if rule.which is not None]
    return orjson.dumps(
        [
            {
                "place": place,
                "others": [which for kind, which in own if kind == rule.kind],
                **rule.model_dump(include=terms),
            }
            for place, rule in (enumerate(rules) if of_these is None else of_these)
        ]
    ).decode()


def _work(row: Row, rules: Sequence[Rule]) -> Work:
    kind, since = row["kind"], row["since_at"]
    if kind == STUCK:
        name = stuck_name(row["which"], since)
    else:
        name = f"{kind}/{since.isoformat()}" if kind in OF_PROMISES else row["item"]
    return Work(row, rules[row["place"]], name)
