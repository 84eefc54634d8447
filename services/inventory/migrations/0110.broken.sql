-- depends: 0104.arrivals 0104.switches
-- Promises of a SKU that were taken back: few rows of its stream, which whoever asks for its queue is told. Other rows
-- cost this index nothing.

CREATE INDEX log_broken ON log (tenant, stream, stream_version) WHERE type = 'oms.inventory.reservation_broken';
