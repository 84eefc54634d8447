-- depends: 0080.state-topic
-- The terms of a SKU's promises as they were: few of a stream's rows are of that type, and who asks wants the last one.

CREATE INDEX log_terms ON log (tenant, stream, stream_version) WHERE type = 'oms.inventory.promise_terms_defined';
