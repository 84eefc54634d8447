-- depends: 0104.switches
-- A SKU's part says when what is to come arrives: caps on waiting count what comes in time. The text is added at its end, as
-- the order of the held baskets in it, the youngest last, must stay.

WITH coming AS (
    SELECT 'expected' AS kind, part.key, one.value AS document
    FROM part, json_each(part.part -> 'expected') AS one WHERE part.key LIKE '%/supply/%'
    UNION ALL
    SELECT 'transfer', part.key, one.value
    FROM part, json_each(part.part -> 'transfers') AS one WHERE part.key LIKE '%/supply/%'),
dated AS (
    SELECT replace(key, '/supply/', '/sku/') AS key, (document ->> 'open')::bigint AS units,
        replace(document ->> CASE kind WHEN 'expected' THEN 'expected_at' ELSE 'due_at' END, 'Z', '+00:00') AS arrives,
        CASE kind WHEN 'expected' THEN document ->> 'node' ELSE document ->> 'target_node' END AS node
    FROM coming
    WHERE NOT (document ->> 'closed')::boolean AND (document ->> 'open')::bigint > 0
        AND (kind = 'expected' OR document ->> 'source_node' <> '')),
arrivals AS (
    SELECT key, json_agg(json_build_array(arrives, node, units)
        ORDER BY arrives COLLATE "C", node COLLATE "C", units)::text AS listed
    FROM dated WHERE arrives IS NOT NULL GROUP BY key)
UPDATE part SET part = (left(rtrim(part.part::text), -1) || ',"arrivals":' || listed || '}')::json
FROM arrivals WHERE part.key = arrivals.key AND part.part -> 'arrivals' IS NULL;
