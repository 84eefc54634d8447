-- One key per (tenant, subject, generation), wrapped by the master key. Erasure empties `wrapped`.
CREATE TABLE subject_keys (
    tenant text NOT NULL,
    subject text NOT NULL,
    generation integer NOT NULL CHECK (generation >= 1),
    wrapped bytea,
    created_at timestamptz NOT NULL DEFAULT now(),
    destroyed_at timestamptz,
    PRIMARY KEY (tenant, subject, generation),
    CHECK ((wrapped IS NULL) = (destroyed_at IS NOT NULL))
) WITH (autovacuum_vacuum_threshold = 1, autovacuum_vacuum_scale_factor = 0);
-- Vacuumed soon after any erasure: until then the old row version, with the wrapped key, is in the file.

-- A subject has one living key at most: two processes cannot each make one.
CREATE UNIQUE INDEX subject_keys_living ON subject_keys (tenant, subject) WHERE wrapped IS NOT NULL;

-- Who had whose keys destroyed, and when. A request that found nothing is kept too: it was answered.
CREATE TABLE erasures (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant text NOT NULL,
    subject text NOT NULL,
    generations integer[] NOT NULL,
    actor text NOT NULL CHECK (actor <> ''),
    erased_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX erasures_by_subject ON erasures (tenant, subject);
