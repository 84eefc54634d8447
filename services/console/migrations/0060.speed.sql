-- Lists, Today's and the measures' figures over many orders: each goes by an index of its own, in the order in
-- which it is shown or with what it counts. The live tables keep their rows.
ALTER FUNCTION create_read_models(text) RENAME TO create_read_models_before_speed;

CREATE FUNCTION add_speed(name text) RETURNS void LANGUAGE plpgsql AS $add$
BEGIN
    PERFORM set_config('search_path', quote_ident(name) || ', pg_catalog', true);

    -- A channel that few orders have; what waits in a segment, newest first.
    CREATE INDEX orders_of_channel ON orders (tenant, channel, ordered_at DESC, order_id DESC)
        WHERE ordered_at IS NOT NULL;
    CREATE INDEX orders_waiting ON orders (tenant, waiting_in, ordered_at DESC, order_id DESC)
        WHERE waiting_in <> '';
    -- Open orders, the one that is longest without news first: counted without their rows. The statuses are
    -- services.console.today.UNFINISHED.
    CREATE INDEX orders_quiet ON orders (tenant, status, last_at, order_id) INCLUDE (channel, nodes)
        WHERE status IN ('incoming', 'held', 'accepted', 'backordered', 'short_picked', 'reserved', 'routed',
            'allocated', 'released', 'picking', 'packed', 'shipped', 'in_transit');
    -- Where work piles up, and what has stood too long.
    DROP INDEX orders_tenant_waiting_in_waiting_since_at_idx;
    CREATE INDEX orders_stuck ON orders (tenant, waiting_in, waiting_since_at) INCLUDE (order_id, nodes, units)
        WHERE waiting_in <> '';
    CREATE INDEX exceptions_stuck ON exceptions (tenant, order_id) WHERE kind = 'stuck';
    -- What came to a moment in a period, with what is measured of it. An index of last news did for all of them:
    -- each order that is open, or came to its end since, was read by it.
    DROP INDEX orders_last_at_idx;
    DROP INDEX orders_tenant_delivered_at_idx;
    CREATE INDEX orders_confirmed ON orders (tenant, confirmed_at) INCLUDE (order_id, units, broken, channel, nodes)
        WHERE confirmed_at IS NOT NULL;
    CREATE INDEX orders_picking ON orders (tenant, picking_at) WHERE picking_at IS NOT NULL;
    CREATE INDEX orders_shipped ON orders (tenant, shipped_at) INCLUDE (confirmed_at, broken, channel, nodes)
        WHERE shipped_at IS NOT NULL;
    CREATE INDEX orders_delivered ON orders (tenant, delivered_at)
        INCLUDE (order_id, broken, segments, last_node, last_carrier, channel, nodes,
            promise_ends_at, carriage_minor, carriage_currency) WHERE delivered_at IS NOT NULL;

    PERFORM set_config('search_path', 'public', true);
END
$add$;

CREATE FUNCTION create_read_models(name text) RETURNS void LANGUAGE plpgsql AS $create$
BEGIN
    PERFORM create_read_models_before_speed(name);
    PERFORM add_speed(name);
END
$create$;

DO $live$ BEGIN PERFORM add_speed('live'); END $live$;
