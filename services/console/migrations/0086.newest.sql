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
    -- Each scan reads what waits to be entered, at most a megabyte of it.
    ALTER TABLE parts ALTER COLUMN tokens SET STATISTICS 400;
    CREATE INDEX parts_found ON parts USING gin (cells(tenant, at), tokens) WITH (gin_pending_list_limit = 1024);
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

    -- The commonest tokens, and how many rows have one, as the table's statistics know it. A search need not look up these.
    CREATE TABLE common (
        token integer PRIMARY KEY,
        rows float8 NOT NULL
    );
    CREATE INDEX ON common (rows);
    EXECUTE format($note$
        CREATE FUNCTION note_common() RETURNS void LANGUAGE sql SET search_path = %1$I, pg_catalog AS $sql$
            DELETE FROM common;
            INSERT INTO common SELECT token, share * (SELECT reltuples FROM pg_class WHERE oid = 'parts'::regclass)
                FROM pg_stats, unnest(most_common_elems::text::integer[], most_common_elem_freqs) AS one (token, share)
                WHERE schemaname = %1$L AND tablename = 'parts' AND attname = 'tokens' AND token IS NOT NULL
        $sql$
        $note$, name);

    -- The newest orders of the tenant one of whose parts has every token, from behind (last_at, last_id) on, placed at `since` or
    -- later, at most `most`: `in_clear` of what is no secret, whose words are compared too; `in_contact` of sealed contacts,
    -- which the caller has to open and compare (`by_contact`: found by that alone). It goes back in steps as long as what
    -- was found tells, each an index scan of its cells; what few rows have is looked up at once. An order's parts have one
    -- moment, so they are found in one step. Three tokens are looked up, the rarest, and the others compared in the rows.
    EXECUTE format($find$
        CREATE FUNCTION newest(in_clear integer[], in_contact integer[], patterns text[], last_at timestamptz, last_id text,
            since timestamptz, most integer)
        RETURNS TABLE (order_id text, at timestamptz, by_contact boolean)
        LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = %1$I, pg_catalog
        SET plan_cache_mode = force_generic_plan SET enable_seqscan = off ROWS 100 AS $plpgsql$
        #variable_conflict use_column
        DECLARE
            me text := current_setting('orderlog.tenant', true);
            clear_ones integer[] := in_clear;
            sealed_ones integer[] := in_contact;
            few float8;             -- rows that have such tokens are no more than this
            width float8 := 8192;   -- seconds of a step
            high timestamptz := 'infinity';
            low timestamptz := 'infinity';
            last_second bigint;
            bits integer;
            span integer[];
            taken integer;
            so_far integer := 0;
        BEGIN
            IF EXISTS (SELECT FROM common) THEN
                SELECT coalesce((array_agg(t.token ORDER BY t.rows, t.token) FILTER (WHERE t.clear))[:3], '{}'),
                    coalesce((array_agg(t.token ORDER BY t.rows, t.token) FILTER (WHERE NOT t.clear))[:3], '{}'),
                    coalesce(min(t.rows) FILTER (WHERE t.clear), 0) + coalesce(min(t.rows) FILTER (WHERE NOT t.clear), 0)
                INTO clear_ones, sealed_ones, few
                FROM (
                    SELECT a.token, a.clear, coalesce((SELECT c.rows FROM common AS c WHERE c.token = a.token),
                        (SELECT c.rows FROM common AS c ORDER BY c.rows LIMIT 1)) AS rows
                    FROM (SELECT unnest(in_clear) AS token, true AS clear UNION ALL SELECT unnest(in_contact), false) AS a
                ) AS t;
            END IF;
            -- Beyond 32 of the longest cells it is no step any more.
            WHILE width <= 32 * 4194304 AND few > CASE WHEN high = 'infinity' THEN 5000
                    WHEN so_far <= 3 AND last_at - low > interval '1 day' THEN 100000 ELSE -1 END IS NOT FALSE LOOP
                bits := CASE WHEN width <= 65536 THEN 12 WHEN width <= 2097152 THEN 17 ELSE 22 END;
                last_second := floor(date_part('epoch', least(high, last_at)));
                low := to_timestamp((last_second - width::bigint) >> bits << bits);
                span := cells(me, low, least(high, last_at), bits);
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
                width := width * CASE WHEN few < 50000 THEN 16 ELSE 4 END;
                IF so_far > 0 THEN
                    width := least(width, date_part('epoch', last_at - low) * most / so_far * 1.5 + 8192);
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
        find_articles(integer[], text[], integer), note_common() FROM PUBLIC;
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
