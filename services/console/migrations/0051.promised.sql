-- By when each order was promised, what its carriers asked, and what nodes have in hand for it. The read models are made anew from the
-- topics, since each order now says so.
ALTER FUNCTION create_read_models(text) RENAME TO create_read_models_before_promises;

CREATE FUNCTION create_read_models(name text) RETURNS void LANGUAGE plpgsql AS $create$
BEGIN
    PERFORM create_read_models_before_promises(name);
    PERFORM set_config('search_path', quote_ident(name) || ', pg_catalog', true);

    ALTER TABLE orders
        -- The day that was promised, and the moment at which it is over where the order comes from.
        ADD COLUMN promised_on date,
        ADD COLUMN promise_ends_at timestamptz,
        -- Of an order that something is still to happen to: from when on its promise is at risk.
        ADD COLUMN risk_at timestamptz,
        -- Of an order that is through: what its carriers asked for all its shipments, if that is known.
        ADD COLUMN carriage_minor bigint,
        ADD COLUMN carriage_currency text COLLATE "C";
    CREATE INDEX ON orders (tenant, promise_ends_at, order_id) INCLUDE (risk_at) WHERE risk_at IS NOT NULL;

    -- Units of open work at a node, by order: to pick, picked, packed. What has left or was stopped has no row.
    CREATE TABLE at_work (
        tenant text COLLATE "C" NOT NULL,
        order_id text COLLATE "C" NOT NULL,
        node text COLLATE "C" NOT NULL,
        sku text COLLATE "C" NOT NULL,
        to_pick bigint NOT NULL,
        picked bigint NOT NULL,
        packed bigint NOT NULL,
        PRIMARY KEY (tenant, order_id, node, sku)
    ) WITH (fillfactor = 70);
    CREATE INDEX ON at_work (tenant, sku, node);
    ALTER TABLE at_work ENABLE ROW LEVEL SECURITY;
    ALTER TABLE at_work FORCE ROW LEVEL SECURITY;
    CREATE POLICY one_tenant ON at_work FOR SELECT TO orderlog_console_reader
        USING (tenant = current_setting('orderlog.tenant', true));
    EXECUTE format(
        'CREATE POLICY projector ON at_work TO %I'
        ' USING (current_setting(''orderlog.projector'', true) = ''on'')', current_user);
    CREATE POLICY own_nodes ON at_work AS RESTRICTIVE FOR SELECT TO orderlog_console_node_reader
        USING (node = ANY (string_to_array(current_setting('orderlog.nodes', true), ',')));
    GRANT SELECT ON at_work TO orderlog_console_reader;
    PERFORM set_config('search_path', 'public', true);
END
$create$;

DO $live$
BEGIN
    DROP SCHEMA live CASCADE;
    PERFORM create_read_models('live');
END
$live$;
