"""Plans the demo's stock: three nodes, an opening stock a little short of the month's demand, and receipts.

Pure and deterministic. What an order asks for lies at the node nearest to its customer, but of one domestic
order in four a few lines were not bought in, so that most but not all orders can be filled at once: whoever
comes last for those SKUs waits. Part of it comes on two days of the month. What is still missing at the end
depends on what was picked short, damaged and written off, and is bought from what the stages then say.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cli.demo.invoices import NO_COUNTRY, Sale, Step, StockCount
from cli.demo.people import FOREIGN_TOWNS, share, ship_to

UNSERVED = frozenset({"BH", NO_COUNTRY})
"""No node ships to Bahrain: such an order is unroutable. An unknown country is no destination at all."""
SERVED = tuple(sorted({"GB", *FOREIGN_TOWNS} - UNSERVED))
DOMESTIC = ("GB", "IE")

FORGOTTEN_ONE_IN = 4
FORGOTTEN_LINES_MAX = 3
"""The opening stock lacks up to so many lines of one domestic order in so many."""
CENTRAL = "LON"
CENTRAL_ONE_IN = 80
"""One SKU in so many lies in one place only: who wants it from elsewhere gets a split order."""
RECEIPT_DAYS = (0.5, 0.8)
"""After which part of the orders a planned receipt comes."""
RECEIPT_UNITS_MAX = 1_000_000
"""Largest quantity that one ReceiveStock may carry."""


@dataclass(frozen=True, slots=True)
class Node:
    """A fulfilling place as PUT /v1/nodes takes it."""

    node: str
    name: str
    country: str
    latitude: float
    longitude: float
    ships_to: tuple[str, ...]
    operations: Mapping[str, object]
    """When it works."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """Units that arrive at a node."""

    sku: str
    node: str
    quantity: int


@dataclass(frozen=True, slots=True)
class Plan:
    """Nodes, what lies there at the start, and what comes after so many orders."""

    nodes: tuple[Node, ...]
    opening: tuple[Receipt, ...]
    receipts: tuple[tuple[int, tuple[Receipt, ...]], ...]


def _works(time_zone: str, cut_off: str) -> Mapping[str, object]:
    """From Monday to Friday."""
    return {"time_zone": time_zone, "cut_off": cut_off, "receiving_days": 1}


NODES = (
    Node("LON", "London", "GB", 51.5074, -0.1278, SERVED, _works("Europe/London", "16:00")),
    Node("MAN", "Manchester", "GB", 53.4808, -2.2426, DOMESTIC, _works("Europe/London", "15:00")),
    Node("RTM", "Rotterdam", "NL", 51.9244, 4.4777, SERVED, _works("Europe/Amsterdam", "14:00")),
)
TRANSIT: Mapping[str, object] = {
    "service": "standard",
    "bands": (
        {"nodes": ("LON", "MAN"), "countries": ("GB",), "km_max": 150, "days": 1},
        {"nodes": ("LON", "MAN"), "countries": ("GB",), "days": 2},
        {"km_max": 1000, "days": 3},
        {"days": 6},
    ),
}
"""How long parcels travel, as PUT /v1/transit/{service} takes it."""
COUNTS_AT = CENTRAL
"""The node whose shelves the month's stock counts are about."""


def plan_stock(steps: Sequence[Step]) -> Plan:
    """Stock for these steps: what the orders ask for lies at the node nearest to them, but for what was
    forgotten; and what will be written off lies where it will be."""
    sales = [step for step in steps if isinstance(step, Sale)]
    stock: Counter[tuple[str, str]] = Counter()
    missing: Counter[str] = Counter()
    for sale in sales:
        if sale.country in UNSERVED:
            continue
        home, forgotten = _home(sale), _forgotten(sale)
        for line in sale.lines:
            if line.line in forgotten:
                missing[line.sku] += line.quantity
            else:
                stock[line.sku, CENTRAL if _is_central(line.sku) else home] += line.quantity
    for step in steps:
        if isinstance(step, StockCount) and step.delta < 0:
            stock[step.sku, COUNTS_AT] -= step.delta
    opening = tuple(Receipt(sku, node, quantity) for (sku, node), quantity in sorted(stock.items()))
    return Plan(NODES, opening, _receipts(missing, len(sales)))


def replenish(sku: str, units: int) -> Receipt:
    """The purchase of what is still short: to a node that serves every country."""
    node = ("LON", "RTM")[share(f"{sku} purchase", 2)]
    return Receipt(sku, node, min(units, RECEIPT_UNITS_MAX))


def _home(sale: Sale) -> str:
    """The node nearest to the customer: Rotterdam for everybody abroad."""
    if sale.country not in DOMESTIC:
        return "RTM"
    to = ship_to(sale)
    latitude, longitude = to.get("latitude", 53.3), to.get("longitude", -6.3)  # Dublin, where none is known
    assert isinstance(latitude, float)
    assert isinstance(longitude, float)
    near = [node for node in NODES if node.country == "GB"]
    return min(near, key=lambda n: (n.latitude - latitude) ** 2 + (n.longitude - longitude) ** 2).node


def _is_central(sku: str) -> bool:
    return share(f"{sku} central", CENTRAL_ONE_IN) == 0


def _forgotten(sale: Sale) -> frozenset[int]:
    """Lines that nobody bought in: up to three of one domestic order in four."""
    if sale.country not in DOMESTIC or share(f"{sale.invoice} forgotten", FORGOTTEN_ONE_IN):
        return frozenset()
    chosen = sorted(sale.lines, key=lambda line: share(f"{sale.invoice} {line.line} forgotten", 2**32))
    return frozenset(line.line for line in chosen[:FORGOTTEN_LINES_MAX])


def _receipts(missing: Counter[str], orders: int) -> tuple[tuple[int, tuple[Receipt, ...]], ...]:
    """A third of the SKUs comes on each of the two days, with half of what they miss, rounded up."""
    days = []
    for day, part in enumerate(RECEIPT_DAYS):
        arriving = tuple(
            replenish(sku, (units + 1) // 2)
            for sku, units in sorted(missing.items())
            if share(f"{sku} day", 3) == day
        )
        days.append((int(orders * part), arriving))
    return tuple(days)
