-- depends: 0001.stage
-- A part of a few kilobytes is written again with almost every batch: packing it each time costs more than it saves.

ALTER TABLE part SET (toast_tuple_target = 8160);
