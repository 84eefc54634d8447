-- People who may see some nodes only: a role of their own, so that those who see all pay nothing for it.
-- The read models are made anew from the topics, since each order now says which nodes it concerns.
DO $role$
BEGIN
    CREATE ROLE orderlog_console_node_reader NOLOGIN NOBYPASSRLS;
EXCEPTION WHEN duplicate_object OR unique_violation THEN
    NULL;
END
$role$;
DO $grant$
BEGIN
    IF NOT pg_has_role('orderlog_console_node_reader', 'orderlog_console_reader', 'USAGE') THEN
        GRANT orderlog_console_reader TO orderlog_console_node_reader WITH INHERIT TRUE, SET FALSE;
    END IF;
    IF NOT pg_has_role(current_user, 'orderlog_console_node_reader', 'SET') THEN
        EXECUTE format('GRANT orderlog_console_node_reader TO %I WITH INHERIT FALSE, SET TRUE', current_user);
    END IF;
END
$grant$;

ALTER FUNCTION create_read_models(text) RENAME TO create_read_models_of_0001;

CREATE FUNCTION create_read_models(name text) RETURNS void LANGUAGE plpgsql AS $create$
DECLARE
    model text;
BEGIN
    PERFORM create_read_models_of_0001(name);
    PERFORM set_config('search_path', quote_ident(name) || ', pg_catalog', true);

    -- The nodes that the order was routed to or worked at, with commas between.
    ALTER TABLE orders ADD COLUMN nodes text COLLATE "C" NOT NULL DEFAULT '';
    -- What had news lately. It stands in the way of no update within a page.
    CREATE INDEX ON orders USING brin (last_at) WITH (pages_per_range = 16, autosummarize = on);

    -- orderlog.nodes: the nodes that are seen, with commas between.
    CREATE POLICY own_nodes ON orders AS RESTRICTIVE FOR SELECT TO orderlog_console_node_reader
        USING (string_to_array(nodes, ',') && string_to_array(current_setting('orderlog.nodes', true), ','));
    CREATE POLICY own_nodes ON stock AS RESTRICTIVE FOR SELECT TO orderlog_console_node_reader
        USING (node = ANY (string_to_array(current_setting('orderlog.nodes', true), ',')));
    FOREACH model IN ARRAY ARRAY['order_skus', 'timeline', 'reservations'] LOOP
        EXECUTE format(
            'CREATE POLICY own_nodes ON %1$I AS RESTRICTIVE FOR SELECT TO orderlog_console_node_reader'
            ' USING (EXISTS (SELECT FROM orders o WHERE o.tenant = %1$I.tenant AND o.order_id = %1$I.order_id))',
            model);
    END LOOP;
    PERFORM set_config('search_path', 'public', true);
END
$create$;

DO $live$
BEGIN
    DROP SCHEMA live CASCADE;
    PERFORM create_read_models('live');
END
$live$;
