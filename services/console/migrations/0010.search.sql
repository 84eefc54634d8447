-- The search index: what of an order is found by parts of words. In a schema whose name is a parameter, so that
-- it can be made anew beside the one that serves. Derived from the topics and the keyring.

CREATE FUNCTION create_search(name text) RETURNS void LANGUAGE plpgsql AS $create$
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
        words text COLLATE "C" NOT NULL,   -- folded, with a blank before each; empty for a contact
        tokens integer[] NOT NULL,         -- services.console.search.terms
        customer_id text COLLATE "C",      -- of the order's own part
        subject text COLLATE "C",          -- of a contact: whose key opens it, and which of them
        generation integer,
        sealed text,                       -- libs.events.order.Sealed as JSON
        PRIMARY KEY (tenant, order_id, part)
    );
    CREATE INDEX ON parts USING gin (tokens);
    CREATE INDEX ON parts (tenant, customer_id, order_id) WHERE customer_id IS NOT NULL;
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

    -- The owner fills them; who asks goes through `find`, for a policy would keep the planner from the index.
    FOREACH model IN ARRAY ARRAY['parts', 'articles'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', model);
        EXECUTE format(
            'CREATE POLICY one_tenant ON %I FOR SELECT TO orderlog_console_reader'
            ' USING (tenant = current_setting(''orderlog.tenant'', true))', model);
    END LOOP;
    EXECUTE format('GRANT USAGE ON SCHEMA %I TO orderlog_console_reader', name);
    EXECUTE format('GRANT SELECT ON parts, articles, consumed TO orderlog_console_reader');

    -- Orders of the tenant one of whose parts has every token: `in_clear` of what is no secret, whose words are
    -- compared too; `in_contact` of sealed contacts, which the caller has to open and compare. At most `most` of
    -- each. Token arrays hold the tenant, so the index gives none of another's; the tenant is compared anyway.
    EXECUTE format($find$
        CREATE FUNCTION find(in_clear integer[], in_contact integer[], patterns text[], most integer)
        RETURNS TABLE (order_id text, how text)
        LANGUAGE sql STABLE SECURITY DEFINER SET search_path = %1$I, pg_catalog ROWS 100 AS $sql$
            (SELECT p.order_id, 'number' FROM parts AS p
            WHERE in_clear <> '{}' AND p.tokens @> in_clear AND p.tenant = current_setting('orderlog.tenant', true)
                AND p.part <> 'contact' AND p.words LIKE ALL (patterns) LIMIT most)
            UNION ALL
            (SELECT p.order_id, 'contact' FROM parts AS p
            WHERE in_contact <> '{}' AND p.tokens @> in_contact
                AND p.tenant = current_setting('orderlog.tenant', true) AND p.part = 'contact' LIMIT most)
        $sql$
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
    REVOKE ALL ON FUNCTION find(integer[], integer[], text[], integer), find_articles(integer[], text[], integer)
        FROM PUBLIC;
    GRANT EXECUTE ON FUNCTION find(integer[], integer[], text[], integer),
        find_articles(integer[], text[], integer) TO orderlog_console_reader;
    PERFORM set_config('search_path', 'public', true);
END
$create$;

DO $live$ BEGIN PERFORM create_search('search'); END $live$;
