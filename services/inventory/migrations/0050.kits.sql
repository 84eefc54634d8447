-- depends: 0002.two-times
-- Kits: units of parts that became part of one, and of a kit that was made of them, are the other side of each other.

ALTER TABLE balance DROP CONSTRAINT balance_not_below_zero;
ALTER TABLE balance ADD CONSTRAINT balance_not_below_zero
    CHECK (quantity >= 0 OR bucket IN ('supplier', 'adjustment', 'transfer', 'unreserved', 'kitted'));
