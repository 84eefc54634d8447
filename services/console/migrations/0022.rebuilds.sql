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
