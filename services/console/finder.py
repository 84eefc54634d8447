"""A page of orders as somebody asked for it: filtered, and searched as far as their role may see."""

import re
from dataclasses import replace

from services.console.contacts import Contacts
from services.console.hits import Found, Place, Search
from services.console.queries import OrderFilter, Queries
from services.console.search.terms import wanted

_PREFIX_MIN = 3
_SHIPMENT = re.compile(r"(.+)-s\d+")
"""What fulfillment calls a shipment: its order's id, and a number."""


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
        """Up to `limit` orders, in the order of `Queries.orders`, of a search the newest first; in personal
        data it looks only if told that the person may see it. A page of a search may be shorter and still
        have a next."""
        if text is None:
            rows = await self._queries.orders(tenant, asked, after, limit + 1)
            last = rows[limit - 1] if len(rows) > limit else None
            return Found(rows[:limit], (last[asked.sorted_by], last["order_id"]) if last else None)
        key = self._contacts.index_key(tenant) if personal else None
        search = Search(wanted(text.strip(), tenant, key), _prefix(text.strip()))
        found = await self._queries.search(tenant, asked, search, after, limit)
        confirmed = await self._contacts.confirmed(tenant, found.rows, search.words)
        return replace(found, rows=confirmed)


def _prefix(text: str) -> str | None:
    """The beginning of an order id that this may be."""
    if not text.isascii() or "\x00" in text:
        return None
    shipment = _SHIPMENT.fullmatch(text := text.lower())
    text = shipment[1] if shipment else text
    return text if len(text) >= _PREFIX_MIN else None
