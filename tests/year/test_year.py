"""A year of a real retailer: what inventory's ledger says of it is what a recount from the file says.

541,909 lines go through the real stage on PostgreSQL; tests/year/oracle.py recounts them with pandas.
"""

import re
from pathlib import Path

import pandas as pd

from libs.events.inventory import SOURCES
from tests.year.conftest import UNTIL, Year
from tests.year.oracle import FLOWS, Recount

PAGE = Path(__file__).parents[2] / "docs/inventory.md"
MAY_BE_BELOW_ZERO = ("supplier", "adjustment", "transfer", "unreserved")


def by_flow(ledger: pd.DataFrame) -> pd.DataFrame:
    """Units that the ledger moved, by month and SKU; columns are FLOWS."""
    source, target = ledger["source"].astype(str), ledger["target"].astype(str)
    flow = pd.Series("", index=ledger.index)
    flow[source == "supplier"] = "received"
    flow[target == "issued"] = "issued"
    flow[(source == "allocated") & (target == "on_hand")] = "cancelled"
    flow[source.isin(["issued", "transfer"]) & (target == "on_hand")] = "restocked"
    flow[target == "scrapped"] = "scrapped"
    flow[source == "adjustment"] = "found"
    flow[target == "written_off"] = "written_off"
    moved = ledger.assign(flow=flow, sku=ledger["sku"].astype(str))[flow != ""]
    sums = moved.groupby(["month", "sku", "flow"])["quantity"].sum()
    return sums.unstack("flow", fill_value=0).reindex(columns=FLOWS, fill_value=0).astype(int)


def legs(ledger: pd.DataFrame) -> pd.DataFrame:
    """Both sides of each movement, in the order of each SKU: sku, node, bucket, month, units."""
    gone = ledger.rename(columns={"source": "bucket"}).assign(units=-ledger["quantity"])
    come = ledger.rename(columns={"target": "bucket"}).assign(units=ledger["quantity"])
    columns = ["sku", "position", "node", "bucket", "month", "units"]
    both = pd.concat([gone[columns], come[columns]])
    for name in ("sku", "node", "bucket"):
        both[name] = both[name].astype(str).astype("category")
    return both.sort_values(["sku", "position"], kind="stable", ignore_index=True)


def same(found: pd.DataFrame, expected: pd.DataFrame) -> None:
    """Fails with the first differences, not with thousands of rows."""
    found, expected = found.align(expected, fill_value=0)
    wrong = (found != expected).any(axis=1)
    assert not wrong.any(), f"ledger:\n{found[wrong].head()}\nrecount:\n{expected[wrong].head()}"


def test_every_order_of_the_year_comes_to_its_end(year: Year, recounted: Recount) -> None:
    played = year.played
    assert played.orders == sum(recounted.orders.values()) - recounted.orders["waited"]
    assert recounted.orders == {
        "left": played.orders - played.cancelled - played.held - played.unroutable,
        "cancelled": played.cancelled,
        "held": played.held,
        "unroutable": played.unroutable,
        "waited": played.backordered,
    }


def test_each_months_movements_are_those_of_the_recount(year: Year, recounted: Recount) -> None:
    found = by_flow(year.ledger)
    same(found, recounted.monthly)
    pd.testing.assert_frame_equal(
        found.groupby("month").sum(), recounted.monthly.groupby("month").sum(), check_names=False
    )


def test_final_balances_are_those_of_the_recount(year: Year, recounted: Recount) -> None:
    summed = legs(year.ledger).groupby(["sku", "node", "bucket"], observed=True)["units"].sum()
    final = recounted.final
    held = final[~final.index.get_level_values("bucket").isin(SOURCES)]
    for balance, counted in ((summed[summed != 0], final), (year.balance, held)):
        same(balance.rename("units").to_frame(), counted.rename("units").to_frame())


def test_each_months_end_has_the_stock_that_is_left(year: Year, recounted: Recount) -> None:
    """What came in and did not go out is there: on hand, or allocated to an order that leaves next month."""
    both = legs(year.ledger)
    there = both[both["bucket"].isin(["on_hand", "allocated"])]
    ends = there.pivot_table(
        index="sku", columns="month", values="units", aggfunc="sum", fill_value=0, observed=True
    )
    flows = recounted.monthly
    stock = flows["received"] + flows["found"] + flows["restocked"] - flows["issued"] - flows["written_off"]
    left = stock.unstack("month", fill_value=0).cumsum(axis=1)
    assert not (left < 0).any(axis=None)
    same(ends.cumsum(axis=1), left)


def test_no_bucket_is_ever_below_zero_and_no_promise_without_units(year: Year) -> None:
    """After each of the movements, not at the end of a month or a batch."""
    ledger, both = year.ledger, legs(year.ledger)
    steps = ledger.groupby("sku", observed=True)["position"]
    assert (steps.max() == steps.count()).all()
    assert (steps.min() == 1).all()
    running = both.groupby(["sku", "node", "bucket"], observed=True)["units"].cumsum()
    held = ~both["bucket"].isin(MAY_BE_BELOW_ZERO)
    assert running[held].min() == 0
    in_hand = both["units"].where(both["bucket"] == "on_hand", 0)
    promised = both["units"].where(both["bucket"] == "reserved", 0)
    assert (in_hand - promised).groupby(both["sku"], observed=True).cumsum().min() == 0


def test_the_page_tells_these_figures(year: Year) -> None:
    months = by_flow(year.ledger).groupby("month").sum()
    written = re.findall(r"^\| (\d{4}-\d\d) \|(.*)\|$", PAGE.read_text(), re.MULTILINE)
    told = {month: [int(cell.replace(",", "")) for cell in cells.split("|")] for month, cells in written}
    net = months["received"] + months["found"] + months["restocked"]
    table = months.assign(stock=(net - months["issued"] - months["written_off"]).cumsum())
    found = {str(row[0]): list(row[1:]) for row in table.itertuples()}
    if UNTIL is None:
        assert told == found
    else:  # what leaves in the month after is not all of that month
        whole = [month for month in found if month < f"{UNTIL:%Y-%m}"]
        assert whole
        assert {month: told[month] for month in whole} == {month: found[month] for month in whole}
