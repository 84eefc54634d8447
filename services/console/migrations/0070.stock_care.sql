-- What people did about exceptions of stock. The live tables keep their rows: nobody could tell any of it before.
ALTER FUNCTION create_read_models(text) RENAME TO create_read_models_before_stock_care;

CREATE FUNCTION add_stock_care(name text) RETURNS void LANGUAGE plpgsql AS $add$
BEGIN
    PERFORM set_config('search_path', quote_ident(name) || ', pg_catalog', true);

    -- Of an item of `stock_items` as it was opened at `since_at`. The assignee '' is nobody again.
    CREATE TABLE stock_care (
        tenant text COLLATE "C" NOT NULL,
        sku text COLLATE "C" NOT NULL,
        item text COLLATE "C" NOT NULL,
        since_at timestamptz NOT NULL,
        assignee text,
        snoozed_until_at timestamptz,
        snoozed_why text,
        resolved_at timestamptz,
        note text,
        PRIMARY KEY (tenant, sku, item, since_at)
    );
    ALTER TABLE stock_care ENABLE ROW LEVEL SECURITY;
    ALTER TABLE stock_care FORCE ROW LEVEL SECURITY;
    CREATE POLICY one_tenant ON stock_care FOR SELECT TO orderlog_console_reader
        USING (tenant = current_setting('orderlog.tenant', true));
    EXECUTE format(
        'CREATE POLICY projector ON stock_care TO %I'
        ' USING (current_setting(''orderlog.projector'', true) = ''on'')', current_user);
    -- Who may see some nodes only sees what was done about what they see.
    EXECUTE format(
        'CREATE POLICY own_nodes ON stock_care AS RESTRICTIVE FOR SELECT TO orderlog_console_node_reader'
        ' USING (EXISTS (SELECT FROM %I.stock_items s WHERE s.tenant = stock_care.tenant'
        ' AND s.sku = stock_care.sku AND s.item = stock_care.item))', name);
    GRANT SELECT ON stock_care TO orderlog_console_reader;
    PERFORM set_config('search_path', 'public', true);
END
$add$;

CREATE FUNCTION create_read_models(name text) RETURNS void LANGUAGE plpgsql AS $create$
BEGIN
    PERFORM create_read_models_before_stock_care(name);
    PERFORM add_stock_care(name);
END
$create$;

DO $live$ BEGIN PERFORM add_stock_care('live'); END $live$;
