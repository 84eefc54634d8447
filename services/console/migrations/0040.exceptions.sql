-- Exceptions of orders, where an order's time went, and what kept it from being perfect. The read models are made
-- anew from the topics, since each order now says so.
ALTER FUNCTION create_read_models(text) RENAME TO create_read_models_of_0021;

CREATE FUNCTION create_read_models(name text) RETURNS void LANGUAGE plpgsql AS $create$
BEGIN
    PERFORM create_read_models_of_0021(name);
    PERFORM set_config('search_path', quote_ident(name) || ', pg_catalog', true);

    ALTER TABLE orders
        -- The segment of services.console.segments that an open order is in, and since when.
        ADD COLUMN waiting_in text COLLATE "C" NOT NULL DEFAULT '',
        ADD COLUMN waiting_since_at timestamptz,
        -- Of a delivered one: microseconds by segment, with commas between, and whose shipment came last.
        ADD COLUMN segments text COLLATE "C",
        ADD COLUMN last_node text COLLATE "C",
        ADD COLUMN last_carrier text COLLATE "C",
        -- What kept it from being perfect, with blanks between.
        ADD COLUMN broken text COLLATE "C" NOT NULL DEFAULT '';
    CREATE INDEX ON orders (tenant, waiting_in, waiting_since_at) WHERE waiting_in <> '';
    CREATE INDEX ON orders (tenant, delivered_at) WHERE delivered_at IS NOT NULL;

    CREATE TABLE exceptions (
        tenant text COLLATE "C" NOT NULL,
        order_id text COLLATE "C" NOT NULL,
        item text COLLATE "C" NOT NULL,
        kind text COLLATE "C" NOT NULL,
        since_at timestamptz NOT NULL,
        ended_at timestamptz,
        node text COLLATE "C" NOT NULL,
        units bigint NOT NULL,
        why text NOT NULL,
        assignee text COLLATE "C",
        snoozed_until_at timestamptz,
        snoozed_why text NOT NULL,
        note text NOT NULL,
        PRIMARY KEY (tenant, order_id, item)
    );
    CREATE INDEX ON exceptions (tenant, since_at, order_id, item) WHERE ended_at IS NULL;
    CREATE INDEX ON exceptions (tenant, since_at);
    ALTER TABLE exceptions ENABLE ROW LEVEL SECURITY;
    ALTER TABLE exceptions FORCE ROW LEVEL SECURITY;
    CREATE POLICY one_tenant ON exceptions FOR SELECT TO orderlog_console_reader
        USING (tenant = current_setting('orderlog.tenant', true));
    EXECUTE format(
        'CREATE POLICY projector ON exceptions TO %I'
        ' USING (current_setting(''orderlog.projector'', true) = ''on'')', current_user);
    CREATE POLICY own_nodes ON exceptions AS RESTRICTIVE FOR SELECT TO orderlog_console_node_reader
        USING (EXISTS (
            SELECT FROM orders o WHERE o.tenant = exceptions.tenant AND o.order_id = exceptions.order_id));
    GRANT SELECT ON exceptions TO orderlog_console_reader;
    PERFORM set_config('search_path', 'public', true);
END
$create$;

DO $live$
BEGIN
    DROP SCHEMA live CASCADE;
    PERFORM create_read_models('live');
END
$live$;
