-- Full days of nodes, told before now as well, and of each order the service that it names: the read models are
-- made anew from the topics.
ALTER FUNCTION create_read_models(text) RENAME TO create_read_models_before_full_days;

CREATE FUNCTION create_read_models(name text) RETURNS void LANGUAGE plpgsql AS $create$
BEGIN
    PERFORM create_read_models_before_full_days(name);
    PERFORM set_config('search_path', quote_ident(name) || ', pg_catalog', true);

    -- All full days of a node as they were told last, ISO 8601 with commas between.
    CREATE TABLE full_days (
        tenant text COLLATE "C" NOT NULL,
        node text COLLATE "C" NOT NULL,
        days text NOT NULL,
        told_at timestamptz NOT NULL,
        PRIMARY KEY (tenant, node)
    );
    ALTER TABLE full_days ENABLE ROW LEVEL SECURITY;
    ALTER TABLE full_days FORCE ROW LEVEL SECURITY;
    CREATE POLICY one_tenant ON full_days FOR SELECT TO orderlog_console_reader
        USING (tenant = current_setting('orderlog.tenant', true));
    EXECUTE format(
        'CREATE POLICY projector ON full_days TO %I'
        ' USING (current_setting(''orderlog.projector'', true) = ''on'')', current_user);
    CREATE POLICY own_nodes ON full_days AS RESTRICTIVE FOR SELECT TO orderlog_console_node_reader
        USING (node = ANY (string_to_array(current_setting('orderlog.nodes', true), ',')));
    GRANT SELECT ON full_days TO orderlog_console_reader;
    PERFORM set_config('search_path', 'public', true);
END
$create$;

DO $live$
BEGIN
    DROP SCHEMA live CASCADE;
    PERFORM create_read_models('live');
END
$live$;
