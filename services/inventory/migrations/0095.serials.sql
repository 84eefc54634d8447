-- depends: 0090.lots
-- Serial numbers: which units a movement of the ledger moves. SKUs without serial numbers have no rows here.

CREATE TABLE ledger_serial (
    tenant    text    NOT NULL,
    sku       text    NOT NULL,
    position  bigint  NOT NULL,
    serial    text    NOT NULL,
    PRIMARY KEY (tenant, sku, serial, position)
);
COMMENT ON TABLE ledger_serial IS 'Movements of units with a serial number. Append-only.';
CREATE TRIGGER ledger_serial_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_serial
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
