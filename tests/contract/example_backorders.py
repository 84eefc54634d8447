"""Examples of what may be waited for, and of what was refused because nobody may wait for it."""

from libs.events import backorders as b
from libs.events.order import LineQuantity
from tests.contract.example_bundles import UNPACKED
from tests.contract.example_parts import HEART, LANTERN, ORDER, Pairs

SIX_HEARTS = (LineQuantity(line=1, sku=HEART, quantity=6),)
BACKORDERS: Pairs = (
    (
        b.BackorderRefused(
            order_id=ORDER,
            lines=SIX_HEARTS,
            why=(
                b.NotAvailable(sku=HEART, lacking=4, open=3, reason="backorder_full", terms_version=2),
                b.NotAvailable(sku=LANTERN, lacking=1, reason="backorder_closed", terms_version=1),
            ),
            rest=(LineQuantity(line=2, sku=LANTERN, quantity=2),),
            bundles=UNPACKED,
        ),
        b.BackorderRefused(
            order_id=ORDER,
            lines=SIX_HEARTS,
            why=(b.NotAvailable(sku=HEART, lacking=6, reason="backorder_not_open", terms_version=1),),
        ),
    ),
)
