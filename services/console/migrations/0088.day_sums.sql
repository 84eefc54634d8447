-- Sums of orders by day, from which Measures and Delays read a month; and the orders themselves by how long they took, so that
-- the slowest, the dearest and a percentile are a step in an index. The live tables keep their rows.
ALTER FUNCTION create_read_models(text) RENAME TO create_read_models_before_day_sums;

CREATE FUNCTION add_day_sums(name text) RETURNS void LANGUAGE plpgsql AS $add$
DECLARE
    model text;
BEGIN
    PERFORM set_config('search_path', quote_ident(name) || ', pg_catalog', true);

    ALTER TABLE orders
        -- Whole hours from acceptance to the first shipment.
        ADD COLUMN ship_hours integer GENERATED ALWAYS AS (
            floor(extract(epoch FROM shipped_at - confirmed_at) / 3600)::integer) STORED,
        -- The sum of `segments`.
        ADD COLUMN whole_us bigint GENERATED ALWAYS AS (
            split_part(segments, ',', 1)::bigint +
            split_part(segments, ',', 2)::bigint +
            split_part(segments, ',', 3)::bigint +
            split_part(segments, ',', 4)::bigint +
            split_part(segments, ',', 5)::bigint +
            split_part(segments, ',', 6)::bigint +
            split_part(segments, ',', 7)::bigint +
            split_part(segments, ',', 8)::bigint) STORED;
    CREATE INDEX orders_ship_hours ON orders (tenant, ship_hours, shipped_at) INCLUDE (confirmed_at, channel, nodes)
        WHERE ship_hours IS NOT NULL;
    CREATE INDEX orders_slowest ON orders (tenant, whole_us DESC, order_id)
        INCLUDE (delivered_at, last_node, last_carrier, channel, nodes) WHERE whole_us IS NOT NULL;
    CREATE INDEX orders_dearest ON orders (tenant, carriage_currency, carriage_minor DESC, order_id)
        INCLUDE (delivered_at, nodes) WHERE carriage_minor IS NOT NULL;

    -- What counts is the sum over all lanes: a row of one of them may be below zero.
    -- Orders accepted that day, their units, their exceptions, and units of those that were not there.
    CREATE TABLE accepted_days (
        tenant text COLLATE "C" NOT NULL,
        day date NOT NULL,
        lane integer NOT NULL,
        channel text COLLATE "C" NOT NULL,
        nodes text COLLATE "C" NOT NULL,
        orders bigint NOT NULL,
        units bigint NOT NULL,
        items bigint NOT NULL,
        missing bigint NOT NULL,
        PRIMARY KEY (tenant, day, lane, channel, nodes)
    ) WITH (fillfactor = 70);
    -- Orders whose first shipment left that day, by whole hours since they were accepted.
    CREATE TABLE shipped_days (
        tenant text COLLATE "C" NOT NULL,
        day date NOT NULL,
        lane integer NOT NULL,
        channel text COLLATE "C" NOT NULL,
        nodes text COLLATE "C" NOT NULL,
        ship_hours integer NOT NULL,
        orders bigint NOT NULL,
        split bigint NOT NULL,
        waited_us bigint NOT NULL,
        PRIMARY KEY (tenant, day, lane, channel, nodes, ship_hours)
    ) WITH (fillfactor = 70);
    -- Orders whose last delivery was that day, by what kept them from being perfect; what carriers asked for those of
    -- which it is known.
    CREATE TABLE delivered_days (
        tenant text COLLATE "C" NOT NULL,
        day date NOT NULL,
        lane integer NOT NULL,
        channel text COLLATE "C" NOT NULL,
        nodes text COLLATE "C" NOT NULL,
        broken text COLLATE "C" NOT NULL,
        currency text COLLATE "C" NOT NULL,
        orders bigint NOT NULL,
        promised bigint NOT NULL,
        on_time bigint NOT NULL,
        stated bigint NOT NULL,
        minor bigint NOT NULL,
        PRIMARY KEY (tenant, day, lane, channel, nodes, broken, currency)
    ) WITH (fillfactor = 70);
    -- Where the time of orders delivered that day went, in microseconds, by whose shipment came last.
    CREATE TABLE delay_days (
        tenant text COLLATE "C" NOT NULL,
        day date NOT NULL,
        lane integer NOT NULL,
        channel text COLLATE "C" NOT NULL,
        nodes text COLLATE "C" NOT NULL,
        node text COLLATE "C" NOT NULL,
        carrier text COLLATE "C" NOT NULL,
        orders bigint NOT NULL,
        hold_us bigint NOT NULL,
        payment_us bigint NOT NULL,
        stock_us bigint NOT NULL,
        routing_us bigint NOT NULL,
        queue_us bigint NOT NULL,
        pick_us bigint NOT NULL,
        pack_us bigint NOT NULL,
        carrier_us bigint NOT NULL,
        PRIMARY KEY (tenant, day, lane, channel, nodes, node, carrier)
    ) WITH (fillfactor = 70);
    -- Backorders that began that day: the age of those that have ended, and since when after midnight others wait.
    CREATE TABLE backorder_days (
        tenant text COLLATE "C" NOT NULL,
        day date NOT NULL,
        lane integer NOT NULL,
        channel text COLLATE "C" NOT NULL,
        nodes text COLLATE "C" NOT NULL,
        orders bigint NOT NULL,
        ended_us bigint NOT NULL,
        waiting bigint NOT NULL,
        waiting_us bigint NOT NULL,
        PRIMARY KEY (tenant, day, lane, channel, nodes)
    ) WITH (fillfactor = 70);
    FOREACH model IN ARRAY ARRAY['accepted_days', 'shipped_days', 'delivered_days', 'delay_days', 'backorder_days'] LOOP
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
            ' USING (string_to_array(nodes, '','')'
            ' && string_to_array(current_setting(''orderlog.nodes'', true), '',''))', model);
        EXECUTE format('GRANT SELECT ON %I TO orderlog_console_reader', model);
    END LOOP;
    PERFORM set_config('search_path', 'public', true);
