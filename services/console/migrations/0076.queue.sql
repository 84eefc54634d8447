-- The queue of exceptions by when an item is due: of each rule, what began first. The live tables keep their rows.
ALTER FUNCTION create_read_models(text) RENAME TO create_read_models_before_queue;

CREATE FUNCTION add_queue(name text) RETURNS void LANGUAGE plpgsql AS $add$
BEGIN
    PERFORM set_config('search_path', quote_ident(name) || ', pg_catalog', true);

    -- Open items of a kind, with all that is needed to count them.
    DROP INDEX exceptions_tenant_since_at_order_id_item_idx;
    CREATE INDEX exceptions_open ON exceptions (tenant, kind, since_at, order_id, item) INCLUDE (snoozed_until_at)
        WHERE ended_at IS NULL;
    -- Those that somebody has, or has put off: few among many.
    CREATE INDEX exceptions_taken ON exceptions (tenant, assignee) WHERE ended_at IS NULL AND assignee IS NOT NULL;
    CREATE INDEX exceptions_snoozed ON exceptions (tenant, kind)
        WHERE ended_at IS NULL AND snoozed_until_at IS NOT NULL;
    DROP INDEX orders_stuck;
    CREATE INDEX orders_stuck ON orders (tenant, waiting_in, waiting_since_at, order_id) INCLUDE (nodes, units)
        WHERE waiting_in <> '';
    PERFORM set_config('search_path', 'public', true);
END
$add$;

CREATE FUNCTION create_read_models(name text) RETURNS void LANGUAGE plpgsql AS $create$
BEGIN
    PERFORM create_read_models_before_queue(name);
    PERFORM add_queue(name);
END
$create$;

DO $live$ BEGIN PERFORM add_queue('live'); END $live$;
