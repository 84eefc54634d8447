-- Who is signed in, and who looked at personal data. Not derived from the topics: a rebuild leaves it alone.
CREATE SCHEMA access;

-- Of a session's and a login's own secret only the hash is here: who reads this table gets in nowhere.
CREATE TABLE access.sessions (
    secret_sha256 bytea PRIMARY KEY,
    tenant text COLLATE "C" NOT NULL,
    actor text NOT NULL,
    name text NOT NULL,
    role text COLLATE "C" NOT NULL,
    nodes text[],                     -- the nodes that the person may see; none: all
    csrf text NOT NULL,
    started_at timestamptz NOT NULL DEFAULT now(),
    seen_at timestamptz NOT NULL DEFAULT now(),
    ends_at timestamptz NOT NULL
);
CREATE INDEX ON access.sessions (ends_at);

-- A login under way, from the redirect to the issuer until the browser comes back from it.
CREATE TABLE access.logins (
    state_sha256 bytea PRIMARY KEY,
    browser_sha256 bytea NOT NULL,
    nonce text NOT NULL,
    verifier text NOT NULL,
    back text NOT NULL,
    ends_at timestamptz NOT NULL
);

CREATE TABLE access.unmaskings (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant text COLLATE "C" NOT NULL,
    order_id text COLLATE "C" NOT NULL,
    actor text NOT NULL,
    role text COLLATE "C" NOT NULL,
    reason text NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX ON access.unmaskings (tenant, at DESC, id DESC);

CREATE FUNCTION access.keep() RETURNS trigger LANGUAGE plpgsql AS $keep$
BEGIN
    RAISE EXCEPTION 'what was looked at is kept: % is append-only', TG_TABLE_NAME;
END
$keep$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON access.unmaskings
    FOR EACH STATEMENT EXECUTE FUNCTION access.keep();

ALTER TABLE access.unmaskings ENABLE ROW LEVEL SECURITY;
CREATE POLICY one_tenant ON access.unmaskings FOR SELECT TO orderlog_console_reader
    USING (tenant = current_setting('orderlog.tenant', true));
GRANT USAGE ON SCHEMA access TO orderlog_console_reader;
GRANT SELECT ON access.unmaskings TO orderlog_console_reader;

-- Rebuilds of the read models, whoever runs them: how far, and what came of it.
CREATE TABLE access.rebuilds (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    began_at timestamptz NOT NULL DEFAULT now(),
    told_at timestamptz NOT NULL DEFAULT now(),
    done bigint NOT NULL DEFAULT 0,
    total bigint NOT NULL DEFAULT 0,
    ended_at timestamptz,
    failed text,
    live_digest text,
    rebuilt_digest text,
    swapped boolean NOT NULL DEFAULT false
);
