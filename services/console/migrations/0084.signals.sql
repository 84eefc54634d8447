-- What of supply needs a person, and orders that are late or at risk as items of the queue. The read models are made anew from the
-- topics, since transfers, receipts and feeds were told of long before, and exceptions of orders now end by other events.
ALTER FUNCTION create_read_models(text) RENAME TO create_read_models_before_signals;

CREATE FUNCTION create_read_models(name text) RETURNS void LANGUAGE plpgsql AS $create$
BEGIN
    PERFORM create_read_models_before_signals(name);
    PERFORM set_config('search_path', quote_ident(name) || ', pg_catalog', true);
    -- What people did about orders that are late or at risk: there are only such rows as somebody has touched.
    CREATE INDEX exceptions_of_promises ON exceptions (tenant, kind, order_id) WHERE kind IN ('late', 'at_risk');
    PERFORM set_config('search_path', 'public', true);
END
$create$;

DO $live$
BEGIN
    DROP SCHEMA live CASCADE;
    PERFORM create_read_models('live');
END
$live$;
