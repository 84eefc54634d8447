"""Sealed contacts of orders: opened for who may see them, compared with what was searched, or masked."""

from collections.abc import Mapping, Sequence
from typing import Any

from libs.events.order import Sealed
from libs.runtime.keyring import Keyring
from services.console.queries import Queries, Row
from services.console.search.terms import Wanted, contains, personal_words

MASKED = "•••"


class Contacts:
    """Opens what the search index keeps sealed. Whoever shows it in the clear has to note it first."""

    def __init__(self, queries: Queries, keyring: Keyring) -> None:
        self._queries, self._keyring = queries, keyring

    def index_key(self, tenant: str) -> bytes:
        """What to hash a search of personal data with."""
        return self._keyring.index_key(tenant)

    def link_key(self) -> bytes:
        """What to sign a customer's link with."""
        return self._keyring.link_key()

    async def open(self, tenant: str, order_ids: Sequence[str]) -> dict[str, Mapping[str, Any]]:
        """Personal data by order; an order without a contact, or of somebody who was erased, is missing."""
        sealed = await self._queries.contacts(tenant, order_ids) if order_ids else {}
        opened = await self._keyring.open_many(tenant, list(sealed.items()))
        return {id_: personal for id_, personal in zip(sealed, opened, strict=True) if personal is not None}

    async def open_sealed(
        self, tenant: str, sealed: Sequence[tuple[str, Sealed]]
    ) -> list[dict[str, Any] | None]:
        """Personal data by order id, in the order given; none for somebody who was erased."""
        return await self._keyring.open_many(tenant, sealed)

    async def confirmed(self, tenant: str, rows: Sequence[Row], search: Wanted) -> list[Row]:
        """Hits without those whose contact has the tokens of the search, but not its words."""
        by_contact = [row["order_id"] for row in rows if row["by_contact"]]
        opened = await self.open(tenant, by_contact)
        return [
            row
            for row in rows
            if not row["by_contact"]
            or contains(personal_words(opened.get(row["order_id"], {})), search.words)
        ]


def masked(personal: Mapping[str, Any]) -> dict[str, str]:
    """Enough to tell two customers apart on the phone, too little to write to one: `Z••• M•••`."""
    shown: dict[str, str] = {}
    name = personal.get("name")
    if isinstance(name, str) and name:
        shown["name"] = " ".join(f"{word[0]}{MASKED}" for word in name.split()[:3])
    for field in ("email", "phone", "postcode", "city"):
        if personal.get(field):
            shown[field] = MASKED
    return shown
