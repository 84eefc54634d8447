"""Examples of a feed's map, and of rows in their words."""

from libs.events import feed_maps as f
from tests.contract.example_parts import HEART, PLACED_AT, Pairs
from tests.contract.example_supply import BEFORE, LATER

FEED_MAPS: Pairs = (
    (
        f.MapFeedSku(feed="acme", theirs="H-12/CASE", sku=HEART, pack_size=12, per=5),
        f.MapFeedSku(feed="acme", theirs="H-12/CASE"),
    ),
    (
        f.TellStock(
            feed="acme",
            theirs="H-12/CASE",
            run_id="R-1",
            mode="delta",
            packs=-2,
            pack_size=12,
            stated_at=BEFORE,
        ),
        f.TellStock(feed="acme", theirs="H-12/CASE", packs=12, stated_at=BEFORE),
    ),
    (
        f.FeedSkuMapped(
            feed="acme",
            theirs="H-12/CASE",
            map_version=2,
            sku=HEART,
            pack_size=12,
            per=5,
            before="22752",
            number=7,
        ),
        f.FeedSkuMapped(feed="acme", theirs="H-12/CASE", map_version=1),
    ),
    (
        f.StockTold(
            feed="acme",
            theirs="H-12/CASE",
            sku=HEART,
            node="ACME",
            run_id="R-1",
            mode="full",
            packs=12,
            pack_size=12,
            per=1,
            map_version=1,
            told=144,
            stated_at=BEFORE,
            stale_at=LATER,
            number=8,
        ),
        f.StockTold(
            feed="acme",
            theirs="H-12/CASE",
            sku=HEART,
            node="ACME",
            mode="delta",
            packs=-1,
            pack_size=1,
            per=1,
            map_version=1,
            told=0,
            stated_at=PLACED_AT,
            stale_at=LATER,
            number=1,
        ),
    ),
)
