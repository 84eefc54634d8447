-- depends: 0006.timers-moved
-- What is owed of one stream is done in the order in which it was decided. What is owed by now is numbered as it lies.

ALTER TABLE effect ADD COLUMN position bigint GENERATED ALWAYS AS IDENTITY;
COMMENT ON COLUMN effect.position IS 'Of two effects of one key, the lower one was decided first.';
CREATE INDEX effect_of_key ON effect (key, position);
