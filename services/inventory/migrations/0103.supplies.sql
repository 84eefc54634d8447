-- depends: 0100.sums_of_units
-- What was stated and received of a SKU's purchase orders: few rows of its stream, which whoever buys asks for by
-- themselves. Other rows cost this index nothing.

CREATE INDEX log_supplies ON log (tenant, stream, stream_version)
    WHERE type IN ('oms.inventory.supply_expected', 'oms.inventory.supply_received');
