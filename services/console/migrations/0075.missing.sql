-- Units that backordered orders lack: what is out of stock is counted from them alone. The live tables keep their rows.
ALTER FUNCTION create_read_models(text) RENAME TO create_read_models_before_missing;

CREATE FUNCTION add_missing(name text) RETURNS void LANGUAGE plpgsql AS $add$
BEGIN
    PERFORM set_config('search_path', quote_ident(name) || ', pg_catalog', true);

    CREATE TABLE missing (
        tenant text COLLATE "C" NOT NULL,
        order_id text COLLATE "C" NOT NULL,
        sku text COLLATE "C" NOT NULL,
        units bigint NOT NULL,
        confirmed_at timestamptz,     -- the order's: those first that wait longest
        PRIMARY KEY (tenant, order_id, sku)
    );
    CREATE INDEX missing_of_sku ON missing (tenant, sku, confirmed_at, order_id) INCLUDE (units);
    ALTER TABLE missing ENABLE ROW LEVEL SECURITY;
    ALTER TABLE missing FORCE ROW LEVEL SECURITY;
    CREATE POLICY one_tenant ON missing FOR SELECT TO orderlog_console_reader
        USING (tenant = current_setting('orderlog.tenant', true));
    EXECUTE format(
        'CREATE POLICY projector ON missing TO %I'
        ' USING (current_setting(''orderlog.projector'', true) = ''on'')', current_user);
    CREATE POLICY own_nodes ON missing AS RESTRICTIVE FOR SELECT TO orderlog_console_node_reader
        USING (EXISTS (SELECT FROM orders o WHERE o.tenant = missing.tenant AND o.order_id = missing.order_id));
    GRANT SELECT ON missing TO orderlog_console_reader;
    PERFORM set_config('search_path', 'public', true);
END
$add$;

CREATE FUNCTION create_read_models(name text) RETURNS void LANGUAGE plpgsql AS $create$
BEGIN
    PERFORM create_read_models_before_missing(name);
    PERFORM add_missing(name);
END
$create$;

DO $live$
BEGIN
    PERFORM add_missing('live');
    PERFORM set_config('orderlog.projector', 'on', true);
    INSERT INTO live.missing (tenant, order_id, sku, units, confirmed_at)
        SELECT tenant, order_id, sku, r.wanted - r.held - r.allocated - r.issued - r.released, o.confirmed_at
        FROM live.orders o JOIN live.reservations r USING (tenant, order_id)
        WHERE o.status = 'backordered' AND r.wanted - r.held - r.allocated - r.issued - r.released > 0;
    PERFORM set_config('orderlog.projector', '', true);
END
$live$;
