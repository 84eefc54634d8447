-- Exception rules of the tenants' own, and exceptions of stock. The read models are made anew from the topics, since
-- what is the matter with stock was told long before.
ALTER FUNCTION create_read_models(text) RENAME TO create_read_models_of_0040;

CREATE FUNCTION create_read_models(name text) RETURNS void LANGUAGE plpgsql AS $create$
DECLARE
    model text;
BEGIN
    PERFORM create_read_models_of_0040(name);
    PERFORM set_config('search_path', quote_ident(name) || ', pg_catalog', true);

    -- Each change of a tenant's rules; the last of a place counts. Without an owner the console's rule holds again.
    CREATE TABLE exception_rules (
        tenant text COLLATE "C" NOT NULL,
        version bigint NOT NULL,
        kind text COLLATE "C" NOT NULL,
        which text COLLATE "C",
        owner text COLLATE "C",
        after_minutes bigint,
        sla_minutes bigint,
        next_step text,
        changed_at timestamptz NOT NULL,
        actor text NOT NULL,
        note text NOT NULL,
        PRIMARY KEY (tenant, version)
    );

    -- What of a SKU needs a person. `units` is a sum over the ledger, so that lanes may tell of it in any order;
    -- it is open if it was opened after it was last closed, and units are there where it is about units.
    CREATE TABLE stock_items (
        tenant text COLLATE "C" NOT NULL,
        sku text COLLATE "C" NOT NULL,
        item text COLLATE "C" NOT NULL,
        kind text COLLATE "C" NOT NULL,
        units bigint NOT NULL,
        opened_at timestamptz,
        closed_at timestamptz,
        node text COLLATE "C" NOT NULL,
        why text NOT NULL,
        PRIMARY KEY (tenant, sku, item)
    );
    CREATE INDEX ON stock_items (tenant, opened_at, sku, item)
        WHERE opened_at IS NOT NULL AND (closed_at IS NULL OR closed_at < opened_at);

    FOREACH model IN ARRAY ARRAY['exception_rules', 'stock_items'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', model);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', model);
        EXECUTE format(
            'CREATE POLICY one_tenant ON %I FOR SELECT TO orderlog_console_reader'
            ' USING (tenant = current_setting(''orderlog.tenant'', true))', model);
        EXECUTE format(
            'CREATE POLICY projector ON %I TO %I'
            ' USING (current_setting(''orderlog.projector'', true) = ''on'')', model, current_user);
    END LOOP;
    -- What is of the whole network (a lot, what runs low) is not for who may see some nodes only.
    CREATE POLICY own_nodes ON stock_items AS RESTRICTIVE FOR SELECT TO orderlog_console_node_reader
        USING (node = ANY (string_to_array(current_setting('orderlog.nodes', true), ',')));
    GRANT SELECT ON exception_rules, stock_items TO orderlog_console_reader;
    PERFORM set_config('search_path', 'public', true);
END
$create$;

DO $live$
BEGIN
    DROP SCHEMA live CASCADE;
    PERFORM create_read_models('live');
END
$live$;

-- Who asked for a rebuild on the platform page, and why; nobody, of one begun on the command line.
ALTER TABLE access.rebuilds
    ADD COLUMN tenant text COLLATE "C",
    ADD COLUMN asked_by text,
    ADD COLUMN why text,
    ADD COLUMN search_match boolean;
