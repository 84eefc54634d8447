"""When each feed was last heard, and which are silent: of the read models, for whoever lists feeds.

How a feed is defined, and its last full run, is inventory's to tell (`GET /v1/stock/feeds` there).
"""

from typing import Any

from libs.runtime.pool import Connection
from services.console.supply_items import NO_SKU

_FEEDS = """
    SELECT split_part(item, '/', 2) AS feed, closed_at AS heard_at,
        CASE WHEN closed_at IS NULL OR closed_at < opened_at THEN opened_at END AS silent_since
    FROM stock_items WHERE tenant = $1 AND sku = $2 AND kind = 'feed_stale' ORDER BY 1"""


async def read_feeds(connection: Connection, tenant: str) -> list[dict[str, Any]]:
    """The feeds that were ever heard, by name. `heard_at`: when the last row of it that was fresh was taken,
    or it was retired; none, it never was. `silent_since`: since when what it told is too old; none, it is
    not."""
    return [dict(row) for row in await connection.fetch(_FEEDS, tenant, NO_SKU)]
