-- Lists in the order in which they are shown, from one index each: orders with a SKU, and what waits at a node. The live tables
-- keep their rows.
ALTER FUNCTION create_read_models(text) RENAME TO create_read_models_before_lists;

CREATE FUNCTION add_lists(name text) RETURNS void LANGUAGE plpgsql AS $add$
BEGIN
    PERFORM set_config('search_path', quote_ident(name) || ', pg_catalog', true);
    -- `ordered_at` is the order's own, and never changes.
    ALTER TABLE order_skus DROP CONSTRAINT order_skus_pkey, ADD COLUMN ordered_at timestamptz;
    UPDATE order_skus s SET ordered_at = o.ordered_at FROM orders o
        WHERE o.tenant = s.tenant AND o.order_id = s.order_id;
    ALTER TABLE order_skus ALTER COLUMN ordered_at SET NOT NULL,
        ADD PRIMARY KEY (tenant, sku, ordered_at, order_id);
    -- Its nodes are compared within the index.
    DROP INDEX orders_waiting;
    CREATE INDEX orders_waiting ON orders (tenant, waiting_in, ordered_at DESC, order_id DESC, nodes)
        WHERE waiting_in <> '';
    PERFORM set_config('search_path', 'public', true);
END
$add$;

CREATE FUNCTION create_read_models(name text) RETURNS void LANGUAGE plpgsql AS $create$
BEGIN
    PERFORM create_read_models_before_lists(name);
    PERFORM add_lists(name);
END
$create$;

DO $live$
BEGIN
    PERFORM set_config('orderlog.projector', 'on', true);
    PERFORM add_lists('live');
    PERFORM set_config('orderlog.projector', '', true);
END
$live$;
