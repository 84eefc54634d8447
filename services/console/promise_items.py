"""Orders that are late, or about to be, as items of the queue: no event says so, the clock does.

What they are is Today's (`services.console.promises.due`): late once the day that was promised is over, at
risk before that. Both are read from one index, by when a promise ends: late ones up to now, the oldest first;
those at risk are among those that end later. People's care of one is of that moment; another date makes
another item.
"""

from collections.abc import Callable, Mapping

LATE, AT_RISK = "late", "at_risk"
OF_PROMISES: Mapping[str, str] = {LATE: "promise_ends_at", AT_RISK: "risk_at"}
"""The kinds, and the column of `orders` that says since when."""
_OPEN = {LATE: "", AT_RISK: " AND o.promise_ends_at > $2"}
_WHY = {
    LATE: "'It was promised for ' || promised_on || '.'",
    AT_RISK: "'It was promised for ' || promised_on || ', and will be late if nobody hurries it.'",
}


def promise_item(kind: str) -> str:
    """What the queue shows as the item of an order `o`, in SQL."""
    return f"'{kind}/' || o.promised_on"


def promise_source(kind: str) -> str:
    """Where its items come from, rule by rule. To be filled in: `{rules}`, and `{<kind>}` with more terms."""
    since = OF_PROMISES[kind]
    return f"""FROM {{rules}} rule, LATERAL (SELECT o.order_id, o.promised_on, o.{since} AS since_at, o.nodes,
                o.units, e.assignee, e.snoozed_until_at, e.snoozed_why, {promise_item(kind)} AS item
            FROM orders o LEFT JOIN exceptions e ON e.tenant = $1 AND e.order_id = o.order_id
                AND e.kind = '{kind}' AND e.since_at = o.{since}
            WHERE o.tenant = $1 AND o.risk_at IS NOT NULL{_OPEN[kind]}
                AND o.{since} <= rule.since_before AND e.ended_at IS NULL{{{kind}}}) AS {kind}
        WHERE rule.kind = '{kind}' AND rule.which IS NULL"""  # noqa: S608 - names of ours


def promise_found(kind: str) -> str:
    """Its items as the queue has them."""
    return f"""
        SELECT order_id, order_id, NULL, '{kind}', promised_on::text, item, since_at, nodes, units,
            {_WHY[kind]}, assignee, snoozed_until_at, coalesce(snoozed_why, ''), rule.place, rule.owner,
            since_at + rule.sla_minutes * interval '1 min'
        {promise_source(kind)}"""


def of_all(write: Callable[[str], str]) -> dict[str, str]:
    """What is written for each kind."""
    return {kind: write(kind) for kind in OF_PROMISES}
