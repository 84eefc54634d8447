"""The newest orders that a search finds: by parts of words, by an article, by the start of an order id.

The search index, the articles' orders and the ids each give their newest; the newest of all of these are
looked at until a page is full, or HITS_MAX have been: what is older comes with the next page.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from libs.runtime.pool import Connection
from services.console.search.terms import Wanted
from services.console.where import Where

HITS_MAX = 1000
"""Orders that a page of a search looks at, before it is full."""
ARTICLES_MAX = 1000
"""Articles with a search's words of which orders are looked for; where more are meant, it has to say more."""
_FIRST_FILTERED = 200
"""Looked at first where there is a filter beside the words."""
_LONGER = 4
_LAST_ID = "\U0010ffff"
_LONG_AGO = datetime(1, 1, 1, tzinfo=UTC)
_LATEST = "SELECT max(ordered_at) FROM orders WHERE tenant = $1 AND ordered_at IS NOT NULL"

# Of many articles, the newest orders of each, as many as make a page together, tell how far back to look.
# An order of two of them counts once: or what is older than these would come before what was not read.
HITS = """WITH named AS MATERIALIZED (SELECT sku FROM search.find_articles($2, $4, $10)),
    share AS (SELECT $9::integer / greatest(1, count(*)) + 1 AS of_each FROM named),
    sampled AS MATERIALIZED (
        SELECT DISTINCT s.* FROM named AS a, share, LATERAL (SELECT ordered_at, order_id FROM order_skus
            WHERE tenant = $1 AND sku = a.sku AND (ordered_at, order_id) < ($6, $7) AND ordered_at >= $8
            ORDER BY ordered_at DESC, order_id DESC LIMIT of_each) AS s
    ),
    back AS (SELECT coalesce((SELECT ordered_at FROM sampled
        ORDER BY ordered_at DESC OFFSET $9::integer - 1 LIMIT 1), $8) AS to_at),
    begun AS MATERIALIZED (SELECT order_id, ordered_at FROM orders
        WHERE tenant = $1 AND order_id >= $5 AND order_id < $5 || '~'),
    hits AS MATERIALIZED (
        SELECT order_id, at, by_contact FROM search.newest($2, $3, $4, $6, $7, $8, $9::integer)
        UNION ALL
        SELECT s.order_id, s.ordered_at, false FROM named AS a, back, LATERAL (
            SELECT order_id, ordered_at FROM order_skus
            WHERE tenant = $1 AND sku = a.sku AND (ordered_at, order_id) < ($6, $7) AND ordered_at >= to_at
            ORDER BY ordered_at DESC, order_id DESC LIMIT $9::integer) AS s
        UNION ALL
        SELECT order_id, ordered_at, false FROM begun
        WHERE (ordered_at, order_id) < ($6, $7) AND ordered_at >= $8
    )
    SELECT order_id, at, bool_and(by_contact) AS by_contact,
        (SELECT count(*) FROM named) >= $10 AS articles_cut
    FROM hits GROUP BY order_id, at ORDER BY at DESC, order_id DESC LIMIT $9::integer"""
"""The newest hits from behind a place on, no older than a moment."""

Place = tuple[datetime, str]


@dataclass(frozen=True, slots=True)
class Search:
    """What to look for. `prefix`: the beginning of an order id."""

    words: Wanted
    prefix: str | None = None

    def values(self, tenant: str, before: Place, since: datetime, most: int) -> list[Any]:
        """The parameters of HITS."""
        patterns = [f"%{word}%" if len(word) > 2 else f"% {word}%" for word in self.words.words]
        tokens = (self.words.open_tokens, self.words.sealed_tokens)
        return [tenant, *tokens, patterns, self.prefix or None, *before, since, most, ARTICLES_MAX]


@dataclass(frozen=True, slots=True)
class Found:
    """A page's rows, and behind which place the next begins. Of a search: `hits`, how many orders it looked
    at; `looked_to`, back to when, where it stopped before the page was full; `articles_cut` where its words
    name more articles than it looks at, so that rows may be missing."""

    rows: Sequence[Mapping[str, Any]]
    following: Place | None
    hits: int = 0
    looked_to: datetime | None = None
    articles_cut: bool = False

    @property
    def complete(self) -> bool:
        """Whether no row is missing up to where the next page begins, and the page is full or the last."""
        return self.looked_to is None and not self.articles_cut


async def find(
    connection: Connection,
    select: str,
    asked: Where,
    search: Search,
    since: datetime | None,
    after: Place | None,
    limit: int,
) -> Found:
    """Up to `limit` rows of `select`, the newest first, from behind `after` on; each with `by_contact`: that
    alone is still to be compared with what is sealed. `asked` has the tenant as its first value."""
    tenant = asked.values[0]
    if after is None:
        latest = await connection.fetchval(_LATEST, tenant)
        if latest is None:
            return Found([], None)
        after = latest, _LAST_ID
    place, since = after, since or _LONG_AGO
    rows: list[Mapping[str, Any]] = []
    looked, cut, more = 0, False, True
    most = max(limit + 1, _FIRST_FILTERED) if len(asked.values) > 1 else limit + 1
    while more and len(rows) <= limit and looked < HITS_MAX:
        most = min(most, HITS_MAX - looked)
        hits = await connection.fetch(HITS, *search.values(tenant, place, since, most))
        rows += await _rows(connection, select, asked, {hit["order_id"]: hit["by_contact"] for hit in hits})
        more = len(hits) == most
        if hits:
            place, cut = (hits[-1]["at"], hits[-1]["order_id"]), hits[-1]["articles_cut"]
        looked, most = looked + len(hits), most * _LONGER
    if len(rows) > limit:
        rows = rows[:limit]
        return Found(rows, (rows[-1]["ordered_at"], rows[-1]["order_id"]), looked, None, cut)
    return Found(rows, place, looked, place[0], cut) if more else Found(rows, None, looked, None, cut)


async def _rows(
    connection: Connection, select: str, asked: Where, by_contact: Mapping[str, bool]
) -> list[Mapping[str, Any]]:
    if not by_contact:
        return []
    terms = f"{' AND '.join(asked.terms)} AND order_id = ANY(${len(asked.values) + 1}::text[])"
    rows = await connection.fetch(
        f"{select} WHERE {terms} ORDER BY ordered_at DESC, order_id DESC", *asked.values, list(by_contact)
    )
    return [dict(row) | {"by_contact": by_contact[row["order_id"]]} for row in rows]
