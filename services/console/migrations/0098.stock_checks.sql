-- Counts of shelves, differences with other systems and corrections of stock, and their sums by day: how right the books were.
-- The read models are made anew from the topics, since all that was counted before is in them.
ALTER FUNCTION create_read_models(text) RENAME TO create_read_models_before_stock_checks;

CREATE FUNCTION create_read_models(name text) RETURNS void LANGUAGE plpgsql AS $create$
DECLARE
    model text;
BEGIN
    PERFORM create_read_models_before_stock_checks(name);
    PERFORM set_config('search_path', quote_ident(name) || ', pg_catalog', true);

    CREATE TABLE stock_checks (
        tenant text COLLATE "C" NOT NULL,
        sku text COLLATE "C" NOT NULL,
        -- count, snapshot or adjustment.
        source text COLLATE "C" NOT NULL,
        check_id text COLLATE "C" NOT NULL,
        node text COLLATE "C" NOT NULL,
        -- When it was so on the shelf.
        at timestamptz NOT NULL,
        reason text COLLATE "C" NOT NULL,
        counted bigint NOT NULL,
        off_units bigint NOT NULL,
        net_units bigint NOT NULL,
        -- waits, agreed, wrong or gone.
        standing text COLLATE "C" NOT NULL,
        PRIMARY KEY (tenant, sku, source, check_id)
    );
    CREATE INDEX stock_checks_of_time ON stock_checks (tenant, at);
    CREATE INDEX stock_checks_furthest ON stock_checks (tenant, off_units DESC, sku, source, check_id) INCLUDE (at, node)
        WHERE standing = 'wrong';
    -- What they come to on a day; `orders` are rows of the table above, `nodes` is the one that they are of.
    CREATE TABLE check_days (
        tenant text COLLATE "C" NOT NULL,
        day date NOT NULL,
        lane integer NOT NULL,
        channel text COLLATE "C" NOT NULL,
        nodes text COLLATE "C" NOT NULL,
        source text COLLATE "C" NOT NULL,
        reason text COLLATE "C" NOT NULL,
        orders bigint NOT NULL,
        agreed bigint NOT NULL,
        wrong bigint NOT NULL,
        waiting bigint NOT NULL,
        units bigint NOT NULL,
        off_units bigint NOT NULL,
        net_units bigint NOT NULL,
        PRIMARY KEY (tenant, day, lane, channel, nodes, source, reason)
    ) WITH (fillfactor = 70);
    FOREACH model IN ARRAY ARRAY['stock_checks', 'check_days'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', model);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', model);
        EXECUTE format(
            'CREATE POLICY one_tenant ON %I FOR SELECT TO orderlog_console_reader'
            ' USING (tenant = current_setting(''orderlog.tenant'', true))', model);
        EXECUTE format(
            'CREATE POLICY projector ON %I TO %I'
            ' USING (current_setting(''orderlog.projector'', true) = ''on'')', model, current_user);
        EXECUTE format('GRANT SELECT ON %I TO orderlog_console_reader', model);
    END LOOP;
    CREATE POLICY own_nodes ON stock_checks AS RESTRICTIVE FOR SELECT TO orderlog_console_node_reader
        USING (node = ANY (string_to_array(current_setting('orderlog.nodes', true), ',')));
    CREATE POLICY own_nodes ON check_days AS RESTRICTIVE FOR SELECT TO orderlog_console_node_reader
        USING (nodes = ANY (string_to_array(current_setting('orderlog.nodes', true), ',')));
    PERFORM set_config('search_path', 'public', true);
END
$create$;

DO $live$
BEGIN
    DROP SCHEMA live CASCADE;
    PERFORM create_read_models('live');
END
$live$;
