"""The year recounted by other means: pandas over the file, by its own reading of docs/inventory.md.

It knows nothing of the demo's mapping, of the player, or of inventory. Files become tables of facts by whole
columns; one plain walk in the order of time says who waits for whom, and so on which day an order leaves.
"""

import heapq
from collections import defaultdict, deque
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count
from pathlib import Path

import pandas as pd

NO_GOODS = ["POST", "DOT", "C2", "M", "D", "S", "B", "BANK CHARGES", "AMAZONFEE", "CRUK", "PADS"]
NO_ADDRESS = ["Unspecified", "European Community", "Channel Islands"]
NOT_SERVED = ["Bahrain"]
FLOWS = ["received", "issued", "cancelled", "restocked", "scrapped", "found", "written_off"]
DAY = pd.Timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Recount:
    """What the ledger must say."""

    monthly: pd.DataFrame
    """Units by month (2010-12, …) and SKU; columns are FLOWS."""
    final: pd.Series
    """Units by SKU, node and bucket; no zeros."""
    orders: dict[str, int]
    """How many orders ended how."""


def recount(file: Path, before: datetime | None = None) -> Recount:
    """The year's figures, from the packed file; or those of its lines before a moment in London."""
    rows = _read(file, before)
    sold = _sold(rows)
    counts = _counts(rows)
    bought = _bought(sold, counts)
    backs = _backs(rows, sold)
    walk = _Walk(sold, counts, bought, backs)
    walk.run()
    return _figures(sold, counts, bought, backs, walk)


