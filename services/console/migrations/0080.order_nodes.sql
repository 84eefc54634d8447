-- Which nodes an order concerns, a row for each, so that a list of a node's orders goes by an index: the orders' own
-- column has them with commas between. The live tables keep their rows.
ALTER FUNCTION create_read_models(text) RENAME TO create_read_models_before_order_nodes;

CREATE FUNCTION add_order_nodes(name text) RETURNS void LANGUAGE plpgsql AS $add$
BEGIN
    PERFORM set_config('search_path', quote_ident(name) || ', pg_catalog', true);

    CREATE TABLE order_nodes (
        tenant text COLLATE "C" NOT NULL,
        node text COLLATE "C" NOT NULL,
        order_id text COLLATE "C" NOT NULL,
        PRIMARY KEY (tenant, node, order_id)
    );
    ALTER TABLE order_nodes ENABLE ROW LEVEL SECURITY;
    ALTER TABLE order_nodes FORCE ROW LEVEL SECURITY;
    CREATE POLICY one_tenant ON order_nodes FOR SELECT TO orderlog_console_reader
        USING (tenant = current_setting('orderlog.tenant', true));
    EXECUTE format(
        'CREATE POLICY projector ON order_nodes TO %I'
        ' USING (current_setting(''orderlog.projector'', true) = ''on'')', current_user);
    EXECUTE format(
        'CREATE POLICY own_nodes ON order_nodes AS RESTRICTIVE FOR SELECT TO orderlog_console_node_reader'
        ' USING (EXISTS (SELECT FROM %I.orders o WHERE o.tenant = order_nodes.tenant'
        ' AND o.order_id = order_nodes.order_id))', name);
    GRANT SELECT ON order_nodes TO orderlog_console_reader;
    PERFORM set_config('search_path', 'public', true);
END
$add$;

CREATE FUNCTION create_read_models(name text) RETURNS void LANGUAGE plpgsql AS $create$
BEGIN
    PERFORM create_read_models_before_order_nodes(name);
    PERFORM add_order_nodes(name);
END
$create$;

DO $live$
BEGIN
    PERFORM add_order_nodes('live');
    PERFORM set_config('orderlog.projector', 'on', true);
    INSERT INTO live.order_nodes (tenant, node, order_id)
        SELECT tenant, node, order_id FROM live.orders, unnest(string_to_array(nodes, ',')) AS node WHERE nodes <> '';
    PERFORM set_config('orderlog.projector', '', true);
END
$live$;
