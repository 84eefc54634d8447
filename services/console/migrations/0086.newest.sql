-- A search finds the newest orders, and no more than a page of them. Each row has its order's moment, beside its tokens in one
-- index, so a search goes back in time as far as it has to. A shipment whose id begins with its order's id has no words of that.
-- The index is made anew from the topics.
CREATE OR REPLACE FUNCTION create_search(name text) RETURNS void LANGUAGE plpgsql AS $create$
DECLARE
    model text;
BEGIN
    EXECUTE format('CREATE SCHEMA %I', name);
    PERFORM set_config('search_path', quote_ident(name) || ', pg_catalog', true);

    -- What belongs together of an order: its own numbers (`order`), a shipment's, or its customer's contact.
    CREATE TABLE parts (
        tenant text COLLATE "C" NOT NULL,
        order_id text COLLATE "C" NOT NULL,
        part text COLLATE "C" NOT NULL,
        at timestamptz,                    -- when the order was placed; none: of a shipment whose order is not here yet
        words text COLLATE "C" NOT NULL,   -- folded, with a blank before each; empty for a contact
        tokens integer[] NOT NULL,         -- services.console.search.terms
        customer_id text COLLATE "C",      -- of the order's own part
        subject text COLLATE "C",          -- of a contact: whose key opens it, and which of them
        generation integer,
        sealed text,                       -- libs.events.order.Sealed as JSON
        PRIMARY KEY (tenant, order_id, part)
    );

    -- Cells of time that a moment lies in: of 2^12, 2^17 and 2^22 seconds (1.1 hours, 1.5 and 48.5 days). They hold the
    -- tenant, as tokens do.
    EXECUTE format($cells$
        CREATE FUNCTION cells(tenant text, first timestamptz, last timestamptz, bits integer) RETURNS integer[]
        LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $plpgsql$
        DECLARE
            salt integer := ('x' || substr(md5(tenant), 1, 8))::bit(32)::integer;
            epoch timestamptz := '1970-01-01 00:00:00+00';
        BEGIN
            RETURN ARRAY(SELECT salt # (n::integer * 32 + bits) FROM generate_series(
                floor(date_part('epoch', first - epoch))::bigint >> bits,
                floor(date_part('epoch', last - epoch))::bigint >> bits) AS n);
        END
        $plpgsql$;
        CREATE FUNCTION cells(tenant text, at timestamptz) RETURNS integer[]
        LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $plpgsql$
        DECLARE
            salt integer := ('x' || substr(md5(tenant), 1, 8))::bit(32)::integer;
            seconds bigint := floor(date_part('epoch', at - '1970-01-01 00:00:00+00'::timestamptz));
        BEGIN
            RETURN ARRAY[salt # ((seconds >> 12)::integer * 32 + 12), salt # ((seconds >> 17)::integer * 32 + 17),
                salt # ((seconds >> 22)::integer * 32 + 22)];
        END
        $plpgsql$
        $cells$);

    -- Cells first: a scan steps through what is in them, and skips in the tokens' lists to there.
    CREATE INDEX parts_found ON parts USING gin (cells(tenant, at), tokens);
    CREATE INDEX parts_without_moment ON parts (tenant, order_id) WHERE at IS NULL;
    CREATE INDEX parts_of_customer ON parts (tenant, customer_id, at DESC, order_id DESC) WHERE customer_id IS NOT NULL;
    CREATE INDEX ON parts (tenant, subject, generation) WHERE subject IS NOT NULL;

    -- Articles, by number and description. An article that was sold under two names is here twice.
    CREATE TABLE articles (
        tenant text COLLATE "C" NOT NULL,
        sku text COLLATE "C" NOT NULL,
        description text COLLATE "C" NOT NULL,
        words text COLLATE "C" NOT NULL,
        tokens integer[] NOT NULL,
        PRIMARY KEY (tenant, sku, description)
    );
    CREATE INDEX ON articles USING gin (tokens);

    -- Where to read on, moved with what was read; and how far erasures were followed.
    CREATE TABLE consumed (
        topic text COLLATE "C" NOT NULL,
        partition integer NOT NULL,
        next_offset bigint NOT NULL,
        PRIMARY KEY (topic, partition)
    );
    CREATE TABLE erased (
        up_to timestamptz NOT NULL
    );

    -- The owner fills them; who asks goes through `newest`, for a policy would keep the planner from the index.
    FOREACH model IN ARRAY ARRAY['parts', 'articles'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', model);
        EXECUTE format(
            'CREATE POLICY one_tenant ON %I FOR SELECT TO orderlog_console_reader'
            ' USING (tenant = current_setting(''orderlog.tenant'', true))', model);
    END LOOP;
    EXECUTE format('GRANT USAGE ON SCHEMA %I TO orderlog_console_reader', name);
    EXECUTE format('GRANT SELECT ON parts, articles, consumed TO orderlog_console_reader');

    -- Of tokens that all have to be there, the three that fewest rows have, as the statistics know it: the others are compared
    -- in the rows. `rows`: that have the rarest, at most; none where there are no statistics, and then all tokens are taken.
    EXECUTE format($rare$
        CREATE FUNCTION rarest(asked integer[], OUT ones integer[], OUT "rows" float8)
        LANGUAGE sql STABLE SET search_path = %1$I, pg_catalog AS $sql$
            WITH common AS MATERIALIZED (
                SELECT unnest(most_common_elems::text::integer[]) AS token, unnest(most_common_elem_freqs) AS share
                FROM pg_stats WHERE schemaname = '%1$s' AND tablename = 'parts' AND attname = 'tokens' AND NOT inherited
            ), known AS (
                SELECT token, coalesce((SELECT share FROM common AS c WHERE c.token = a.token),
                    (SELECT min(share) FROM common WHERE token IS NOT NULL)) AS share FROM unnest(asked) AS a (token)
            )
            SELECT CASE WHEN min(share) IS NULL THEN asked ELSE (array_agg(token ORDER BY share, token))[:3] END,
                CASE WHEN asked = '{}' THEN 0
                    ELSE min(share) * (SELECT reltuples FROM pg_class WHERE oid = 'parts'::regclass) END
            FROM known
        $sql$
        $rare$, name);

    -- The newest orders of the tenant one of whose parts has every token, from behind (last_at, last_id) on, placed at `since` or
    -- later, at most `most`: `in_clear` of what is no secret, whose words are compared too; `in_contact` of sealed contacts,
    -- which the caller has to open and compare (`by_contact`: found by that alone). It goes back in steps that grow fourfold,
    -- each an index scan of its cells; what few rows have is looked up at once. An order's parts have one moment, so
    -- they are found in one step.
    EXECUTE format($find$
        CREATE FUNCTION newest(in_clear integer[], in_contact integer[], patterns text[], last_at timestamptz, last_id text,
            since timestamptz, most integer)
        RETURNS TABLE (order_id text, at timestamptz, by_contact boolean)
        LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = %1$I, pg_catalog
        SET plan_cache_mode = force_generic_plan SET enable_seqscan = off ROWS 100 AS $plpgsql$
        #variable_conflict use_column
        DECLARE
            me text := current_setting('orderlog.tenant', true);
            bits integer[] := '{12, 12, 17, 17, 17, 22, 22, 22}';
            counts integer[] := '{2, 8, 1, 4, 16, 1, 4, 16}';
            clear_ones integer[]; sealed_ones integer[]; clear_rows float8; sealed_rows float8;
            high timestamptz := 'infinity'; low timestamptz; span integer[]; taken integer; so_far integer := 0;
        BEGIN
            SELECT r.ones, r.rows INTO clear_ones, clear_rows FROM rarest(in_clear) AS r;
            SELECT r.ones, r.rows INTO sealed_ones, sealed_rows FROM rarest(in_contact) AS r;
            FOR step IN 1 .. 8 LOOP
                EXIT WHEN coalesce(clear_rows, 1e9) + coalesce(sealed_rows, 1e9) <= CASE WHEN step = 1 THEN 2000
                    WHEN step = 5 AND so_far < 3 THEN 10000 ELSE -1 END;
                low := to_timestamp((floor(date_part('epoch', least(high, last_at)))::bigint >> bits[step])
                    - counts[step] + 1 << bits[step]);
                span := cells(me, low, least(high, last_at), bits[step]);
                low := greatest(low, since);
                RETURN QUERY SELECT h.order_id, h.at, bool_and(h.sealed) FROM (
                    SELECT p.order_id, p.at, false AS sealed FROM parts AS p
                    WHERE in_clear <> '{}' AND cells(p.tenant, p.at) && span AND p.tokens @> clear_ones AND p.tenant = me
                        AND p.part <> 'contact' AND p.words LIKE ALL (patterns) AND p.at >= low AND p.at < high
                    UNION ALL
                    SELECT p.order_id, p.at, true FROM parts AS p
                    WHERE in_contact <> '{}' AND cells(p.tenant, p.at) && span AND p.tokens @> sealed_ones AND p.tenant = me
                        AND p.part = 'contact' AND arraycontains(p.tokens, in_contact) AND p.at >= low AND p.at < high
                ) AS h WHERE (h.at, h.order_id) < (last_at, last_id)
                GROUP BY h.at, h.order_id ORDER BY h.at DESC, h.order_id DESC LIMIT most;
                GET DIAGNOSTICS taken = ROW_COUNT;
                so_far := so_far + taken;
                most := most - taken;
                IF most <= 0 OR low <= since THEN
                    RETURN;
                END IF;
                high := low;
            END LOOP;
            low := since;
            RETURN QUERY SELECT h.order_id, h.at, bool_and(h.sealed) FROM (
                    SELECT p.order_id, p.at, false AS sealed FROM parts AS p
                    WHERE in_clear <> '{}' AND p.tokens @> clear_ones AND p.tenant = me
                        AND p.part <> 'contact' AND p.words LIKE ALL (patterns) AND p.at >= low AND p.at < high
                    UNION ALL
                    SELECT p.order_id, p.at, true FROM parts AS p
                    WHERE in_contact <> '{}' AND p.tokens @> sealed_ones AND p.tenant = me
                        AND p.part = 'contact' AND arraycontains(p.tokens, in_contact) AND p.at >= low AND p.at < high
                ) AS h WHERE (h.at, h.order_id) < (last_at, last_id)
                GROUP BY h.at, h.order_id ORDER BY h.at DESC, h.order_id DESC LIMIT most;
        END
        $plpgsql$
        $find$, name);
    EXECUTE format($find$
        CREATE FUNCTION find_articles(in_clear integer[], patterns text[], most integer)
        RETURNS TABLE (sku text)
        LANGUAGE sql STABLE SECURITY DEFINER SET search_path = %1$I, pg_catalog ROWS 20 AS $sql$
            SELECT DISTINCT a.sku FROM articles AS a
            WHERE in_clear <> '{}' AND a.tokens @> in_clear AND a.tenant = current_setting('orderlog.tenant', true)
                AND a.words LIKE ALL (patterns) LIMIT most
        $sql$
        $find$, name);
    REVOKE ALL ON FUNCTION newest(integer[], integer[], text[], timestamptz, text, timestamptz, integer),
        find_articles(integer[], text[], integer), rarest(integer[]) FROM PUBLIC;
    GRANT EXECUTE ON FUNCTION newest(integer[], integer[], text[], timestamptz, text, timestamptz, integer),
        find_articles(integer[], text[], integer) TO orderlog_console_reader;
    PERFORM set_config('search_path', 'public', true);
END
$create$;

DO $live$
BEGIN
    DROP SCHEMA search CASCADE;
    PERFORM create_search('search');
END
$live$;
