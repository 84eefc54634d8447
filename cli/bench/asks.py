"""What people ask of the console: addresses by kind of page, chosen by chance among what is there."""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlencode

import asyncpg

from cli.bench.copies import name
from cli.bench.month import TENANT

SAMPLE = 4_000
_SAMPLE = """SELECT o.order_id, o.external_id, o.customer_id, o.ordered_at, o.channel,
        (SELECT sku FROM live.reservations r WHERE r.tenant = o.tenant AND r.order_id = o.order_id
            LIMIT 1) AS sku,
        (SELECT words FROM search.parts p WHERE p.tenant = o.tenant AND p.order_id = o.order_id
            AND p.part LIKE 'shipment %' LIMIT 1) AS words
    FROM live.orders o TABLESAMPLE SYSTEM (least(100, $2::float8)) REPEATABLE (7)
    WHERE o.tenant = $1 AND o.ordered_at IS NOT NULL"""
_NEWEST = "SELECT max(ordered_at) FROM live.orders WHERE tenant = $1 AND ordered_at IS NOT NULL"
_STATUSES = ("held", "backordered", "released", "in_transit", "delivered", "cancelled", "unroutable")
_WAITS = ("stock", "pick", "pack", "carrier")


@dataclass(frozen=True, slots=True)
class There:
    """Orders that are there, by chance, and articles that were sold."""

    orders: Sequence[asyncpg.Record]
    articles: Sequence[str]
    newest: datetime


async def look(pool: asyncpg.Pool, articles: Sequence[str]) -> There:
    """As the projector sees them."""
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("SELECT set_config('orderlog.projector', 'on', true)")
        await connection.execute("SET LOCAL statement_timeout = 0")
        number = await connection.fetchval(
            "SELECT reltuples FROM pg_class WHERE oid = 'live.orders'::regclass"
        )
        share = 100 * SAMPLE / max(1, number)
        orders = await connection.fetch(_SAMPLE, TENANT, share, timeout=600)
        newest = await connection.fetchval(_NEWEST, TENANT)
    return There(orders, articles, newest)


Ask = Callable[[random.Random, There], str]


def _orders(**filters: str) -> str:
    return f"/orders?{urlencode(filters)}"


def _order(choice: random.Random, there: There) -> asyncpg.Record:
    return choice.choice(there.orders)


def _newest(choice: random.Random, there: There) -> str:
    return "/orders"


def _of_status(choice: random.Random, there: There) -> str:
    return _orders(status=choice.choice(_STATUSES))


def _of_channel(choice: random.Random, there: There) -> str:
    return _orders(channel=choice.choice(("retail", "phone")))


def _of_customer(choice: random.Random, there: There) -> str:
    return _orders(customer=_order(choice, there)["customer_id"] or "12345-1")


def _of_sku(choice: random.Random, there: There) -> str:
    return _orders(sku=_order(choice, there)["sku"] or "22632")


def _of_days(choice: random.Random, there: There) -> str:
    day = (there.newest - timedelta(days=choice.randrange(50))).date()
    return _orders(**{"from": day.isoformat(), "to": day.isoformat()}, status=choice.choice(("", *_STATUSES)))


def _of_waiting(choice: random.Random, there: There) -> str:
    return _orders(waits_in=choice.choice(_WAITS))


def _of_pile(choice: random.Random, there: There) -> str:
    return _orders(waits_in=choice.choice(_WAITS), nodes=choice.choice(("LON", "MAN", "RTM", "LON,MAN")))


def _of_moment(choice: random.Random, there: There) -> str:
    since = there.newest - timedelta(days=1)
    return _orders(
        reached=choice.choice(("confirmed", "picking", "shipped", "delivered")),
        reached_from=since.isoformat(),
    )


def _name(choice: random.Random, there: There) -> str:
    first, _, last = name(choice.randrange(10_000)).partition(" ")
    return _orders(q=choice.choice((f"{first[:3]} {last}", last[:-1], last, first)))


def _number(choice: random.Random, there: There) -> str:
    number = _order(choice, there)["external_id"]
    return _orders(q=choice.choice((number, number[:-1], number[1:])))


def _id(choice: random.Random, there: There) -> str:
    id_ = _order(choice, there)["order_id"]
    return _orders(q=choice.choice((id_, id_[:8])))


def _tracking(choice: random.Random, there: There) -> str:
    words = (_order(choice, there)["words"] or " demo000").split()
    return _orders(q=choice.choice((words[-1], words[-1][:-3])))


def _article(choice: random.Random, there: There) -> str:
    words = choice.choice(there.articles).split()
    return _orders(q=" ".join(words[:2]))


def _sku_words(choice: random.Random, there: There) -> str:
    return _orders(q=_order(choice, there)["sku"] or "22632")


def _page(choice: random.Random, there: There) -> str:
    return f"/orders/{_order(choice, there)['order_id']}"


def _stock(choice: random.Random, there: There) -> str:
    return choice.choice(("/stock", "/stock?node=LON"))


def _one_sku(choice: random.Random, there: There) -> str:
    return f"/stock/{_order(choice, there)['sku'] or '22632'}?part=true"


def _delays(choice: random.Random, there: There) -> str:
    return f"/delays?by={choice.choice(('node', 'channel', 'carrier', 'day'))}"


def _measures(choice: random.Random, there: There) -> str:
    return f"/measures?by={choice.choice(('all', 'day', 'channel', 'node'))}"


def _exceptions(choice: random.Random, there: There) -> str:
    return choice.choice(("/exceptions", "/exceptions?kind=backordered", "/exceptions?whose=nobody"))


ASKS: Mapping[str, tuple[str, Ask]] = {
    "list: the newest": ("list", _newest),
    "list: of a status": ("list", _of_status),
    "list: of a channel": ("list", _of_channel),
    "list: of a customer": ("list", _of_customer),
    "list: with a SKU": ("list", _of_sku),
    "list: of a day": ("list", _of_days),
    "list: what waits in a segment": ("list", _of_waiting),
    "list: what waits at a node": ("list", _of_pile),
    "list: what came to a moment": ("list", _of_moment),
    "search: part of a name": ("search", _name),
    "search: external id": ("search", _number),
    "search: order id": ("search", _id),
    "search: tracking number": ("search", _tracking),
    "search: article": ("search", _article),
    "search: SKU": ("search", _sku_words),
    "order": ("order", _page),
    "Today": ("today", lambda choice, there: "/"),
    "Exceptions": ("list", _exceptions),
    "Stock": ("list", _stock),
    "Stock: one SKU": ("list", _one_sku),
    "Delays": ("insight", _delays),
    "Measures": ("insight", _measures),
    "Platform": ("insight", lambda choice, there: "/platform"),
}
"""By name: a kind of page, and where one of it is."""
