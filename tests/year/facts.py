"""What a year of invoices tells inventory, and when: the policy of docs/inventory.md, on the demo's reading.

Where a SKU lies, what is bought in and when; at what instant each step of the file happens.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from cli.demo.invoices import LONDON, NO_COUNTRY, Sale, Step, StockCount
from cli.demo.plan import UNSERVED

LONDON_NODE, ROTTERDAM_NODE = "LON", "RTM"
NOWHERE = UNSERVED - {NO_COUNTRY}
"""Countries that no node ships to."""
TO_DISPATCH = timedelta(days=3)
"""From the moment that an order has all of its units to the carrier."""
TO_COME_BACK = timedelta(days=2)
"""From the carrier; what customers give up sooner comes back then."""
OPENS_AT = timedelta(hours=0)
DELIVERED_AT = timedelta(hours=6)
"""Of the day: when receipts come."""
LATE_DAY = 15


@dataclass(frozen=True, slots=True)
class Receipt:
    """Units that were bought in."""

    sku: str
    node: str
    quantity: int
    reference: str


def home(sku: str) -> str:
    """The one node where a SKU lies."""
    return LONDON_NODE if sku.startswith("2") else ROTTERDAM_NODE


def dated(steps: Sequence[Step]) -> Iterator[tuple[datetime, Step]]:
    """Steps with their instants: the file tells minutes, and within a minute its order, here a microsecond
    a step."""
    for number, step in enumerate(steps):
        at = step.placed_at if isinstance(step, Sale) else step.at
        yield at + timedelta(microseconds=number), step


def purchases(steps: Sequence[Step]) -> Iterator[tuple[datetime, Receipt]]:
    """The opening stock and each month's receipts. The buyer knows what will be asked for, and counts on
    nothing to come back."""
    asked: dict[tuple[int, int], Counter[str]] = {}
    written_off: dict[tuple[int, int], Counter[str]] = {}
    for at, step in dated(steps):
        local = at.astimezone(LONDON)
        month = local.year, local.month
        if isinstance(step, Sale) and step.country != NO_COUNTRY:
            for line in step.lines:
                asked.setdefault(month, Counter())[line.sku] += line.quantity
        elif isinstance(step, StockCount) and step.delta < 0:
            written_off.setdefault(month, Counter())[step.sku] -= step.delta
    opening = min(asked)
    for month in sorted(asked):
        gone = written_off.get(month, Counter[str]())
        first = datetime(*month, 1, tzinfo=LONDON)
        for sku, units in sorted((asked[month] + gone).items()):
            late = units // 2 if sku.endswith("7") and not gone[sku] else 0
            if month == opening:
                yield first + OPENS_AT, Receipt(sku, home(sku), units - late, "opening stock")
            else:
                yield first + DELIVERED_AT, Receipt(sku, home(sku), units - late, "month's purchase")
            if late:
                late_at = first.replace(day=LATE_DAY) + DELIVERED_AT
                yield late_at, Receipt(sku, home(sku), late, "late purchase")
