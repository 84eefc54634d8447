-- Who waits for a SKU, in the order in which units are given: by class, then by the moment at which one stands. The read models are
-- made anew from the topics, since how an order is served was told long before.
ALTER FUNCTION create_read_models(text) RENAME TO create_read_models_before_served;

CREATE FUNCTION create_read_models(name text) RETURNS void LANGUAGE plpgsql AS $create$
BEGIN
    PERFORM create_read_models_before_served(name);
    PERFORM set_config('search_path', quote_ident(name) || ', pg_catalog', true);
    ALTER TABLE missing ADD COLUMN rank integer NOT NULL, ADD COLUMN served_at timestamptz;
    DROP INDEX missing_of_sku;
    CREATE INDEX missing_of_sku ON missing (tenant, sku, rank, served_at, order_id) INCLUDE (units);
    PERFORM set_config('search_path', 'public', true);
END
$create$;

DO $live$
BEGIN
    DROP SCHEMA live CASCADE;
    PERFORM create_read_models('live');
END
$live$;
