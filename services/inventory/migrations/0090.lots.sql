-- depends: 0002.two-times
-- Lots: which lot a movement of the ledger is of, and the sums of those. SKUs without lots have no rows here.

CREATE TABLE ledger_lot (
    tenant    text    NOT NULL,
    sku       text    NOT NULL,
    position  bigint  NOT NULL,
    lot       text    NOT NULL,
    PRIMARY KEY (tenant, sku, position)
);
COMMENT ON TABLE ledger_lot IS 'Movements of units of a lot. Append-only.';
CREATE INDEX ledger_lot_lot ON ledger_lot (tenant, sku, lot, position);
CREATE TRIGGER ledger_lot_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_lot
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Behind the decision: whatever the code believes, no more leaves a bucket of a lot than came into it. Where its units
-- come into the house (from a supplier, off a purchase order, found) nobody has counted them by lot before.
CREATE TABLE lot_balance (
    tenant    text    NOT NULL,
    sku       text    NOT NULL,
    lot       text    NOT NULL,
    node      text    NOT NULL,
    bucket    text    NOT NULL,
    quantity  bigint  NOT NULL,
    PRIMARY KEY (tenant, sku, lot, node, bucket),
    CONSTRAINT lot_balance_not_below_zero
        CHECK (quantity >= 0 OR bucket IN ('supplier', 'adjustment', 'transfer', 'inbound'))
) WITH (fillfactor = 70);
COMMENT ON TABLE lot_balance IS 'Units of lots by bucket: the sum of the ledger, of the movements in ledger_lot.';