def _read(file: Path, before: datetime | None) -> pd.DataFrame:
    columns = ["InvoiceNo", "StockCode", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID", "Country"]
    rows = pd.read_csv(file, usecols=columns, dtype=str, keep_default_na=False, compression="xz")
    if before is not None:
        rows = rows[pd.to_datetime(rows["InvoiceDate"]) < pd.Timestamp(before).tz_localize(None)].copy()
    rows["sku"] = rows["StockCode"].str.upper()
    rows["units"] = rows["Quantity"].astype(int)
    rows["price"] = rows["UnitPrice"].astype(float)
    times = pd.to_datetime(rows["InvoiceDate"]).dt.as_unit("us")
    rows["month"] = times.dt.strftime("%Y-%m")
    rows["at"] = times.dt.tz_localize("Europe/London").dt.tz_convert("UTC")
    rows["rank"] = pd.factorize(rows["InvoiceNo"])[0]
    rows["kind"] = rows["InvoiceNo"].str[0].where(lambda letter: letter.isin(["A", "C"]), "plain")
    is_goods = ~rows["sku"].isin(NO_GOODS) & ~rows["sku"].str.startswith("GIFT_0001_")
    is_order = (rows["CustomerID"] != "") | (rows.groupby("InvoiceNo")["price"].transform("max") > 0)
    rows["is_order"] = is_order
    return rows[is_goods].copy()


def _sold(rows: pd.DataFrame) -> pd.DataFrame:
    """Lines of orders. `order` is the invoice, and a number for each thousand lines of it."""
    goods = (rows["kind"] == "plain") & rows["is_order"] & (rows["units"] > 0)
    sold = rows[goods].sort_values("rank", kind="stable")
    part = sold.groupby("InvoiceNo").cumcount() // 1000
    sold["order"] = sold["InvoiceNo"] + "/" + part.astype(str)
    first = sold.groupby("order", sort=False)
    sold["at"], sold["month"] = first["at"].transform("first"), first["month"].transform("first")
    return sold


def _counts(rows: pd.DataFrame) -> pd.DataFrame:
    """Found (+) and written off (-): lines at no price that are no order's."""
    free = (rows["kind"] == "plain") & (rows["price"] == 0)
    return rows[free & ((rows["units"] < 0) | ~rows["is_order"])].copy()


def _bought(sold: pd.DataFrame, counts: pd.DataFrame) -> pd.DataFrame:
    """What a month asks for comes on its first day; of a SKU that ends in 7 and loses none, half on 15th."""
    accepted = sold[~sold["Country"].isin(NO_ADDRESS)]
    need = pd.DataFrame(
        {
            "asked": accepted.groupby(["month", "sku"])["units"].sum(),
            "lost": -counts[counts["units"] < 0].groupby(["month", "sku"])["units"].sum(),
        }
    ).fillna(0)
    need = need.astype(int).reset_index()
    late = need["sku"].str.endswith("7") & (need["lost"] == 0)
    need["late"] = (need["asked"] // 2).where(late, 0)
    need["prompt"] = need["asked"] + need["lost"] - need["late"]
    opening = need["month"] == need["month"].min()
    hour = opening.map({True: "00:00", False: "06:00"})
    parts = []
    for column, when in (("prompt", need["month"] + "-01 " + hour), ("late", need["month"] + "-15 06:00")):
        at = pd.to_datetime(when).dt.as_unit("us").dt.tz_localize("Europe/London").dt.tz_convert("UTC")
        parts.append(need[["sku", "month"]].assign(units=need[column], at=at))
    bought = pd.concat(parts, ignore_index=True)
    return bought[bought["units"] > 0]


def _backs(rows: pd.DataFrame, sold: pd.DataFrame) -> pd.DataFrame:
    """Units of C invoices that the customer had bought before, the latest purchase first."""
    taken = rows[(rows["kind"] == "C") & (rows["units"] < 0) & (rows["CustomerID"] != "")]
    mine = sold[sold["CustomerID"] != ""]
    both = pd.concat([mine.assign(back=False), taken.assign(back=True)]).sort_values("rank", kind="stable")
    left: dict[tuple[str, str], list[tuple[str, int]]] = defaultdict(list)
    found = []
    columns = ["InvoiceNo", "CustomerID", "sku", "units", "order", "back"]
    for invoice, customer, sku, units, order, back in both[columns].itertuples(index=False):
        stack = left[customer, sku]
        if not back:
            stack.append((order, units))
            continue
        wanted = -units
        while wanted and stack:
            of, there = stack.pop()
            took = min(wanted, there)
            found.append((invoice, of, sku, took))
            wanted -= took
            if there > took:
                stack.append((of, there - took))
    backs = pd.DataFrame(found, columns=["credit", "order", "sku", "units"])
    whole = backs.groupby(["credit", "order"])["units"].transform("sum")
    backs["whole"] = whole == backs["order"].map(sold.groupby("order")["units"].sum())
    when = rows[rows["kind"] == "C"].groupby("InvoiceNo").agg(at=("at", "first"), rank=("rank", "first"))
    return backs.join(when, on="credit")


@dataclass(slots=True)
class _Order:
    wants: dict[str, int]
    country: str
    lacks: dict[str, int] = field(default_factory=dict)
    filled: bool = False
    over: str = ""
    left_at: pd.Timestamp | None = None


class _Walk:
    """First come, first served, SKU by SKU; an order leaves three days after its last unit is there."""

    def __init__(
        self, sold: pd.DataFrame, counts: pd.DataFrame, bought: pd.DataFrame, backs: pd.DataFrame
    ) -> None:
        self.orders: dict[str, _Order] = {}
        self.came: dict[tuple[str, str], pd.Timestamp] = {}
        """(credit note, order) → when its units came back."""
        self.given_up: dict[str, pd.Timestamp] = {}
        """Orders with all of their units there, cancelled before they left."""
        self.waited = 0
        self._free: dict[str, int] = defaultdict(int)
        self._queues: dict[str, deque[str]] = defaultdict(deque)
        self._pending: dict[str, list[tuple[str, str]]] = defaultdict(list)
        self._back_units: dict[tuple[str, str], list[tuple[str, int]]] = defaultdict(list)
        self._heap: list[tuple[pd.Timestamp, int, int, int, tuple[object, ...]]] = []
        self._numbers = count()
        for sku, units, at in bought[["sku", "units", "at"]].itertuples(index=False):
            self._push(at, 0, 0, "bought", sku, units)
        for sku, units, at, rank in counts[["sku", "units", "at", "rank"]].itertuples(index=False):
            self._push(at, 3, rank, "bought" if units > 0 else "lost", sku, units)
        wants = sold.groupby(["order", "sku"])["units"].sum().reset_index()
        for order, sku, units in wants.itertuples(index=False):
            self.orders.setdefault(order, _Order({}, "")).wants[sku] = units
        heads = sold.groupby("order", sort=False).first()
        for order, at, rank, country in heads[["at", "rank", "Country"]].itertuples():
            self.orders[order].country = country
            self._push(at, 3, rank, "sold", order)
        for credit, order, sku, units in backs[["credit", "order", "sku", "units"]].itertuples(index=False):
            self._back_units[credit, order].append((sku, units))
        firsts = backs.drop_duplicates(["credit", "order"])
        columns = ["credit", "order", "whole", "at", "rank"]
        for credit, order, whole, at, rank in firsts[columns].itertuples(index=False):
            self._push(at, 3, rank, "back", credit, order, whole)

    def _push(self, at: pd.Timestamp, kind: int, rank: int, *fact: object) -> None:
        heapq.heappush(self._heap, (at, kind, rank, next(self._numbers), fact))

    def run(self) -> None:
        while self._heap:
            at, _, _, _, fact = heapq.heappop(self._heap)
            match fact:
                case ("bought", str(sku), int(units)):
                    self._supply(at, sku, units)
                case ("lost", str(sku), int(units)):
                    self._free[sku] += units
                    assert self._free[sku] >= 0, f"the policy buys too little of {sku}"
                case ("sold", str(order)):
                    self._sell(at, order)
                case ("leaves", str(order)) if not self.orders[order].over:
                    self.orders[order].over, self.orders[order].left_at = "left", at
                    for credit, of in self._pending.pop(order, ()):
                        self._push(at + 2 * DAY, 2, 0, "comes", credit, of)
                case ("back", str(credit), str(order), whole):
                    self._take_back(at, credit, order, bool(whole))
                case ("comes", str(credit), str(order)):
                    self.came[credit, order] = at
                    for sku, units in self._back_units[credit, order]:
                        if sku.startswith("2"):
                            self._supply(at, sku, units)
                case ("leaves", str()):
                    pass
                case _:
                    raise AssertionError(fact)

    def _sell(self, at: pd.Timestamp, name: str) -> None:
        order = self.orders[name]
        if order.country in NO_ADDRESS:
            order.over = "held"
            return
        for sku, units in order.wants.items():
            got = 0 if self._queues[sku] else min(units, self._free[sku])
            self._free[sku] -= got
            if got < units:
                order.lacks[sku] = units - got
                self._queues[sku].append(name)
        self.waited += bool(order.lacks)
        if not order.lacks:
            self._fill(at, name)

    def _supply(self, at: pd.Timestamp, sku: str, units: int) -> None:
        self._free[sku] += units
        queue = self._queues[sku]
        while queue and self._free[sku]:
            order = self.orders[queue[0]]
            got = min(self._free[sku], order.lacks[sku])
            self._free[sku] -= got
            order.lacks[sku] -= got
            if not order.lacks[sku]:
                del order.lacks[sku]
                name = queue.popleft()
                if not order.lacks:
                    self._fill(at, name)

    def _fill(self, at: pd.Timestamp, name: str) -> None:
        order = self.orders[name]
        order.filled = True
        if order.country in NOT_SERVED:
            order.over = "unroutable"
            self._give_back(at, order)
        else:
            self._push(at + 3 * DAY, 1, 0, "leaves", name)

    def _give_back(self, at: pd.Timestamp, order: _Order) -> None:
        for sku, units in order.wants.items():
            self._supply(at, sku, units - order.lacks.get(sku, 0))

    def _take_back(self, at: pd.Timestamp, credit: str, name: str, whole: bool) -> None:
        order = self.orders[name]
        if order.left_at is not None:
            self._push(max(at, order.left_at + 2 * DAY), 2, 0, "comes", credit, name)
        elif order.over:
            pass
        elif not whole:
            self._pending[name].append((credit, name))
        else:
            order.over = "cancelled"
            if order.filled:
                self.given_up[name] = at
            for sku in order.lacks:
                self._queues[sku].remove(name)
            self._give_back(at, order)


def _figures(
    sold: pd.DataFrame, counts: pd.DataFrame, bought: pd.DataFrame, backs: pd.DataFrame, walk: _Walk
) -> Recount:
    facts = [bought.assign(flow="received")]
    left = sold["order"].map({name: order.left_at for name, order in walk.orders.items() if order.left_at})
    facts.append(sold.assign(flow="issued", at=left)[left.notna()])
    given_up = sold["order"].map(walk.given_up)
    facts.append(sold.assign(flow="cancelled", at=given_up)[given_up.notna()])
    arrivals = [(credit, order, at) for (credit, order), at in walk.came.items()]
    came = backs.drop(columns="at").merge(pd.DataFrame(arrivals, columns=["credit", "order", "at"]))
    kept = came["sku"].str.startswith("2")
    facts.append(came.assign(flow=kept.map({True: "restocked", False: "scrapped"})))
    facts.append(counts[counts["units"] > 0].assign(flow="found"))
    facts.append(counts[counts["units"] < 0].assign(flow="written_off", units=-counts["units"]))
    flat = pd.concat([fact[["flow", "at", "sku", "units"]] for fact in facts], ignore_index=True)
    at = pd.to_datetime(flat["at"], utc=True).dt.tz_convert("Europe/London")
    flat["month"] = at.dt.strftime("%Y-%m")
    sums = flat.groupby(["month", "sku", "flow"])["units"].sum()
    monthly = sums.unstack("flow", fill_value=0).reindex(columns=FLOWS, fill_value=0).astype(int)
    ends = pd.Series([order.over for order in walk.orders.values()]).value_counts()
    orders = {str(name): int(number) for name, number in ends.items()}
    return Recount(monthly, _final(monthly.groupby("sku").sum()), orders | {"waited": walk.waited})


def _final(year: pd.DataFrame) -> pd.Series:
    """Where each SKU's units are in the end."""
    home = pd.Series(year.index.str.startswith("2"), index=year.index).map({True: "LON", False: "RTM"})
    back = year["restocked"] + year["scrapped"]
    there = year["received"] + year["found"] + year["restocked"] - year["issued"] - year["written_off"]
    at_home = {
        "supplier": -year["received"],
        "adjustment": -year["found"],
        "on_hand": there,
        "issued": year["issued"] - back,
        "written_off": year["written_off"],
        "transfer": year["scrapped"],
    }
    parts = []
    for bucket, units in at_home.items():
        parts.append(pd.DataFrame({"node": home, "bucket": bucket, "units": units}))
    for bucket, units in (("scrapped", year["scrapped"]), ("transfer", -year["scrapped"])):
        parts.append(pd.DataFrame({"node": "LON", "bucket": bucket, "units": units}))
    final = pd.concat(parts).reset_index().set_index(["sku", "node", "bucket"])["units"]
    return final[final != 0].sort_index()
