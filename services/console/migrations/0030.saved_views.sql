-- Lists that people keep under a name. Not derived from the topics: a rebuild leaves them alone.
CREATE SCHEMA desk;

CREATE TABLE desk.saved_views (
    tenant text COLLATE "C" NOT NULL,
    owner text COLLATE "C" NOT NULL,       -- the actor who saved it
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 60),
    query text NOT NULL CHECK (length(query) <= 2000),
    saved_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant, owner, name)
);
ALTER TABLE desk.saved_views ENABLE ROW LEVEL SECURITY;
ALTER TABLE desk.saved_views FORCE ROW LEVEL SECURITY;
CREATE POLICY own_views ON desk.saved_views
    USING (tenant = current_setting('orderlog.tenant', true) AND owner = current_setting('orderlog.actor', true));
