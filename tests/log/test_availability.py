"""What is answered about a basket, read from a real PostgreSQL: as it is committed, and no older."""

from collections.abc import AsyncIterator, Callable

import asyncpg
import pytest

from libs.runtime.log import Snapshot, Writes
from libs.runtime.part_reader import PartReader
from libs.runtime.postgres_log import PostgresLog, open_pool
from libs.runtime.settings import Settings
from libs.runtime.stage import dump_part
from services.inventory.app import STAGE
from services.inventory.availability import read_sku
from tests.unit.inventory_stage import sku, stocked
from tests.unit.inventory_trade import accepted, hold


@pytest.fixture
async def pool(migrated_dsn: Callable[[str], str]) -> AsyncIterator[asyncpg.Pool]:
    pool = await open_pool(migrated_dsn("inventory"), Settings(), "test")
    yield pool
    await pool.close()


async def test_what_was_committed_is_what_is_read(pool: asyncpg.Pool) -> None:
    log = PostgresLog(pool, STAGE)
    reader = PartReader(log.snapshots, read_sku, 10)
    epochs = await log.claim([0])
    spec = stocked(A=5)
    assert await reader.parts(["acme/sku/A"]) == {}
    for version, said in enumerate((None, hold("b1", ("A", 2)), accepted("o1", ("A", 1))), 1):
        if said is not None:
            spec.heard(said)
        part = sku(spec, "A")
        async with log.batch() as batch:
            await batch.lanes(epochs)
            writes = Writes()
            into = writes.new_parts if version == 1 else writes.parts
            into["acme/sku/A"] = (0, Snapshot(version, dump_part(part)))
            await batch.write(writes)
        for _ in range(2):  # the second time it is not sent again
            found = (await reader.parts(["acme/sku/A", "acme/sku/B"]))["acme/sku/A"]
            assert found.claimable(None) == part.claimable(None) == (5, 3, 2)[version - 1]
