-- Parked keys of the stages, and what people did about them. The live tables keep their rows: no stage told of any before.
ALTER FUNCTION create_read_models(text) RENAME TO create_read_models_before_parked_keys;

CREATE FUNCTION add_parked_keys(name text) RETURNS void LANGUAGE plpgsql AS $add$
BEGIN
    PERFORM set_config('search_path', quote_ident(name) || ', pg_catalog', true);

    CREATE TABLE parked_keys (
        tenant text COLLATE "C" NOT NULL,
        stage text COLLATE "C" NOT NULL,
        lane int NOT NULL,
        parked_key text COLLATE "C" NOT NULL,
        opened_at timestamptz,
        parked_at timestamptz,
        code text,
        problem text,
        waiting bigint NOT NULL,
        PRIMARY KEY (tenant, stage, lane, parked_key)
    );
    CREATE INDEX parked_keys_open ON parked_keys (tenant, parked_key) WHERE waiting > 0;
    ALTER TABLE parked_keys ENABLE ROW LEVEL SECURITY;
    ALTER TABLE parked_keys FORCE ROW LEVEL SECURITY;
    -- What says not whose it is, is told under a tenant that nobody has; an admin asks for it.
    CREATE POLICY one_tenant ON parked_keys FOR SELECT TO orderlog_console_reader
        USING (tenant = current_setting('orderlog.tenant', true)
            OR (tenant = 'orderlog' AND current_setting('orderlog.unclaimed', true) = 'on'));

    -- Of a key as it was parked at `since_at`. The assignee '' is nobody again.
    CREATE TABLE parked_care (
        tenant text COLLATE "C" NOT NULL,
        stage text COLLATE "C" NOT NULL,
        parked_key text COLLATE "C" NOT NULL,
        since_at timestamptz NOT NULL,
        assignee text,
        snoozed_until_at timestamptz,
        snoozed_why text,
        resolved_at timestamptz,
        note text,
        PRIMARY KEY (tenant, stage, parked_key, since_at)
    );
    ALTER TABLE parked_care ENABLE ROW LEVEL SECURITY;
    ALTER TABLE parked_care FORCE ROW LEVEL SECURITY;
    CREATE POLICY one_tenant ON parked_care FOR SELECT TO orderlog_console_reader
        USING (tenant = current_setting('orderlog.tenant', true));

    -- Who may see some nodes only sees none: a key says not at which node it is.
    CREATE POLICY own_nodes ON parked_keys AS RESTRICTIVE FOR SELECT TO orderlog_console_node_reader USING (false);
    CREATE POLICY own_nodes ON parked_care AS RESTRICTIVE FOR SELECT TO orderlog_console_node_reader USING (false);
    EXECUTE format(
        'CREATE POLICY projector ON parked_keys TO %I'
        ' USING (current_setting(''orderlog.projector'', true) = ''on'')', current_user);
    EXECUTE format(
        'CREATE POLICY projector ON parked_care TO %I'
        ' USING (current_setting(''orderlog.projector'', true) = ''on'')', current_user);
    GRANT SELECT ON parked_keys, parked_care TO orderlog_console_reader;
    PERFORM set_config('search_path', 'public', true);
END
$add$;

CREATE FUNCTION create_read_models(name text) RETURNS void LANGUAGE plpgsql AS $create$
BEGIN
    PERFORM create_read_models_before_parked_keys(name);
    PERFORM add_parked_keys(name);
END
$create$;

DO $live$ BEGIN PERFORM add_parked_keys('live'); END $live$;
