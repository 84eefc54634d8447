-- What nodes were asked to pick and what of it they found, and on which day after its acceptance an order left, as orders say
-- and as sums of their days. The read models are made anew from the topics, since each order now says so.
ALTER FUNCTION create_read_models(text) RENAME TO create_read_models_before_picks;

CREATE FUNCTION create_read_models(name text) RETURNS void LANGUAGE plpgsql AS $create$
BEGIN
    PERFORM create_read_models_before_picks(name);
    PERFORM set_config('search_path', quote_ident(name) || ', pg_catalog', true);

    ALTER TABLE orders
        -- Calendar days from its acceptance to its first shipment, by the clock of the node that ships last.
        ADD COLUMN ship_days integer,
        -- By node: lines asked for, of these short, units asked for, of these short; as services.console.picks says.
        ADD COLUMN picks text COLLATE "C";
    ALTER TABLE shipped_days
        ADD COLUMN same_day bigint NOT NULL,
        ADD COLUMN next_day bigint NOT NULL;
    -- Picks of orders whose work first came to a node that day, by the node that picked.
    CREATE TABLE pick_days (
        tenant text COLLATE "C" NOT NULL,
        day date NOT NULL,
        lane integer NOT NULL,
        channel text COLLATE "C" NOT NULL,
        nodes text COLLATE "C" NOT NULL,
        node text COLLATE "C" NOT NULL,
        orders bigint NOT NULL,
        lines bigint NOT NULL,
        short_lines bigint NOT NULL,
        units bigint NOT NULL,
        short_units bigint NOT NULL,
        PRIMARY KEY (tenant, day, lane, channel, nodes, node)
    ) WITH (fillfactor = 70);
    ALTER TABLE pick_days ENABLE ROW LEVEL SECURITY;
    ALTER TABLE pick_days FORCE ROW LEVEL SECURITY;
    CREATE POLICY one_tenant ON pick_days FOR SELECT TO orderlog_console_reader
        USING (tenant = current_setting('orderlog.tenant', true));
    EXECUTE format(
        'CREATE POLICY projector ON pick_days TO %I'
        ' USING (current_setting(''orderlog.projector'', true) = ''on'')', current_user);
    CREATE POLICY own_nodes ON pick_days AS RESTRICTIVE FOR SELECT TO orderlog_console_node_reader
        USING (string_to_array(nodes, ',') && string_to_array(current_setting('orderlog.nodes', true), ','));
    GRANT SELECT ON pick_days TO orderlog_console_reader;
    PERFORM set_config('search_path', 'public', true);
END
$create$;

DO $live$
BEGIN
    DROP SCHEMA live CASCADE;
    PERFORM create_read_models('live');
END
$live$;
