-- To which countries nodes ship, and by which service orders are sent, told before now as well: the read models are made anew
-- from the topics.
ALTER FUNCTION create_read_models(text) RENAME TO create_read_models_before_reach;

CREATE FUNCTION create_read_models(name text) RETURNS void LANGUAGE plpgsql AS $create$
BEGIN
    PERFORM create_read_models_before_reach(name);
    PERFORM set_config('search_path', quote_ident(name) || ', pg_catalog', true);

    -- Countries with commas between; none (NULL), all. It says nothing of orders or stock, so who may see some nodes only is
    -- told what all of them serve.
    CREATE TABLE node_reach (
        tenant text COLLATE "C" NOT NULL,
        node text COLLATE "C" NOT NULL,
        ships_to text,
        PRIMARY KEY (tenant, node)
    );
    ALTER TABLE node_reach ENABLE ROW LEVEL SECURITY;
    ALTER TABLE node_reach FORCE ROW LEVEL SECURITY;
    CREATE POLICY one_tenant ON node_reach FOR SELECT TO orderlog_console_reader
        USING (tenant = current_setting('orderlog.tenant', true));
    EXECUTE format(
        'CREATE POLICY projector ON node_reach TO %I'
        ' USING (current_setting(''orderlog.projector'', true) = ''on'')', current_user);
    GRANT SELECT ON node_reach TO orderlog_console_reader;

    -- None where an order names none, or the standard one: those are most orders, and cost no entry of the index.
    ALTER TABLE orders ADD COLUMN service text COLLATE "C";
    CREATE INDEX orders_of_service ON orders (tenant, service, ordered_at DESC, order_id DESC)
        WHERE ordered_at IS NOT NULL AND service IS NOT NULL;
    PERFORM set_config('search_path', 'public', true);
END
$create$;

DO $live$
BEGIN
    DROP SCHEMA live CASCADE;
    PERFORM create_read_models('live');
END
$live$;
