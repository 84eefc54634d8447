"""The demo's stock is planned so that most, but not all orders can be filled at once."""

from collections import Counter

import pytest

from cli.demo.invoices import Period, Sale, Step, StockCount, first_orders
from cli.demo.plan import DOMESTIC, NODES, UNSERVED, Plan, Receipt, plan_stock, replenish
from cli.demo.run import read_packaged


@pytest.fixture(scope="module")
def steps() -> tuple[Step, ...]:
    return read_packaged().steps


def _units(receipts: tuple[Receipt, ...]) -> Counter[str]:
    units: Counter[str] = Counter()
    for receipt in receipts:
        units[receipt.sku] += receipt.quantity
    return units


def _filled_at_once(steps: tuple[Step, ...], plan: Plan) -> float:
    """Share of orders that find everything, when each takes what it finds and waits for the rest."""
    stock = _units(plan.opening)
    arrivals = dict(plan.receipts)
    orders = filled = 0
    for step in steps:
        if isinstance(step, StockCount):
            stock[step.sku] += step.delta
        if not isinstance(step, Sale):
            continue
        stock.update(_units(arrivals.get(orders, ())))
        orders += 1
        wanted: Counter[str] = Counter()
        for line in step.lines:
            wanted[line.sku] += line.quantity
        filled += all(stock[sku] >= quantity for sku, quantity in wanted.items())
        stock.subtract(wanted)
    return filled / orders


@pytest.mark.parametrize("orders", [150, 500, 1552])
def test_most_but_not_all_orders_can_be_filled_at_once(steps: tuple[Step, ...], orders: int) -> None:
    part = steps if orders == 1552 else _first(steps, orders)
    assert 0.5 < _filled_at_once(part, plan_stock(part)) < 0.95


def _first(steps: tuple[Step, ...], orders: int) -> tuple[Step, ...]:
    return first_orders(Period(steps, Counter(), Counter(), 0), orders)


def test_no_more_is_planned_than_the_month_takes(steps: tuple[Step, ...]) -> None:
    plan = plan_stock(steps)
    taken: Counter[str] = Counter()
    for step in steps:
        if isinstance(step, Sale):
            for line in step.lines:
                taken[line.sku] += line.quantity
        elif isinstance(step, StockCount) and step.delta < 0:
            taken[step.sku] -= step.delta
    planned = _units(plan.opening)
    for _, receipts in plan.receipts:
        planned.update(_units(receipts))
    assert planned <= taken
    assert min(receipt.quantity for receipt in plan.opening) > 0
    keys = Counter((receipt.sku, receipt.node) for receipt in plan.opening)
    assert set(keys.values()) == {1}


def test_every_node_holds_stock_and_every_served_country_has_a_node(steps: tuple[Step, ...]) -> None:
    plan = plan_stock(steps)
    assert {receipt.node for receipt in plan.opening} == {"LON", "MAN", "RTM"}
    countries = {step.country for step in steps if isinstance(step, Sale)}
    served = {country for node in NODES for country in node.ships_to}
    assert countries - served == countries & UNSERVED
    assert {country for node in NODES if node.node == "MAN" for country in node.ships_to} == set(DOMESTIC)


def test_the_plan_is_the_same_every_time(steps: tuple[Step, ...]) -> None:
    assert plan_stock(steps) == plan_stock(steps)


def test_a_purchase_goes_where_every_country_is_served() -> None:
    serving_all = {node.node for node in NODES if set(node.ships_to) > set(DOMESTIC)}
    assert {replenish(f"sku{n}", 5).node for n in range(50)} == serving_all
    assert replenish("22000", 7).quantity == 7
