-- depends: 0095.serials
-- Sums are of buckets that hold units. The other sides of the ledger (where receipts come from, what is not
-- reserved) hold none: each of their sums was a row that every batch wrote and nobody read. So no sum may be below zero. A
-- process of the release before that is still running has its batches refused; its lanes wait for their next owner.

DELETE FROM balance WHERE bucket IN ('supplier', 'adjustment', 'transfer', 'unreserved', 'kitted');
ALTER TABLE balance DROP CONSTRAINT balance_not_below_zero;
ALTER TABLE balance ADD CONSTRAINT balance_not_below_zero CHECK (quantity >= 0);
COMMENT ON TABLE balance IS 'Units by bucket, of those that hold units: the sum of the ledger.';

-- A lot is counted from when its units come into the house: off a purchase order, nobody has counted them by lot before.
DELETE FROM lot_balance WHERE bucket IN ('supplier', 'adjustment', 'transfer');
ALTER TABLE lot_balance DROP CONSTRAINT lot_balance_not_below_zero;
ALTER TABLE lot_balance ADD CONSTRAINT lot_balance_not_below_zero CHECK (quantity >= 0 OR bucket = 'inbound');
