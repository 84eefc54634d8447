-- depends: 0100.sums_of_units
-- Nodes that were switched off or on: few of the log's rows, and who looks after them wants those that are new.

CREATE INDEX log_switches ON log (lane, seq) WHERE type = 'oms.inventory.node_switched' AND origin = 'decided';
CREATE TABLE switch_looked_at (
    lane integer NOT NULL,
    seq  bigint  NOT NULL,
    PRIMARY KEY (lane, seq)
);
COMMENT ON TABLE switch_looked_at IS 'Switches of nodes whose SKUs were reminded; reminded anew where it is lost.';
