-- depends: 0002.two-times
-- How far each lane is followed by what tells of its streams on a compacted topic. A lane without a row is followed
-- from its beginning: so a database that was made anew tells everything again.

CREATE TABLE state_topic (
    topic     text    NOT NULL,
    lane      integer NOT NULL,
    followed  bigint  NOT NULL,
    PRIMARY KEY (topic, lane)
);
COMMENT ON TABLE state_topic IS 'Up to which row of each lane its changes are told. May lag: they are told again.';
