"""A page of orders as somebody asked for it: filtered, and searched as far as their role may see."""

from dataclasses import dataclass, replace
from datetime import datetime

from services.console.contacts import Contacts
from services.console.queries import OrderFilter, Queries, Row
from services.console.search.terms import wanted

_PREFIX_MIN = 3
Place = tuple[datetime, str]


@dataclass(frozen=True, slots=True)
class Found:
    """Rows of a page, and behind which one the next begins. `hits`: orders that the search looked at, of
    which the rows are those that are like the rest of the filter; `complete` unless there are more hits than
    it looks at, in no order: then rows may be missing."""

    rows: list[Row]
    following: Place | None
    hits: int = 0
    complete: bool = True


class Finder:
    """Asks the read models and, where it is needed, the keyring."""

    def __init__(self, queries: Queries, contacts: Contacts) -> None:
        self._queries, self._contacts = queries, contacts

    async def page(
        self,
        tenant: str,
        asked: OrderFilter,
        text: str | None,
        after: Place | None,
        limit: int,
        *,
        personal: bool,
    ) -> Found:
        """Up to `limit` orders, in the order of `Queries.orders`; in personal data it looks only if told that
        the person may see it. A page of a search may be shorter and still have a next."""
        if text is not None:
            text = text.strip()
            key = self._contacts.index_key(tenant) if personal else None
            prefix = text.lower() if len(text) >= _PREFIX_MIN and text.isascii() else None
            search = wanted(text, tenant, key)
            asked = replace(asked, search=search, prefix=None if "\x00" in text else prefix)
        rows = await self._queries.orders(tenant, asked, after, limit + 1)
        last = rows[limit - 1] if len(rows) > limit else None
        following = (last[asked.sorted_by], last["order_id"]) if last else None
        rows = rows[:limit]
        if asked.search is None:
            return Found(rows, following)
        hits, cut = (rows[0]["hits"], rows[0]["cut"]) if rows else await self._looked_at(tenant, asked)
        confirmed = await self._contacts.confirmed(tenant, rows, asked.search)
        return Found(confirmed, following, hits, not cut)

    async def _looked_at(self, tenant: str, asked: OrderFilter) -> tuple[int, bool]:
        assert asked.search is not None
        return await self._queries.looked_at(tenant, asked.search, asked.prefix)