END
$add$;

CREATE FUNCTION create_read_models(name text) RETURNS void LANGUAGE plpgsql AS $create$
BEGIN
    PERFORM create_read_models_before_day_sums(name);
    PERFORM add_day_sums(name);
END
$create$;

DO $live$
BEGIN
    PERFORM set_config('orderlog.projector', 'on', true);
    PERFORM add_day_sums('live');
    PERFORM set_config('search_path', 'live, pg_catalog', true);
    INSERT INTO accepted_days (tenant, day, channel, nodes, lane, orders, units, items, missing)
        SELECT tenant, day, channel, nodes, 0, sum(orders), sum(units), sum(items), sum(missing) FROM (SELECT o.tenant, (o.confirmed_at AT TIME ZONE 'UTC')::date AS day, coalesce(o.channel, '') AS channel, o.nodes, 1 AS orders, o.units, e.items, e.missing
        FROM orders o LEFT JOIN LATERAL (SELECT count(*) AS items,
        coalesce(sum(units) FILTER (WHERE kind IN ('backordered', 'short_picked')), 0)::bigint AS missing
        FROM exceptions WHERE o.broken <> '' AND tenant = o.tenant AND order_id = o.order_id
        AND kind NOT IN ('stuck', 'late', 'at_risk')) AS e ON true
        WHERE o.confirmed_at IS NOT NULL) AS found GROUP BY tenant, day, channel, nodes;
    INSERT INTO shipped_days (tenant, day, channel, nodes, ship_hours, lane, orders, split, waited_us)
        SELECT tenant, day, channel, nodes, ship_hours, 0, sum(orders), sum(split), sum(waited_us) FROM (SELECT o.tenant, (o.shipped_at AT TIME ZONE 'UTC')::date AS day, coalesce(o.channel, '') AS channel, o.nodes, o.ship_hours, 1 AS orders,
        ('split' = ANY (string_to_array(o.broken, ' ')))::int AS split,
        (extract(epoch FROM o.shipped_at - o.confirmed_at) * 1000000)::bigint AS waited_us
        FROM orders o WHERE o.shipped_at IS NOT NULL AND o.confirmed_at IS NOT NULL) AS found GROUP BY tenant, day, channel, nodes, ship_hours;
    INSERT INTO delivered_days (tenant, day, channel, nodes, broken, currency, lane, orders, promised, on_time, stated, minor)
        SELECT tenant, day, channel, nodes, broken, currency, 0, sum(orders), sum(promised), sum(on_time), sum(stated), sum(minor) FROM (SELECT o.tenant, (o.delivered_at AT TIME ZONE 'UTC')::date AS day, coalesce(o.channel, '') AS channel, o.nodes, o.broken,
        coalesce(o.carriage_currency, '') AS currency, 1 AS orders,
        (o.promise_ends_at IS NOT NULL)::int AS promised,
        (coalesce(o.delivered_at < o.promise_ends_at, false))::int AS on_time,
        (o.carriage_minor IS NOT NULL)::int AS stated, coalesce(o.carriage_minor, 0) AS minor
        FROM orders o WHERE o.delivered_at IS NOT NULL) AS found GROUP BY tenant, day, channel, nodes, broken, currency;
    INSERT INTO delay_days (tenant, day, channel, nodes, node, carrier, lane, orders, hold_us, payment_us, stock_us, routing_us, queue_us, pick_us, pack_us, carrier_us)
        SELECT tenant, day, channel, nodes, node, carrier, 0, sum(orders), sum(hold_us), sum(payment_us), sum(stock_us), sum(routing_us), sum(queue_us), sum(pick_us), sum(pack_us), sum(carrier_us) FROM (SELECT o.tenant, (o.delivered_at AT TIME ZONE 'UTC')::date AS day, coalesce(o.channel, '') AS channel, o.nodes, o.last_node AS node, o.last_carrier AS carrier,
        1 AS orders, split_part(o.segments, ',', 1)::bigint AS hold_us, split_part(o.segments, ',', 2)::bigint AS payment_us, split_part(o.segments, ',', 3)::bigint AS stock_us, split_part(o.segments, ',', 4)::bigint AS routing_us, split_part(o.segments, ',', 5)::bigint AS queue_us, split_part(o.segments, ',', 6)::bigint AS pick_us, split_part(o.segments, ',', 7)::bigint AS pack_us, split_part(o.segments, ',', 8)::bigint AS carrier_us
        FROM orders o WHERE o.delivered_at IS NOT NULL AND o.segments IS NOT NULL) AS found GROUP BY tenant, day, channel, nodes, node, carrier;
    INSERT INTO backorder_days (tenant, day, channel, nodes, lane, orders, ended_us, waiting, waiting_us)
        SELECT tenant, day, channel, nodes, 0, sum(orders), sum(ended_us), sum(waiting), sum(waiting_us) FROM (SELECT o.tenant, (e.since_at AT TIME ZONE 'UTC')::date AS day, coalesce(o.channel, '') AS channel, o.nodes, 1 AS orders,
        coalesce((extract(epoch FROM e.ended_at - e.since_at) * 1000000)::bigint, 0) AS ended_us,
        (e.ended_at IS NULL)::int AS waiting,
        CASE WHEN e.ended_at IS NULL THEN (extract(epoch FROM e.since_at AT TIME ZONE 'UTC' - (e.since_at AT TIME ZONE 'UTC')::date) * 1000000)::bigint
        ELSE 0 END AS waiting_us
        FROM exceptions e JOIN orders o USING (tenant, order_id) WHERE e.kind = 'backordered') AS found GROUP BY tenant, day, channel, nodes;
    PERFORM set_config('search_path', 'public', true);
    PERFORM set_config('orderlog.projector', '', true);
END
$live$;
