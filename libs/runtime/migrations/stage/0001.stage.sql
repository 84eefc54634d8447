-- One stage's database: its log, what it has consumed, the folds it decides from.

CREATE TABLE log (
    lane            integer     NOT NULL,
    origin          text        NOT NULL CHECK (origin IN ('decided', 'heard')),
    seq             bigint      NOT NULL CHECK (seq > 0),
    event_id        uuid        NOT NULL,
    tenant          text        NOT NULL,
    stream          text        NOT NULL,
    stream_version  bigint      NOT NULL,
    type            text        NOT NULL,
    version         integer     NOT NULL,
    payload         json        NOT NULL,
    context         json        NOT NULL,
    at              timestamptz NOT NULL,
    recorded_at     timestamptz NOT NULL,
    PRIMARY KEY (lane, origin, seq)
);
COMMENT ON TABLE log IS 'Event store and outbox in one. Append-only: rows are never changed.';
CREATE UNIQUE INDEX log_stream ON log (tenant, stream, stream_version);

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION '% is append-only', TG_TABLE_NAME; END $$;
CREATE TRIGGER log_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON log
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

CREATE TABLE lane (
    lane          integer PRIMARY KEY,
    epoch         integer NOT NULL DEFAULT 0,
    next_decided  bigint  NOT NULL DEFAULT 1,
    next_heard    bigint  NOT NULL DEFAULT 1
);
COMMENT ON TABLE lane IS 'What comes next in each lane; epoch fences former owners.';

CREATE TABLE relay (
    lane       integer PRIMARY KEY,
    published  bigint NOT NULL DEFAULT 0
);

CREATE TABLE consumed (
    topic        text    NOT NULL,
    partition    integer NOT NULL,
    next_offset  bigint  NOT NULL,
    PRIMARY KEY (topic, partition)
);

CREATE TABLE high_water (
    source    text    NOT NULL,
    lane      integer NOT NULL,
    sequence  bigint  NOT NULL,
    PRIMARY KEY (source, lane)
);
COMMENT ON TABLE high_water IS 'The last sequence heard of each sender''s lane: earlier ones are repeats.';

CREATE TABLE handled (
    tenant      text    NOT NULL,
    command_id  uuid    NOT NULL,
    digest      bytea   NOT NULL,
    lane        integer NOT NULL,
    first_seq   bigint  NOT NULL,
    rows        integer NOT NULL,
    PRIMARY KEY (tenant, command_id)
);
COMMENT ON TABLE handled IS 'Commands that were decided, and which log rows answered them.';

CREATE TABLE part (
    key      text PRIMARY KEY,
    lane     integer NOT NULL,
    version  bigint  NOT NULL,
    part     json
) WITH (fillfactor = 70);
COMMENT ON TABLE part IS 'Snapshot of each stream (tenant/stream): the fold of its first version rows.';

CREATE TABLE timer (
    key     text        NOT NULL,
    name    text        NOT NULL,
    lane    integer     NOT NULL,
    due_at  timestamptz NOT NULL,
    PRIMARY KEY (key, name)
);
CREATE INDEX timer_due ON timer (lane, due_at);

CREATE TABLE effect (
    effect_id   text PRIMARY KEY,
    lane        integer     NOT NULL,
    key         text        NOT NULL,
    attempts    integer     NOT NULL DEFAULT 0,
    due_at      timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE effect IS 'Owed to the outside world; gone once its outcome has been decided.';
CREATE INDEX effect_due ON effect (lane, due_at);

CREATE TABLE parked (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    lane       integer     NOT NULL,
    key        text        NOT NULL,
    topic      text        NOT NULL,
    partition  integer     NOT NULL,
    "offset"   bigint      NOT NULL,
    code       text        NOT NULL,
    reason     text        NOT NULL,
    tenant     text        NOT NULL,
    type       text        NOT NULL,
    state      text        NOT NULL
               CHECK (state IN ('parked', 'queued', 'replaying', 'replayed', 'discarded')),
    parked_at  timestamptz NOT NULL DEFAULT now(),
    decided_by text,
    decided_at timestamptz,
    note       text
);
COMMENT ON TABLE parked IS 'Records that wait for a person. The record itself stays on its topic.';
CREATE INDEX parked_open ON parked (lane, key) WHERE state IN ('parked', 'queued', 'replaying');
