-- What of supply needs a person, and orders whose promise is at risk by since when it is. The read models are made anew from the
-- topics, since transfers, receipts and feeds were told of long before, and exceptions of orders now end by other events.
ALTER FUNCTION create_read_models(text) RENAME TO create_read_models_before_signals;

CREATE FUNCTION create_read_models(name text) RETURNS void LANGUAGE plpgsql AS $create$
BEGIN
    PERFORM create_read_models_before_signals(name);
    PERFORM set_config('search_path', quote_ident(name) || ', pg_catalog', true);
    CREATE INDEX orders_at_risk ON orders (tenant, risk_at, order_id) INCLUDE (promise_ends_at)
        WHERE risk_at IS NOT NULL;
    PERFORM set_config('search_path', 'public', true);
END
$create$;

DO $live$
BEGIN
    DROP SCHEMA live CASCADE;
    PERFORM create_read_models('live');
END
$live$;
