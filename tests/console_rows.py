"""Read models and a search index of many orders, in a database of the bench's.

Orders are written by SQL, the index by its own code: what a query meets is what it would meet in production.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

import asyncpg

from libs.runtime.keyring import Keyring, Unsealed
from services.console.missing import FILL_MISSING
from services.console.search.entries import CONTACT, ORDER, Article, Part
from services.console.search.index import SearchIndex
from services.console.search.terms import words_of

TENANT = "bench"
SKUS, CUSTOMERS = 2_000, 4_000
_BATCH = 2_000
_SECONDS = 600.0
"""What a statement may take here that nobody waits for."""
_FIRST = ("Ada", "Grace", "Alan", "Edsger", "Barbara", "Donald", "Radia", "Leslie", "Tony", "Frances")
_LAST = (
    "Lovelace",
    "Hopper",
    "Turing",
    "Dijkstra",
    "Liskov",
    "Knuth",
    "Perlman",
    "Lamport",
    "Hoare",
    "Allen",
)
NEWEST = datetime(2026, 3, 1, tzinfo=UTC)

# Nine orders in ten are over; the rest are spread over what an open order can be. All were promised a day.
_ORDERS = """
    INSERT INTO live.orders (tenant, order_id, status, channel, external_id, customer_id, ordered_at,
        currency, total_minor, line_count, units, confirmed_at, paid_at, routed_at, picking_at, shipped_at,
        picked_up_at, delivered_at, events, last_at, facts, nodes, waiting_in, waiting_since_at, segments,
        last_node, last_carrier, broken, promised_on, promise_ends_at, risk_at, service)
    SELECT $1, o.id, o.status, CASE n % 5 WHEN 0 THEN 'phone' ELSE 'web' END, 'B' || n, (n % $3)::text,
        o.at, 'GBP', 1990, 1, 2,
        CASE WHEN o.status <> 'held' THEN o.at END, NULL, CASE WHEN sent THEN later.at END,
        CASE WHEN sent THEN later.at END, CASE WHEN n % 10 > 0 THEN later.at END, NULL,
        CASE WHEN n % 10 > 0 THEN later.at END, 12, later.at,
        format('{"intake":{"channel":"web","external_id":"B%s","currency":"GBP","payment":"paid","captured_at":'
            '"2026-03-01T00:00:00Z","accepted_at":"2026-03-01T00:00:00Z","lines":[{"line":1,"sku":"SKU-%s",'
            '"quantity":2,"unit_price_minor":995}]},"events":12,"last_at":"2026-03-01T00:00:00Z"}',
            n, n % $5),
        CASE n % 100 WHEN 50 THEN 'LON,MAN' ELSE 'LON' END,
        CASE WHEN sent AND n % 10 = 0 THEN 'pick' WHEN o.status = 'backordered' THEN 'stock' ELSE '' END,
        CASE WHEN o.status IN ('held', 'delivered') THEN NULL ELSE $4 - n % 400 * interval '1 minute' END,
        NULL, NULL, NULL, '', (o.at + interval '2 days')::date, o.at + interval '3 days',
        CASE WHEN n % 10 = 0 THEN o.at + interval '2 days' END, CASE n % 200 WHEN 7 THEN 'express' END
    FROM generate_series(1, $2::int) AS n CROSS JOIN LATERAL (SELECT
        md5('order ' || n)::uuid::text AS id, $4::timestamptz - n * $6::interval AS at,
        CASE WHEN n % 10 > 0 THEN 'delivered'
            ELSE (ARRAY['held', 'backordered', 'released', 'picking', 'shipped'])[1 + n / 10 % 5]
        END AS status) AS o
    CROSS JOIN LATERAL (SELECT least($4, o.at + interval '3 hours') AS at) AS later
    CROSS JOIN LATERAL (SELECT o.status NOT IN ('held', 'backordered') AS sent) AS reached"""
_CLAIMS = """
    INSERT INTO live.reservations (tenant, order_id, sku, wanted, held, allocated, issued, released, short,
        returned)
    SELECT $1, o.order_id, 'SKU-' || substr(o.external_id, 2)::int % $2, 2, 0,
        CASE WHEN status IN ('released', 'picking') THEN 2 ELSE 0 END,
        CASE WHEN status IN ('shipped', 'delivered') THEN 2 ELSE 0 END, 0, 0, 0
    FROM live.orders AS o WHERE o.tenant = $1 AND status <> 'held'"""
_EXCEPTIONS = """
    INSERT INTO live.exceptions (tenant, order_id, item, kind, since_at, node, units, why, snoozed_why, note)
    SELECT $1, order_id, CASE status WHEN 'held' THEN 'hold/payment' ELSE 'backordered/1' END,
        CASE status WHEN 'held' THEN 'hold' ELSE 'backordered' END, ordered_at, '', 2, 'It waits.', '', ''
    FROM live.orders WHERE tenant = $1 AND status IN ('held', 'backordered')"""
_IDS = "SELECT md5('order ' || n)::uuid::text FROM generate_series(1, $1) AS n"
_SKUS = """
    INSERT INTO live.order_skus
    SELECT $1, 'SKU-' || substr(external_id, 2)::int % $2, order_id, ordered_at
    FROM live.orders WHERE tenant = $1"""
_NODES = """
    INSERT INTO live.order_nodes
    SELECT tenant, node, order_id FROM live.orders, unnest(string_to_array(nodes, ',')) AS node
    WHERE tenant = $1"""
_TIMELINE = """
    INSERT INTO live.timeline
    SELECT $1, md5('order ' || n)::uuid::text,
        (ARRAY['intake', 'inventory', 'routing', 'fulfillment'])[1 + e % 4],
        n % 4, n * 3 + e, $3::timestamptz + e * interval '1 minute', 'oms.intake.order_accepted',
        'Something happened.', 'bench', '', md5(n || '/' || e)::uuid, md5(n || '/' || e - 1)::uuid
    FROM generate_series(1, $2::int) AS n CROSS JOIN generate_series(1, 12) AS e"""


async def seed(
    pool: asyncpg.Pool,
    keyring: Keyring,
    orders: int,
    newest: datetime = NEWEST,
    apart: timedelta = timedelta(minutes=1),
) -> None:
    """So many orders of one line of two units, with twelve events each, the last of them placed then."""
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("SET LOCAL statement_timeout = 0")
        await connection.execute("SET LOCAL orderlog.projector = 'on'")
        await connection.execute(_ORDERS, TENANT, orders, CUSTOMERS, newest, SKUS, apart, timeout=_SECONDS)
        await connection.execute(_SKUS, TENANT, SKUS, timeout=_SECONDS)
        await connection.execute(_TIMELINE, TENANT, orders, newest, timeout=_SECONDS)
        await connection.execute(_CLAIMS, TENANT, SKUS, timeout=_SECONDS)
        await connection.execute(_EXCEPTIONS, TENANT, timeout=_SECONDS)
        await connection.execute(_NODES, TENANT, timeout=_SECONDS)
        await connection.execute("SET LOCAL search_path = live")
        await connection.execute(FILL_MISSING, timeout=_SECONDS)
    index = SearchIndex(pool, keyring)
    await index.apply((), [Article(TENANT, f"SKU-{n}", _article(n)) for n in range(SKUS)], {})
    ids: list[str] = [
        row[0]
        for row in await pool.fetch(
            "SELECT md5('order ' || n)::uuid::text FROM generate_series(1, $1) AS n", orders
        )
    ]
    for first in range(0, orders, _BATCH):
        await index.apply(
            await _parts(
                keyring, ids, range(first + 1, min(orders, first + _BATCH) + 1), lambda n: newest - n * apart
            ),
            (),
            {},
        )
    async with pool.acquire() as connection:
        await connection.execute("SET statement_timeout = 0")
        await connection.execute("VACUUM ANALYZE", timeout=_SECONDS)
    await index.note_common()


def name(number: int) -> str:
    """The customer of an order; a thousand orders in a hundred thousand have the same."""
    return f"{_FIRST[number % 10]} {_LAST[number // 10 % 10]}{number % CUSTOMERS}"


async def _parts(
    keyring: Keyring, ids: Sequence[str], numbers: range, placed_at: Callable[[int], datetime]
) -> list[Part]:
    asked = [Unsealed(f"c:{n % CUSTOMERS}", ids[n - 1], {"name": name(n)}) for n in numbers]
    sealed = await keyring.seal_many(TENANT, asked)
    parts = [
        Part(
            TENANT,
            ids[n - 1],
            ORDER,
            tuple(words_of(f"B{n} {n % CUSTOMERS}")),
            customer_id=str(n % CUSTOMERS),
            at=placed_at(n),
        )
        for n in numbers
    ]
    both = zip(numbers, asked, sealed, strict=True)
    contacts = [Part(TENANT, one.order_id, CONTACT, sealed=seal, at=placed_at(n)) for n, one, seal in both]
    tracked = [Part(TENANT, ids[n - 1], "shipment 1", (f"zy{n:09d}",)) for n in numbers if n % 10]
    return parts + contacts + tracked


def _article(number: int) -> str:
    colours, things = ("red", "blue", "ivory", "green"), ("lantern", "teapot", "cushion", "doorstop", "clock")
    return f"{colours[number % 4]} {things[number // 4 % 5]} no {number}"
