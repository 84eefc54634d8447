-- depends: 0112.retired-feeds
-- Which SKUs are bundles: few of the log's rows say so, and whoever lists stock is told of bundles, too. Other rows
-- cost this index nothing.

CREATE INDEX log_bundles ON log (tenant, stream, stream_version)
    WHERE type IN ('oms.inventory.bundle_defined', 'oms.inventory.bundle_removed');
