-- The read models. They live in a schema whose name is a parameter, so that a rebuild stands beside the
-- live one: `live`, and while a rebuild runs, `rebuild`. All is derived from the topics; nothing here is a source.

-- Who answers queries: sees one tenant (orderlog.tenant) and writes nothing. Cluster-wide, so perhaps there already.
DO $role$
BEGIN
    CREATE ROLE orderlog_console_reader NOLOGIN NOBYPASSRLS;
EXCEPTION WHEN duplicate_object OR unique_violation THEN
    NULL;
END
$role$;
DO $grant$
BEGIN
    IF NOT pg_has_role(current_user, 'orderlog_console_reader', 'SET') THEN
        EXECUTE format('GRANT orderlog_console_reader TO %I WITH INHERIT FALSE, SET TRUE', current_user);
    END IF;
END
$grant$;

CREATE FUNCTION create_read_models(name text) RETURNS void LANGUAGE plpgsql AS $create$
DECLARE
    model text;
BEGIN
    EXECUTE format('CREATE SCHEMA %I', name);
    PERFORM set_config('search_path', quote_ident(name) || ', pg_catalog', true);

    -- One order as a list shows it; `facts` is services.console.facts.State as JSON, what the fold goes on from.
    CREATE TABLE orders (
        tenant text COLLATE "C" NOT NULL,
        order_id text COLLATE "C" NOT NULL,
        status text COLLATE "C" NOT NULL,
        channel text COLLATE "C",
        external_id text COLLATE "C",
        customer_id text COLLATE "C",
        ordered_at timestamptz,
        currency text COLLATE "C",
        total_minor bigint,
        line_count integer NOT NULL,
        units bigint NOT NULL,
        confirmed_at timestamptz,
        paid_at timestamptz,
        routed_at timestamptz,
        picking_at timestamptz,
        shipped_at timestamptz,
        picked_up_at timestamptz,
        delivered_at timestamptz,
        events integer NOT NULL,
        last_at timestamptz,
        facts text NOT NULL,
        PRIMARY KEY (tenant, order_id)
    ) WITH (fillfactor = 70);
    CREATE INDEX ON orders (tenant, ordered_at DESC, order_id DESC) WHERE ordered_at IS NOT NULL;
    CREATE INDEX ON orders (tenant, status, ordered_at DESC, order_id DESC) WHERE ordered_at IS NOT NULL;
    CREATE INDEX ON orders (tenant, external_id);

    -- Which orders have a line of a SKU.
    CREATE TABLE order_skus (
        tenant text COLLATE "C" NOT NULL,
        sku text COLLATE "C" NOT NULL,
        order_id text COLLATE "C" NOT NULL,
        PRIMARY KEY (tenant, sku, order_id)
    );

    -- One row an event of an order's life; (stage, lane, sequence) is its place in its sender's log.
    CREATE TABLE timeline (
        tenant text COLLATE "C" NOT NULL,
        order_id text COLLATE "C" NOT NULL,
        stage text COLLATE "C" NOT NULL,
        lane integer NOT NULL,
        sequence bigint NOT NULL,
        at timestamptz NOT NULL,
        type text COLLATE "C" NOT NULL,
        sentence text NOT NULL,
        actor text NOT NULL,
        reason text NOT NULL,
        event_id uuid NOT NULL,
        causation_id uuid NOT NULL,
        PRIMARY KEY (tenant, order_id, stage, lane, sequence)
    );

    -- Balances: sums of the ledger's movements. Never below zero but for contra buckets, once all lanes are in.
    CREATE TABLE stock (
        tenant text COLLATE "C" NOT NULL,
        sku text COLLATE "C" NOT NULL,
        node text COLLATE "C" NOT NULL,
        bucket text COLLATE "C" NOT NULL,
        quantity bigint NOT NULL,
        PRIMARY KEY (tenant, sku, node, bucket)
    ) WITH (fillfactor = 70);

    CREATE TABLE reservations (
        tenant text COLLATE "C" NOT NULL,
        order_id text COLLATE "C" NOT NULL,
        sku text COLLATE "C" NOT NULL,
        wanted bigint NOT NULL,
        held bigint NOT NULL,
        allocated bigint NOT NULL,
        issued bigint NOT NULL,
        released bigint NOT NULL,
        short bigint NOT NULL,
        returned bigint NOT NULL,
        PRIMARY KEY (tenant, order_id, sku)
    ) WITH (fillfactor = 70);
    CREATE INDEX ON reservations (tenant, sku, order_id);

    -- Where to read on; moved by compare-and-swap in the transaction of what was read.
    CREATE TABLE consumed (
        topic text COLLATE "C" NOT NULL,
        partition integer NOT NULL,
        next_offset bigint NOT NULL,
        PRIMARY KEY (topic, partition)
    );

    -- Events that could not be read. They stay on their topic; this is where they are, and why.
    CREATE TABLE unreadable (
        topic text COLLATE "C" NOT NULL,
        partition integer NOT NULL,
        record_offset bigint NOT NULL,
        code text NOT NULL,
        reason text NOT NULL,
        PRIMARY KEY (topic, partition, record_offset)
    );

    -- The last sequence heard of each sender's lane, and that event's time: an earlier one is a repeat.
    CREATE TABLE high_water (
        source text COLLATE "C" NOT NULL,
        lane integer NOT NULL,
        sequence bigint NOT NULL,
        at timestamptz NOT NULL,
        PRIMARY KEY (source, lane)
    );

    FOREACH model IN ARRAY ARRAY['orders', 'order_skus', 'timeline', 'stock', 'reservations'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', model);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', model);
        EXECUTE format(
            'CREATE POLICY one_tenant ON %I FOR SELECT TO orderlog_console_reader'
            ' USING (tenant = current_setting(''orderlog.tenant'', true))', model);
        EXECUTE format(
            'CREATE POLICY projector ON %I TO %I'
            ' USING (current_setting(''orderlog.projector'', true) = ''on'')', model, current_user);
    END LOOP;
    EXECUTE format('GRANT USAGE ON SCHEMA %I TO orderlog_console_reader', name);
    EXECUTE format('GRANT SELECT ON ALL TABLES IN SCHEMA %I TO orderlog_console_reader', name);
    PERFORM set_config('search_path', 'public', true);
END
$create$;

DO $live$ BEGIN PERFORM create_read_models('live'); END $live$;
