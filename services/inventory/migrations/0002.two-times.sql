-- depends: 0001.ledger
-- Two times for each movement: when it was true, and when it was known. The ledger itself stays as it is: when a
-- movement was known stands in the log, and few say that they were true before that.

CREATE TABLE ledger_stated (
    tenant        text        NOT NULL,
    sku           text        NOT NULL,
    position      bigint      NOT NULL,
    effective_at  timestamptz NOT NULL,
    PRIMARY KEY (tenant, sku, position) INCLUDE (effective_at)
);
COMMENT ON TABLE ledger_stated IS 'Movements that were true before they were told. Append-only.';
CREATE TRIGGER ledger_stated_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_stated
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

CREATE VIEW ledger_times AS
    SELECT ledger.*, log.recorded_at, least(ledger_stated.effective_at, log.recorded_at) AS effective_at
    FROM ledger
    JOIN log ON log.lane = ledger.lane AND log.origin = 'decided' AND log.seq = ledger.sequence
    LEFT JOIN ledger_stated ON ledger_stated.tenant = ledger.tenant AND ledger_stated.sku = ledger.sku
        AND ledger_stated.position = ledger.position;
COMMENT ON VIEW ledger_times IS 'The ledger with both times of each movement: recorded_at, and effective_at, never later.';

CREATE TABLE ledger_snapshot (
    tenant     text        NOT NULL,
    sku        text        NOT NULL,
    position   bigint      NOT NULL,
    known_at   timestamptz NOT NULL,
    nodes      text[]      NOT NULL,
    buckets    text[]      NOT NULL,
    units      bigint[]    NOT NULL,
    PRIMARY KEY (tenant, sku, position)
);
COMMENT ON TABLE ledger_snapshot IS
    'Balances of a SKU after its movements up to a position: made in the background, to be thrown away at will.';
COMMENT ON COLUMN ledger_snapshot.known_at IS 'When the last of those movements to be known was known.';
CREATE INDEX ledger_snapshot_known ON ledger_snapshot (tenant, sku, known_at, position);

-- Where snapshots are due: each 128th movement of a SKU. The condition is services/inventory/store.py's.
CREATE INDEX ledger_due ON ledger (tenant, sku, position) WHERE position % 128 = 0;

-- The last movement of a SKU that was known at a moment, with all before it: processes' clocks may differ, so a
-- movement may bear an earlier time than one before it. 0 when none was.
CREATE FUNCTION ledger_position(tenant_ text, sku_ text, moment timestamptz) RETURNS bigint
LANGUAGE plpgsql STABLE AS $$
DECLARE
    past bigint;
    later bigint;
BEGIN
    SELECT position INTO past FROM ledger_snapshot
    WHERE tenant = tenant_ AND sku = sku_ AND known_at <= moment
    ORDER BY known_at DESC, position DESC LIMIT 1;
    SELECT l.position INTO later FROM ledger AS l
    WHERE l.tenant = tenant_ AND l.sku = sku_ AND l.position > coalesce(past, 0) AND moment < (
        SELECT recorded_at FROM log WHERE lane = l.lane AND origin = 'decided' AND seq = l.sequence)
    ORDER BY l.position LIMIT 1;
    IF later IS NOT NULL THEN
        RETURN later - 1;
    END IF;
    SELECT position INTO later FROM ledger
    WHERE tenant = tenant_ AND sku = sku_ ORDER BY position DESC LIMIT 1;
    RETURN coalesce(later, 0);
END $$;
