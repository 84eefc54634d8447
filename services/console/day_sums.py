"""Sums of orders by day, channel and nodes, from which Measures and Delays read a month.

An order counts in each table on the day (UTC) on which it came to that table's moment; a backorder on that
on which it began. What an order counts for is a pure reading of its row and its items. The projector takes
away what it counted for and adds what it counts for now, in the transaction that writes the order, only
where that has changed. Rows are by lane, so that those of two projectors never wait for each other: what
counts is their sum over all lanes, and a row of one lane may be below zero.

What is measured of a part of a day is read from the orders themselves (`services.console.measures`).
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from operator import itemgetter
from typing import Any, NamedTuple, TypeAlias

from services.console.items import ItemRow, item_rows
from services.console.projection import OrderKey, OrderRow, order_row
from services.console.promise_items import OF_PROMISES
from services.console.segments import SEGMENTS
from services.console.stock_checks import AGREED, WAITS, WRONG
from services.console.stored import Source, Written

OF_TIME = ("stuck", *OF_PROMISES)
"""Kinds of items that events did not make: they are no part of any sum."""
OF_STOCK = ("backordered", "short_picked")
"""Kinds of items whose units were not there."""
_HOUR, _US = timedelta(hours=1), timedelta(microseconds=1)
_KEY = ("tenant", "day", "lane", "channel", "nodes")
"""Of each table. `channel` is empty where it is not known, as is `currency` below; `nodes` as an order's row
has them, so that who may see some nodes only sees the sums of the orders that they see."""


class SumTable(NamedTuple):
    """A table of sums. `more`: what its key has besides _KEY; `sums`: what is added up, `orders` first, which
    is 0 where nothing counts any more."""

    name: str
    more: tuple[str, ...]
    sums: tuple[str, ...]
    fill: str
    """Its rows of all orders, without lane, as SQL writes them."""

    @property
    def key(self) -> tuple[str, ...]:
        """Columns of its key."""
        return (*_KEY, *self.more)


def _day(moment: str) -> str:
    return f"({moment} AT TIME ZONE 'UTC')::date"


def _micros(interval: str) -> str:
    return f"(extract(epoch FROM {interval}) * 1000000)::bigint"


_SINCE_MIDNIGHT = f"e.since_at AT TIME ZONE 'UTC' - {_day('e.since_at')}"
_KINDS, _STOCK_KINDS = (", ".join(f"'{kind}'" for kind in kinds) for kinds in (OF_TIME, OF_STOCK))
_WHERE = "o.tenant, {day} AS day, coalesce(o.channel, '') AS channel, o.nodes"
_SPENT = ", ".join(
    f"split_part(o.segments, ',', {place})::bigint AS {name}_us" for place, name in enumerate(SEGMENTS, 1)
)
ACCEPTED = SumTable(
    "accepted_days",
    (),
    ("orders", "units", "items", "missing"),
    f"""SELECT {_WHERE.format(day=_day("o.confirmed_at"))}, 1 AS orders, o.units, e.items, e.missing
        FROM orders o LEFT JOIN LATERAL (SELECT count(*) AS items,
                coalesce(sum(units) FILTER (WHERE kind IN ({_STOCK_KINDS})), 0)::bigint AS missing
            FROM exceptions WHERE o.broken <> '' AND tenant = o.tenant AND order_id = o.order_id
                AND kind NOT IN ({_KINDS})) AS e ON true
        WHERE o.confirmed_at IS NOT NULL""",  # noqa: S608 - names of ours
)
SHIPPED = SumTable(
    "shipped_days",
    ("ship_hours",),
    ("orders", "split", "waited_us", "same_day", "next_day"),
    f"""SELECT {_WHERE.format(day=_day("o.shipped_at"))}, o.ship_hours, 1 AS orders,
            ('split' = ANY (string_to_array(o.broken, ' ')))::int AS split,
            {_micros("o.shipped_at - o.confirmed_at")} AS waited_us,
            coalesce(o.ship_days = 0, false)::int AS same_day,
            coalesce(o.ship_days = 1, false)::int AS next_day
        FROM orders o WHERE o.shipped_at IS NOT NULL AND o.confirmed_at IS NOT NULL""",  # noqa: S608
)
"""`ship_hours`: whole hours from acceptance to the first shipment: among those of one hour a percentile is
looked for."""
PICKED = SumTable(
    "pick_days",
    ("node",),
    ("orders", "lines", "short_lines", "units", "short_units"),
    f"""SELECT {_WHERE.format(day=_day("o.picking_at"))}, split_part(p.part, ',', 1) AS node, 1 AS orders,
            split_part(p.part, ',', 2)::bigint AS lines, split_part(p.part, ',', 3)::bigint AS short_lines,
            split_part(p.part, ',', 4)::bigint AS units, split_part(p.part, ',', 5)::bigint AS short_units
        FROM orders o CROSS JOIN LATERAL unnest(string_to_array(o.picks, ';')) AS p (part)
        WHERE o.picks IS NOT NULL""",  # noqa: S608 - names of ours
)
"""By the node that picked, on the day on which the order's work first came to a node."""
DELIVERED = SumTable(
    "delivered_days",
    ("broken", "currency"),
    ("orders", "promised", "on_time", "stated", "minor"),
    f"""SELECT {_WHERE.format(day=_day("o.delivered_at"))}, o.broken,
            coalesce(o.carriage_currency, '') AS currency, 1 AS orders,
            (o.promise_ends_at IS NOT NULL)::int AS promised,
            (coalesce(o.delivered_at < o.promise_ends_at, false))::int AS on_time,
            (o.carriage_minor IS NOT NULL)::int AS stated, coalesce(o.carriage_minor, 0) AS minor
        FROM orders o WHERE o.delivered_at IS NOT NULL""",  # noqa: S608
)
DELAYED = SumTable(
    "delay_days",
    ("node", "carrier"),
    ("orders", *(f"{name}_us" for name in SEGMENTS)),
    f"""SELECT {_WHERE.format(day=_day("o.delivered_at"))}, o.last_node AS node, o.last_carrier AS carrier,
            1 AS orders, {_SPENT}
        FROM orders o WHERE o.delivered_at IS NOT NULL AND o.segments IS NOT NULL""",  # noqa: S608
)
BACKORDERED = SumTable(
    "backorder_days",
    (),
    ("orders", "ended_us", "waiting", "waiting_us"),
    f"""SELECT {_WHERE.format(day=_day("e.since_at"))}, 1 AS orders,
            coalesce({_micros("e.ended_at - e.since_at")}, 0) AS ended_us,
            (e.ended_at IS NULL)::int AS waiting,
            CASE WHEN e.ended_at IS NULL THEN {_micros(_SINCE_MIDNIGHT)} ELSE 0 END AS waiting_us
        FROM exceptions e JOIN orders o USING (tenant, order_id) WHERE e.kind = 'backordered'""",  # noqa: S608
)
"""`orders` are backorders; `waiting_us`: when those began that have not ended, since the day's midnight."""
CHECKED = SumTable(
    "check_days",
    ("source", "reason"),
    ("orders", "agreed", "wrong", "waiting", "units", "off_units", "net_units"),
    f"""SELECT o.tenant, {_day("o.at")} AS day, '' AS channel, o.node AS nodes, o.source, o.reason,
            1 AS orders,
            (o.standing = '{AGREED}')::int AS agreed, (o.standing = '{WRONG}')::int AS wrong,
            (o.standing = '{WAITS}')::int AS waiting,
            CASE WHEN o.standing IN ('{AGREED}', '{WRONG}') THEN o.counted ELSE 0 END AS units,
            CASE o.standing WHEN '{WRONG}' THEN o.off_units ELSE 0 END AS off_units,
            CASE o.standing WHEN '{WRONG}' THEN o.net_units ELSE 0 END AS net_units
        FROM stock_checks o WHERE true""",  # noqa: S608 - names of ours
)
"""Of no order: `orders` are counts, differences with other systems and corrections of stock, `nodes` is where
they were. What changes them is in `services.console.check_sums`."""
SUM_TABLES: Mapping[str, SumTable] = {
    table.name: table for table in (ACCEPTED, PICKED, SHIPPED, DELIVERED, DELAYED, BACKORDERED, CHECKED)
}

