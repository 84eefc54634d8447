-- Who waits for a SKU, and in which order, is asked of inventory: the read models keep what lacks alone. They are made anew from
-- the topics, since orders' facts do not say any more how an order stands in a queue.
ALTER FUNCTION create_read_models(text) RENAME TO create_read_models_before_claims;

CREATE FUNCTION create_read_models(name text) RETURNS void LANGUAGE plpgsql AS $create$
BEGIN
    PERFORM create_read_models_before_claims(name);
    PERFORM set_config('search_path', quote_ident(name) || ', pg_catalog', true);
    DROP INDEX missing_of_sku;
    ALTER TABLE missing DROP COLUMN rank, DROP COLUMN served_at, DROP COLUMN confirmed_at;
    CREATE INDEX missing_of_sku ON missing (tenant, sku, order_id) INCLUDE (units);
    PERFORM set_config('search_path', 'public', true);
END
$create$;

DO $live$
BEGIN
    DROP SCHEMA live CASCADE;
    PERFORM create_read_models('live');
END
$live$;
