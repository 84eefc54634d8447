-- depends: 0116.bundles
-- Days that channels ask of the lots of all SKUs: few of the log's rows, and who looks after them wants those that are
-- new.

CREATE INDEX log_channel_days ON log (lane, seq)
    WHERE type = 'oms.inventory.channel_days_defined' AND origin = 'decided';
CREATE TABLE channel_days_looked_at (
    lane integer NOT NULL,
    seq  bigint  NOT NULL,
    PRIMARY KEY (lane, seq)
);
COMMENT ON TABLE channel_days_looked_at IS 'Days of channels whose SKUs were reminded; reminded anew where it is lost.';
