"""A database that becomes read-only, as the former primary does in a failover, is waited for."""

from collections.abc import Callable

import asyncpg
import pytest

from libs.runtime.log import Unavailable, Writes
from libs.runtime.postgres_log import PostgresLog, open_pool
from libs.runtime.settings import Settings
from services.intake.app import STAGE


async def test_work_waits_and_goes_on_over_new_connections(migrated_dsn: Callable[[str], str]) -> None:
    dsn = migrated_dsn("intake")
    admin = await asyncpg.connect(dsn)
    name = await admin.fetchval("SELECT current_database()")
    await admin.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    pool = await open_pool(dsn, Settings(), "test")
    log = PostgresLog(pool, STAGE)
    try:
        with pytest.raises(Unavailable, match="ReadOnly"):
            await log.claim([0])
        with pytest.raises(Unavailable, match="ReadOnly"):
            async with log.batch() as batch:
                await batch.write(Writes(offsets={("oms.intake.commands", 0): (0, 1)}))
        await admin.execute("SET default_transaction_read_only = off")
        await admin.execute(f"ALTER DATABASE {name} RESET default_transaction_read_only")
        assert await log.claim([0]) == {0: 1}
    finally:
        await admin.close()
        await pool.close()
