-- depends: 0001.stage
-- Inventory's own tables, written in the transaction that writes the log: the movements, and their sums.

CREATE TABLE ledger (
    tenant    text        NOT NULL,
    sku       text        NOT NULL,
    position  bigint      NOT NULL CHECK (position > 0),
    node      text        NOT NULL,
    source    text        NOT NULL,
    target    text        NOT NULL CHECK (target <> source),
    quantity  bigint      NOT NULL CHECK (quantity > 0),
    event_id  uuid        NOT NULL,
    lane      integer     NOT NULL,
    sequence  bigint      NOT NULL,
    at        timestamptz NOT NULL,
    PRIMARY KEY (tenant, sku, position)
);
COMMENT ON TABLE ledger IS 'Every movement of units, in the order of its SKU. Append-only.';
COMMENT ON COLUMN ledger.node IS 'The place of both buckets; * is the network, where soft reservations are.';
COMMENT ON COLUMN ledger.position IS 'Counts the movements of the SKU from 1, without a gap.';
CREATE TRIGGER ledger_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Behind the decision: whatever the code believes, a bucket cannot be emptied below zero.
CREATE TABLE balance (
    tenant    text   NOT NULL,
    sku       text   NOT NULL,
    node      text   NOT NULL,
    bucket    text   NOT NULL,
    quantity  bigint NOT NULL,
    PRIMARY KEY (tenant, sku, node, bucket),
    CONSTRAINT balance_not_below_zero
        CHECK (quantity >= 0 OR bucket IN ('supplier', 'adjustment', 'transfer', 'unreserved'))
) WITH (fillfactor = 70);
COMMENT ON TABLE balance IS 'Units by bucket: the sum of the ledger.';

-- Behind the decision: units that do not exist cannot be promised.
CREATE TABLE promise (
    tenant    text   NOT NULL,
    sku       text   NOT NULL,
    on_hand   bigint NOT NULL,
    reserved  bigint NOT NULL,
    PRIMARY KEY (tenant, sku),
    CONSTRAINT promise_has_its_units CHECK (reserved BETWEEN 0 AND on_hand)
) WITH (fillfactor = 70);
COMMENT ON TABLE promise IS 'Units on hand in all nodes, and how many of them are promised: the sum of the ledger.';