_columns = itemgetter(
    *map(
        OrderRow._fields.index,
        (
            "channel", "nodes", "confirmed_at", "shipped_at", "delivered_at", "units", "broken", "segments",
            "last_node", "last_carrier", "promise_ends_at", "carriage_minor", "carriage_currency",
            "ship_days", "picks",
        ),
    )
)  # fmt: skip
Counts: TypeAlias = tuple[tuple[str, tuple[Any, ...], tuple[int, ...]], ...]
Sums: TypeAlias = dict[str, dict[tuple[object, ...], tuple[int, ...]]]
"""What is to be added, by table and key."""


def fill_sums(table: SumTable) -> str:
    """Of all orders, into a table that is empty."""
    key = ", ".join(name for name in table.key if name != "lane")
    sums = ", ".join(f"sum({name})" for name in table.sums)
    return f"""INSERT INTO {table.name} ({key}, lane, {", ".join(table.sums)})
        SELECT {key}, 0, {sums} FROM ({table.fill}) AS found GROUP BY {key}"""  # noqa: S608 - names of ours


def digest_sums(table: SumTable) -> str:
    """What a table says, whatever lanes its rows are of."""
    key = ", ".join(name for name in table.key if name != "lane")
    sums = ", ".join(f"sum({name}) AS {name}" for name in table.sums)
    return f"""SELECT {key}, {sums} FROM {table.name} GROUP BY {key} HAVING sum(orders) <> 0
        ORDER BY {key}"""  # noqa: S608 - names of ours


