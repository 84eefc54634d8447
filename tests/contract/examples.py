"""One full and one minimal instance of every type.

They become the golden payloads of the latest versions (`orderlog contracts export`), and other tests start
from them: `EXAMPLES["oms.intake.submit_order"]["full"]`.
"""

from libs.events.contract import Contract
from tests.contract.example_amendments import AMENDMENTS
from tests.contract.example_backorders import BACKORDERS
from tests.contract.example_bundles import BUNDLES
from tests.contract.example_changes import CHANGES
from tests.contract.example_dates import DATES
from tests.contract.example_feed_maps import FEED_MAPS
from tests.contract.example_items import ITEMS
from tests.contract.example_orders import INTAKE, PROMISES, REFUSAL, ROUTING, STOCK
from tests.contract.example_parked import PARKED, PARKED_CARE
from tests.contract.example_parts import Pairs
from tests.contract.example_policies import POLICIES
from tests.contract.example_promises import HELD
from tests.contract.example_rules import RULES
from tests.contract.example_shipments import DELIVERY, NOTIFICATIONS, RETURNS, WORK
from tests.contract.example_substitutes import SUBSTITUTES
from tests.contract.example_supply import SUPPLY

_GROUPS: tuple[Pairs, ...] = (
    INTAKE,
    CHANGES,
    AMENDMENTS,
    RULES,
    STOCK,
    PROMISES,
    SUPPLY,
    FEED_MAPS,
    ITEMS,
    HELD,
    POLICIES,
    BACKORDERS,
    SUBSTITUTES,
    BUNDLES,
    ROUTING,
    DATES,
    WORK,
    DELIVERY,
    NOTIFICATIONS,
    RETURNS,
    REFUSAL,
    PARKED,
    PARKED_CARE,
)
EXAMPLES: dict[str, dict[str, Contract]] = {
    full.TYPE: {"full": full, "minimal": minimal} for group in _GROUPS for full, minimal in group
}
"""By type, then by form."""
