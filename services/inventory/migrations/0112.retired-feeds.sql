-- depends: 0112.lots-then
-- Feeds that were retired: few of the log's rows, and who looks after them wants those that are new.

CREATE INDEX log_retired ON log (lane, seq) WHERE type = 'oms.inventory.feed_retired' AND origin = 'decided';
CREATE TABLE retired_looked_at (
    lane integer NOT NULL,
    seq  bigint  NOT NULL,
    PRIMARY KEY (lane, seq)
);
COMMENT ON TABLE retired_looked_at IS 'Retirements of feeds whose SKUs were reminded; reminded anew where it is lost.';
