-- depends: 0104.arrivals 0090.lots
-- Lots as of then: a snapshot of a SKU that has lots says of which lot each of its balances is. Those that were made
-- without are thrown away, to be made again.

ALTER TABLE ledger_snapshot ADD COLUMN lots text[];
COMMENT ON COLUMN ledger_snapshot.lots IS 'The lot of each balance, empty where it is of none; null where the SKU has no lots.';
DELETE FROM ledger_snapshot AS s WHERE EXISTS (
    SELECT FROM ledger_lot AS l WHERE l.tenant = s.tenant AND l.sku = s.sku AND l.position <= s.position);
