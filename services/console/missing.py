"""Units that backordered orders lack, in a table of their own: what is out of stock is counted from it alone.

It says of an order and a SKU what `orders` and `reservations` say together, and is kept in the transactions
that change either. An order's status comes in its own lane, units that are pegged to it in the SKU's. Rows of
reservations that a batch changes are locked until it commits; of an order that ever waited, so are those it
does not change. Whoever comes second therefore sees what the first has written.

An order that never waited costs nothing here.
"""

from collections.abc import Iterable, Mapping

from services.console.projection import Changes, OrderKey
from services.console.stock import ReservationKey
from services.console.stored import Written

_UNITS = "r.wanted - r.held - r.allocated - r.issued - r.released"
_ASKED = "unnest($1::text[], $2::text[], $3::text[]) AS asked (tenant, order_id, sku)"
LOCK_CLAIMS = f"""SELECT FROM reservations r JOIN {_ASKED} USING (tenant, order_id, sku)
    ORDER BY tenant, order_id, sku FOR UPDATE OF r"""
KEEP_MISSING = f"""MERGE INTO missing AS known USING (
        SELECT tenant, order_id, sku, {_UNITS} AS units, o.status = 'backordered' AND {_UNITS} > 0 AS lacks
        FROM {_ASKED} JOIN orders o USING (tenant, order_id) JOIN reservations r USING (tenant, order_id, sku)
    ) AS now ON (known.tenant, known.order_id, known.sku) = (now.tenant, now.order_id, now.sku)
    WHEN MATCHED AND NOT now.lacks THEN DELETE
    WHEN MATCHED AND known.units <> now.units THEN UPDATE SET units = now.units
    WHEN NOT MATCHED AND now.lacks THEN INSERT (tenant, order_id, sku, units)
        VALUES (now.tenant, now.order_id, now.sku, now.units)
    """  # noqa: S608
"""Of claims whose rows this transaction has changed or locked."""
FILL_MISSING = f"""INSERT INTO missing (tenant, order_id, sku, units)
    SELECT tenant, order_id, sku, {_UNITS} FROM orders o JOIN reservations r USING (tenant, order_id)
    WHERE o.status = 'backordered' AND {_UNITS} > 0"""  # noqa: S608
"""Of all, into a table that is empty."""


def of_waiting(changes: Changes, written: Mapping[OrderKey, Written]) -> list[ReservationKey]:
    """Claims on which a batch may have changed what is lacking, in key order: those of its orders that ever
    waited, and those that a SKU's event made for orders that the batch has not."""
    waited = [key for key, order in written.items() if order.state.inventory.backorders]
    found = {claim for key in waited for claim in _claims(key, written[key])}
    plain = written.keys() - set(waited)
    found.update(claim for claim in changes.reservations if claim[:2] not in plain)
    return sorted(found)


def _claims(key: OrderKey, order: Written) -> Iterable[ReservationKey]:
    inventory = order.state.inventory
    skus = {line.sku for line in inventory.lines.values()} | {part.sku for part in inventory.parts.values()}
    return (ReservationKey(*key, sku) for sku in skus)
