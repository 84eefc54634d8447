-- Units with serial numbers: where each is, and every movement that named it; and the stock exception of those whose
-- number is not known. The read models are made anew from the topics, since all of it was told before.
ALTER FUNCTION create_read_models(text) RENAME TO create_read_models_before_serials;

CREATE FUNCTION create_read_models(name text) RETURNS void LANGUAGE plpgsql AS $create$
DECLARE
    model text;
BEGIN
    PERFORM create_read_models_before_serials(name);
    PERFORM set_config('search_path', quote_ident(name) || ', pg_catalog', true);

    -- `position` is the SKU's, of the movement that brought the unit there: it orders them over all lanes.
    CREATE TABLE serial_units (
        tenant text COLLATE "C" NOT NULL,
        sku text COLLATE "C" NOT NULL,
        serial text COLLATE "C" NOT NULL,
        position bigint NOT NULL,
        place text COLLATE "C" NOT NULL,
        node text COLLATE "C" NOT NULL,
        order_id text COLLATE "C" NOT NULL,
        since_at timestamptz NOT NULL,
        PRIMARY KEY (tenant, sku, serial)
    );
    CREATE INDEX ON serial_units (tenant, serial);
    CREATE INDEX ON serial_units (tenant, sku, place, node, serial);

    CREATE TABLE serial_moves (
        tenant text COLLATE "C" NOT NULL,
        sku text COLLATE "C" NOT NULL,
        serial text COLLATE "C" NOT NULL,
        position bigint NOT NULL,
        moved_at timestamptz NOT NULL,
        node text COLLATE "C" NOT NULL,
        source text COLLATE "C" NOT NULL,
        target text COLLATE "C" NOT NULL,
        type text NOT NULL,
        order_id text COLLATE "C" NOT NULL,
        document text NOT NULL,
        actor text NOT NULL,
        event_id uuid NOT NULL,
        PRIMARY KEY (tenant, sku, serial, position)
    );
    CREATE INDEX ON serial_moves (tenant, order_id) WHERE order_id <> '';

    FOREACH model IN ARRAY ARRAY['serial_units', 'serial_moves'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', model);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', model);
        EXECUTE format(
            'CREATE POLICY one_tenant ON %I FOR SELECT TO orderlog_console_reader'
            ' USING (tenant = current_setting(''orderlog.tenant'', true))', model);
        EXECUTE format(
            'CREATE POLICY projector ON %I TO %I'
            ' USING (current_setting(''orderlog.projector'', true) = ''on'')', model, current_user);
        EXECUTE format(
            'CREATE POLICY own_nodes ON %I AS RESTRICTIVE FOR SELECT TO orderlog_console_node_reader'
            ' USING (node = ANY (string_to_array(current_setting(''orderlog.nodes'', true), '','')))', model);
    END LOOP;
    GRANT SELECT ON serial_units, serial_moves TO orderlog_console_reader;
    PERFORM set_config('search_path', 'public', true);
END
$create$;

DO $live$
BEGIN
    DROP SCHEMA live CASCADE;
    PERFORM create_read_models('live');
END
$live$;
