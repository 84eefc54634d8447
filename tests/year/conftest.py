"""The year, played once on a throwaway PostgreSQL, and recounted once; or its months before YEAR_UNTIL."""

import gc
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO
from zoneinfo import ZoneInfo

import pandas as pd
import pytest

from cli.demo.run import FILE, read_packaged
from libs.runtime.postgres_log import PostgresLog, open_pool
from libs.runtime.serve import collect_seldom
from libs.runtime.settings import Settings
from services.inventory.app import STAGE
from tests.log.conftest import copied, migrated_dsn, server
from tests.year.oracle import Recount, recount
from tests.year.player import Played, Player

__all__ = ["copied", "migrated_dsn", "server"]


_UNTIL = os.environ.get("YEAR_UNTIL")
UNTIL = datetime.fromisoformat(_UNTIL).replace(tzinfo=ZoneInfo("Europe/London")) if _UNTIL else None


@dataclass(frozen=True, slots=True)
class Year:
    """What the stage left behind."""

    played: Played
    ledger: pd.DataFrame
    """Its rows, in the order of each SKU, with the month in London of each row's time."""
    balance: pd.Series
    """The table of sums: units by SKU, node and bucket; no zeros."""


@pytest.fixture(scope="session")
async def year(migrated_dsn: Callable[[str], str]) -> Year:
    thresholds = gc.get_threshold()
    steps = read_packaged(before=UNTIL).steps
    collect_seldom()  # as a stage's own process does
    pool = await open_pool(migrated_dsn("inventory"), Settings(), "test")
    try:
        played = await Player(steps, PostgresLog(pool, STAGE)).play()
        async with pool.acquire() as connection:
            ledger, balance = BytesIO(), BytesIO()
            await connection.copy_from_table("ledger", output=ledger, format="csv", header=True)
            await connection.copy_from_table("balance", output=balance, format="csv", header=True)
    finally:
        gc.set_threshold(*thresholds)
        gc.unfreeze()
        await pool.close()
    return Year(played, _ledger(ledger), _balance(balance))


@pytest.fixture(scope="session")
def recounted() -> Recount:
    return recount(FILE, UNTIL)


def _ledger(copied_rows: BytesIO) -> pd.DataFrame:
    copied_rows.seek(0)
    columns = ["sku", "position", "node", "source", "target", "quantity", "at"]
    kinds = dict.fromkeys(("sku", "node", "source", "target", "at"), "category")
    rows = pd.read_csv(copied_rows, usecols=columns, dtype=kinds, keep_default_na=False)
    instants = pd.to_datetime(rows["at"].cat.categories.to_series(), utc=True, format="ISO8601")
    months = instants.dt.tz_convert("Europe/London").dt.strftime("%Y-%m")
    rows["month"] = rows["at"].map(months)
    return rows.drop(columns="at").sort_values(["sku", "position"], kind="stable", ignore_index=True)


def _balance(copied_rows: BytesIO) -> pd.Series:
    copied_rows.seek(0)
    rows = pd.read_csv(copied_rows, dtype={"sku": str}, keep_default_na=False)
    sums = rows.set_index(["sku", "node", "bucket"])["quantity"]
    return sums[sums != 0].sort_index()
