"""Plans the demo's stock: three nodes, an opening stock a little short of the month's demand, and receipts.

Pure and deterministic. Of one order in four, a few lines were not bought in, so that most but not all
orders can be filled at once: whoever comes last for those SKUs waits. Part of it comes on two days of the
month. What is still missing at the end depends on what was picked short, damaged and written off, and is
bought from what the stages then say.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cli.demo.month import NO_COUNTRY, Sale, Step, StockCount
from cli.demo.people import FOREIGN_TOWNS, share

UNSERVED = frozenset({"BH", NO_COUNTRY})
"""No node ships to Bahrain: such an order is unroutable. An unknown country is no destination at all."""
SERVED = tuple(sorted({"GB", *FOREIGN_TOWNS} - UNSERVED))
DOMESTIC = ("GB", "IE")

FORGOTTEN_LINES_MAX = 3
"""Lines of an order in four that the opening stock lacks."""
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


NODES = (
    Node("LON", "London", "GB", 51.5074, -0.1278, SERVED),
    Node("MAN", "Manchester", "GB", 53.4808, -2.2426, DOMESTIC),
    Node("RTM", "Rotterdam", "NL", 51.9244, 4.4777, SERVED),
)
COUNTS_AT = "LON"
"""The node whose shelves the month's stock counts are about."""


def plan_stock(steps: Sequence[Step]) -> Plan:
    """Stock for these steps."""
    sales = [step for step in steps if isinstance(step, Sale)]
    domestic = _demand(sale for sale in sales if sale.country in DOMESTIC)
    abroad = _demand(sale for sale in sales if sale.country not in DOMESTIC)
    written_off: Counter[str] = Counter()
    for step in steps:
        if isinstance(step, StockCount) and step.delta < 0:
            written_off[step.sku] -= step.delta
    missing = _forgotten(sales)
    opening: list[Receipt] = []
    for sku in sorted(domestic | abroad | written_off):
        units = domestic[sku] + abroad[sku] - missing[sku]
        at = _split(sku, units, domestic[sku], abroad[sku])
        at[COUNTS_AT] += written_off[sku]
        opening.extend(Receipt(sku, node, quantity) for node, quantity in at.items() if quantity)
    return Plan(NODES, tuple(opening), _receipts(missing, len(sales)))


def replenish(sku: str, units: int) -> Receipt:
    """The purchase of what is still short: to a node that serves every country."""
    node = ("LON", "RTM")[share(f"{sku} purchase", 2)]
    return Receipt(sku, node, min(units, RECEIPT_UNITS_MAX))


def _demand(sales: Iterable[Sale]) -> Counter[str]:
    units: Counter[str] = Counter()
    for sale in sales:
        for line in sale.lines:
            units[line.sku] += line.quantity
    return units


def _forgotten(sales: Iterable[Sale]) -> Counter[str]:
    """Units that nobody bought in: up to three lines of an order in four."""
    units: Counter[str] = Counter()
    for sale in sales:
        if share(f"{sale.invoice} forgotten", 4) == 0:
            chosen = sorted(
                sale.lines, key=lambda line: share(f"{sale.invoice} {line.line} forgotten", 2**32)
            )
            for line in chosen[:FORGOTTEN_LINES_MAX]:
                units[line.sku] += line.quantity
    return units


def _split(sku: str, units: int, domestic: int, abroad: int) -> Counter[str]:
    """Rotterdam for demand from abroad and a little of the rest, Manchester a part of the domestic demand."""
    at_home = units * domestic // max(1, domestic + abroad)
    part = share(f"{sku} split", 20)
    manchester = at_home * (15 + part) // 100
    rotterdam = (units - at_home) + at_home * (20 - part) // 100
    return Counter({"LON": units - manchester - rotterdam, "MAN": manchester, "RTM": rotterdam})


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
