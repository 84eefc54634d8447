-- depends: 0004.commit-batch 0112.retired-feeds
-- What a small batch writes to inventory's own tables, in the call that writes the log (ADR 90): movements, and sums. A sum
-- is changed where it is, and made where it is not; an upsert would not do, for a CHECK is applied to the row proposed.

CREATE TYPE stock_movement AS (
    tenant text, sku text, position bigint, node text, source text, target text, quantity bigint, event_id uuid,
    lane integer, sequence bigint, at timestamptz);
CREATE TYPE stock_balance AS (tenant text, sku text, node text, bucket text, quantity bigint);
CREATE TYPE stock_promise AS (tenant text, sku text, on_hand bigint, reserved bigint);

CREATE FUNCTION commit_stock(movements stock_movement[], balances stock_balance[], promises stock_promise[])
RETURNS boolean LANGUAGE plpgsql
    SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
DECLARE
    changed bigint;
BEGIN
    IF cardinality(movements) > 0 THEN
        INSERT INTO ledger (tenant, sku, position, node, source, target, quantity, event_id, lane, sequence, at)
        SELECT m.tenant, m.sku, m.position, m.node, m.source, m.target, m.quantity, m.event_id, m.lane, m.sequence, m.at
        FROM unnest(movements) AS m;
    END IF;
    IF cardinality(balances) > 0 THEN
        UPDATE balance SET quantity = balance.quantity + n.quantity FROM unnest(balances) AS n
        WHERE balance.tenant = n.tenant AND balance.sku = n.sku AND balance.node = n.node AND balance.bucket = n.bucket;
        GET DIAGNOSTICS changed = ROW_COUNT;
        IF changed < cardinality(balances) THEN
            INSERT INTO balance (tenant, sku, node, bucket, quantity)
            SELECT n.tenant, n.sku, n.node, n.bucket, n.quantity FROM unnest(balances) AS n
            WHERE NOT EXISTS (SELECT FROM balance AS b WHERE b.tenant = n.tenant AND b.sku = n.sku
                AND b.node = n.node AND b.bucket = n.bucket);
        END IF;
    END IF;
    IF cardinality(promises) > 0 THEN
        UPDATE promise SET on_hand = promise.on_hand + n.on_hand, reserved = promise.reserved + n.reserved
        FROM unnest(promises) AS n WHERE promise.tenant = n.tenant AND promise.sku = n.sku;
        GET DIAGNOSTICS changed = ROW_COUNT;
        IF changed < cardinality(promises) THEN
            INSERT INTO promise (tenant, sku, on_hand, reserved)
            SELECT n.tenant, n.sku, n.on_hand, n.reserved FROM unnest(promises) AS n
            WHERE NOT EXISTS (SELECT FROM promise AS p WHERE p.tenant = n.tenant AND p.sku = n.sku);
        END IF;
    END IF;
    RETURN true;
END $$;
