"""Inventory accuracy as Measures has it, computed again with pandas from the events of stock alone."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import asyncpg
import pandas as pd
import pytest

from services.console.accuracy import ACCURACY, read_furthest
from services.console.measures import By, Period, read_measures
from services.console.queries import Queries
from services.console.store import Projector
from services.console.today import Only
from tests.console_counts import stocktaking
from tests.console_database import by_stage, console_dsn, pool
from tests.console_lives import LIVES
from tests.console_parts import T0
from tests.log.test_console_store import feed

__all__ = ["console_dsn", "pool"]
NOW = T0 + timedelta(days=20)
PERIOD = Period(T0 - timedelta(days=2), T0 + timedelta(days=10))
PARTS = [
    Period(T0 - timedelta(hours=a), T0 + timedelta(hours=b))
    for a, b in ((2, 3), (0, 30), (1, 1), (20, 24), (30, 25), (100, 23))
]
"""Some begin or end where something was counted."""


@pytest.fixture
def books() -> pd.DataFrame:
    """Counts, differences and corrections, each with what it came to, as the log says."""
    told = by_stage({"inventory": stocktaking()})["inventory"]
    events = [(one.body.TYPE.rpartition(".")[2], one.body.model_dump(mode="json"), one.at) for one in told]
    answers = {
        (data["source"], data["sku"], data["proposal_id"]): type_ == "difference_settled" and data["approved"]
        for type_, data, _ in events
        if type_ in ("difference_settled", "difference_superseded")
    }
    rows = []
    for type_, data, at in events:
        if type_ == "count_recorded":
            answer = answers.get(("count", data["sku"], data["count_id"]))
            held = data["outcome"] == "held"
            off = sum(abs(lot["counted"] - lot["book"]) for lot in data["lots"] or [data])
            came_to = ("count", data["reason_code"], data["effective_at"], off, data["variance"])
            rows.append((*came_to, bool(answer) or not held, held and answer is None, data))
        elif type_ == "adjustment_proposed":
            answer = answers.get(("snapshot", data["sku"], data["proposal_id"]))
            net = data["variance"]
            came_to = ("snapshot", data["system"], data["as_of"], abs(net), net)
            rows.append((*came_to, bool(answer), answer is None, data))
        elif type_ == "stock_adjusted":
            net = data["delta"]
            came_to = ("adjustment", data["reason_code"], data["effective_at"] or at, abs(net), net)
            rows.append((*came_to, True, False, data))
    columns = ("source", "reason", "at", "off", "net", "holds", "waits", "data")
    found = pd.DataFrame(rows, columns=columns)
    found["at"] = pd.to_datetime(found["at"], utc=True)
    found["node"] = found.data.map(lambda d: d["node"])
    found["counted"] = found.data.map(lambda d: d.get("counted", 0))
    return found


def figures(found: pd.DataFrame) -> dict[str, Any]:
    """Of some of them."""
    counts = found[(found.source == "count") & found.holds]
    wrong = found[found.holds & (found.off > 0)]
    lines, units = len(counts), int(counts.counted.sum())
    return {
        "counted_lines": lines,
        "count_accuracy": pytest.approx((counts.off == 0).mean()) if lines else None,
        "differences_waiting": int(found.waits.sum()),
        "counted_units": units,
        "variance_units": int(counts.off.sum()),
        "net_variance_units": int(counts.net.sum()),
        "variance_rate": pytest.approx(counts.off.sum() / units) if units else None,
        "variance_by_reason": [
            {"source": source, "reason": reason, "lines": len(some)}
            | {"units": int(some.off.sum()), "net_units": int(some.net.sum())}
            for (source, reason), some in wrong.groupby(["source", "reason"])
        ],
    }


async def read(
    pool: asyncpg.Pool, by: By, period: Period = PERIOD, nodes: Sequence[str] | None = None, only: Any = None
) -> dict[str, dict[str, Any]]:
    """By slice, the figures of stock."""
    async with Queries(pool, nodes and tuple(nodes)).reading("acme") as connection:
        rows = await read_measures(connection, "acme", period, by, NOW, only or Only())
    return {row["slice"]: {name: row[name] for name in ACCURACY} for row in rows}


async def fed(pool: asyncpg.Pool, seed: int = 0) -> None:
    await feed(Projector(pool), by_stage({"inventory": stocktaking()}), seed)


def within(books: pd.DataFrame, since: datetime, before: datetime) -> pd.DataFrame:
    return books[(books["at"] >= since) & (books["at"] < before)]


@pytest.mark.parametrize("seed", range(3))
async def test_accuracy_is_what_the_log_says(pool: asyncpg.Pool, books: pd.DataFrame, seed: int) -> None:
    await fed(pool, seed)
    assert await read(pool, "all") == {"all": figures(books)}
    of_days = {str(day): figures(some) for day, some in books.groupby(books["at"].dt.date)}
    assert len(of_days) == 2
    assert await read(pool, "day") == of_days
    assert await read(pool, "node") == {node: figures(some) for node, some in books.groupby("node")}


@pytest.mark.parametrize("period", PARTS)
async def test_a_part_of_a_day_is_that_part(pool: asyncpg.Pool, books: pd.DataFrame, period: Period) -> None:
    await fed(pool)
    some = within(books, period.since, period.before)
    assert await read(pool, "all", period) == ({"all": figures(some)} if len(some) else {})
    of_nodes = {node: figures(rows) for node, rows in some.groupby("node")}
    assert await read(pool, "node", period) == of_nodes


async def test_who_sees_a_node_sees_its_shelves(pool: asyncpg.Pool, books: pd.DataFrame) -> None:
    await fed(pool)
    at_man = figures(books[books.node == "MAN"])
    for period in (PERIOD, Period(T0 - timedelta(hours=2), T0 + timedelta(hours=25))):
        assert await read(pool, "all", period, ["MAN"]) == {"all": at_man}
    assert await read(pool, "node", PERIOD, ["MAN"]) == {"MAN": at_man}
    assert await read(pool, "all", PERIOD, None, Only(node="MAN")) == {"all": at_man}
    assert await read(pool, "all", PERIOD, ["LEE"]) == {}
    async with Queries(pool, ("MAN",)).reading("acme") as connection:
        rows = await read_furthest(connection, "acme", PERIOD.since, PERIOD.before, 9)
    assert [(row["source"], row["net_units"]) for row in rows] == [("adjustment", 5)]
    async with Queries(pool).reading("rival") as connection:
        assert await read_measures(connection, "rival", PERIOD, "all", NOW) == []
        assert await read_furthest(connection, "rival", PERIOD.since, PERIOD.before, 9) == []


async def test_a_shelf_is_no_channels(pool: asyncpg.Pool, books: pd.DataFrame) -> None:
    await feed(Projector(pool), by_stage(LIVES["delivered"]("o-1"), {"inventory": stocktaking()}))
    nothing = figures(books[:0])
    assert await read(pool, "channel") == {"web": nothing}
    assert await read(pool, "all", PERIOD, None, Only(channel="web")) == {"all": nothing}


async def test_the_furthest_off_come_first(pool: asyncpg.Pool, books: pd.DataFrame) -> None:
    await fed(pool)
    async with Queries(pool).reading("acme") as connection:
        rows = await read_furthest(connection, "acme", PERIOD.since, PERIOD.before, 4)
        later = await read_furthest(connection, "acme", NOW, NOW + timedelta(days=1), 4)
    wrong = books[books.holds & (books.off > 0)]
    assert [row["off_units"] for row in rows] == sorted(wrong.off, reverse=True)[:4]
    assert (rows[0]["sku"], rows[0]["node"], rows[0]["counted"]) == ("D", "LON", 40)
    assert later == []
