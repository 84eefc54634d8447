-- Orders whose plan is held for review are open: the read models are made anew from the topics, as orders' facts tell of the plan.
ALTER FUNCTION create_read_models(text) RENAME TO create_read_models_before_in_review;

CREATE FUNCTION create_read_models(name text) RETURNS void LANGUAGE plpgsql AS $create$
BEGIN
    PERFORM create_read_models_before_in_review(name);
    PERFORM set_config('search_path', quote_ident(name) || ', pg_catalog', true);

    -- The statuses are services.console.today.UNFINISHED.
    DROP INDEX orders_quiet;
    CREATE INDEX orders_quiet ON orders (tenant, status, last_at, order_id) INCLUDE (channel, nodes)
        WHERE status IN ('incoming', 'held', 'accepted', 'backordered', 'short_picked', 'reserved', 'in_review',
            'routed', 'allocated', 'released', 'picking', 'packed', 'shipped', 'in_transit');
    PERFORM set_config('search_path', 'public', true);
END
$create$;

DO $live$
BEGIN
    DROP SCHEMA live CASCADE;
    PERFORM create_read_models('live');
END
$live$;
