-- depends: 0004.commit-batch
-- What becomes of a parked record is told in the log, by the lane's owner: a person asks him to discard one, too.
-- Records of before are told of when something becomes of them.

ALTER TABLE parked
    ADD COLUMN record_id uuid,
    ADD COLUMN told      integer NOT NULL DEFAULT 0,
    ADD COLUMN told_seq  bigint  NOT NULL DEFAULT 0,
    ADD CHECK ((told = 0) = (told_seq = 0)),
    DROP CONSTRAINT parked_state_check,
    ADD CONSTRAINT parked_state_check
        CHECK (state IN ('parked', 'queued', 'replaying', 'discarding', 'replayed', 'discarded'));
COMMENT ON COLUMN parked.record_id IS 'The record''s ce_id, where it has one.';
COMMENT ON COLUMN parked.told IS 'How many rows of the log tell of it, the first of them at seq told_seq of its lane.';
DROP INDEX parked_open;
CREATE INDEX parked_open ON parked (lane, key) WHERE state IN ('parked', 'queued', 'replaying', 'discarding');
