-- depends: 0002.parts_inline
-- Each lane's log is a hash chain (docs/audit.md). A log from before begins at its first row: `chained` is 0.

ALTER TABLE relay
    ADD COLUMN chained bigint NOT NULL DEFAULT 0,
    ADD COLUMN head bytea,
    ADD CHECK ((chained = 0) = (head IS NULL));
COMMENT ON COLUMN relay.head IS 'Of the lane''s chain at sequence `chained`, whatever `published` is.';

CREATE TABLE anchor (
    lane  integer     NOT NULL,
    seq   bigint      NOT NULL CHECK (seq > 0),
    head  bytea       NOT NULL,
    at    timestamptz NOT NULL,
    PRIMARY KEY (lane, seq)
);
COMMENT ON TABLE anchor IS 'Heads of the chains as they were, now and then. Append-only; also on oms.anchors.';
CREATE TRIGGER anchor_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON anchor
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