def source(row: OrderRow, items: Sequence[ItemRow]) -> Source:
    """All of an order that the sums are of: while it stands still, they do."""
    found: Source = (
        *_columns(row),
        row.picking_at if row.picks else None,  # before that it is no news
        tuple([(one.kind, one.since_at, one.ended_at, one.units) for one in items]),
    )
    return found


def counts(of: Source) -> Counts:
    """All that an order counts for: table, key without tenant and lane, and what is added there."""
    (
        channel, nodes, confirmed, shipped, delivered, units, broken, segments, last_node, last_carrier,
        ends, minor, currency, ship_days, picked, picking, items,
    ) = of  # fmt: skip
    found: list[tuple[str, tuple[object, ...], tuple[int, ...]]] = []
    channel = channel or ""
    if confirmed is not None:
        of_events = [one for one in items if one[0] not in OF_TIME] if broken else ()
        missing = sum([more for kind, _, _, more in of_events if kind in OF_STOCK])
        day = _utc_day(confirmed)
        found.append((ACCEPTED.name, (day, channel, nodes), (1, units, len(of_events), missing)))
        if shipped is not None:
            waited = shipped - confirmed
            of_hours = (_utc_day(shipped), channel, nodes, waited // _HOUR)
            split = "split" in broken.split(" ")
            waits = (1, int(split), waited // _US, int(ship_days == 0), int(ship_days == 1))
            found.append((SHIPPED.name, of_hours, waits))
    if picked:
        for part in picked.split(";"):
            node, *units_of = part.split(",")
            at_node = (_utc_day(picking), channel, nodes, node)
            found.append((PICKED.name, at_node, (1, *map(int, units_of))))
    if delivered is not None:
        day = _utc_day(delivered)
        of_kind = (day, channel, nodes, broken, currency or "")
        on_time = ends is not None and delivered < ends
        known = (1, int(ends is not None), int(on_time), int(minor is not None), minor or 0)
        found.append((DELIVERED.name, of_kind, known))
        if segments is not None:
            spent = tuple(map(int, segments.split(",")))
            of_last = (day, channel, nodes, last_node, last_carrier)
            found.append((DELAYED.name, of_last, (1, *spent)))
    found += [
        (BACKORDERED.name, (_utc_day(since), channel, nodes), _age(since, ended))
        for kind, since, ended, _ in items
        if kind == "backordered"
    ]
    return tuple(found)


def sources(rows: Mapping[str, Sequence[tuple[object, ...]]]) -> dict[OrderKey, Source]:
    """The same of all orders of a batch, of whose tables these are the rows."""
    of_order: dict[tuple[str, str], list[ItemRow]] = {}
    for item in rows["exceptions"]:
        assert isinstance(item, ItemRow)
        of_order.setdefault(item[:2], []).append(item)
    found = {}
    for row in rows["orders"]:
        assert isinstance(row, OrderRow)
        found[OrderKey(*row[:2])] = source(row, of_order.get(row[:2], ()))
    return found


def changed_sums(
    now: Mapping[OrderKey, Source], known: Mapping[OrderKey, Written], lanes: Mapping[OrderKey, int]
) -> Sums:
    """What a batch adds; `known` is how the orders stood before, `lanes` has the lane of each."""
    sums: Sums = {name: {} for name in SUM_TABLES}
    for key, after in now.items():
        before = _before(key, known[key]) if key in known else None
        if before == after:
            continue
        was = counts(before) if before is not None else ()
        for sign, of in ((-1, was), (1, counts(after))):
            for name, (day, *rest), amounts in of:
                place = (key.tenant, day, lanes[key], *rest)
                so_far = sums[name].get(place, (0,) * len(amounts))
                sums[name][place] = tuple([a + sign * b for a, b in zip(so_far, amounts, strict=True)])
    return {name: {key: of for key, of in found.items() if any(of)} for name, found in sums.items()}


def _before(key: OrderKey, order: Written) -> Source:
    """Of an order as it was written before; reckoned again where nobody has kept it."""
    if order.source is not None:
        return order.source
    return source(order_row(key, order), item_rows(*key, order.state))


def sum_rows(found: Mapping[tuple[object, ...], Iterable[int]]) -> list[tuple[object, ...]]:
    """Rows of a table, in key order."""
    return [(*key, *found[key]) for key in sorted(found, key=str)]


def _utc_day(at: datetime) -> date:
    return (at if at.tzinfo is UTC else at.astimezone(UTC)).date()


def _age(since: datetime, ended: datetime | None) -> tuple[int, ...]:
    if ended is not None:
        return (1, (ended - since) // _US, 0, 0)
    since = since.astimezone(UTC)
    return (1, 0, 1, (since - since.replace(hour=0, minute=0, second=0, microsecond=0)) // _US)
