"""What a test leaves in the read models is not there for the next."""

import asyncpg
import pytest

from tests.console_database import WRITTEN, console_dsn, read_models
from tests.log.test_console_rebuild import shape

__all__ = ["console_dsn"]

LEFT = {
    "rows that a policy hides": "SELECT set_config('orderlog.projector', 'on', true);"
    " INSERT INTO live.stock VALUES ('acme', 'A', 'LON', 'on_hand', 1)",
    "a column less": "ALTER TABLE live.stock DROP COLUMN quantity",
    "a table less": "DROP TABLE live.stock",
    "a table more": "CREATE TABLE live.more (number integer)",
    "another constraint": "ALTER TABLE live.stock ADD CHECK (quantity > 0)",
    "an index more": "CREATE INDEX ON live.stock (quantity)",
    "no policy": "DROP POLICY one_tenant ON live.stock",
    "another right": "GRANT DELETE ON live.stock TO orderlog_console_reader",
    "nothing": "DROP SCHEMA live CASCADE",
    "a rebuild beside": "SELECT create_read_models('rebuild')",
}


async def all_of(pool: asyncpg.Pool) -> list[str]:
    """How the live tables are made, with their columns and who may do what with them."""
    rows = await pool.fetch(
        """SELECT c.relname || '.' || a.attname || format_type(a.atttypid, a.atttypmod) || c.relacl::text
        FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
        WHERE c.relnamespace = 'live'::regnamespace AND c.relkind = 'r' ORDER BY 1"""
    )
    return [*await shape(pool, "live"), *(row[0] for row in rows)]


@pytest.mark.parametrize("left", LEFT.values(), ids=LEFT)
async def test_what_a_test_leaves_is_gone(console_dsn: str, left: str) -> None:
    async with read_models(console_dsn) as pool:
        made = await all_of(pool)
        await pool.execute(left)
    async with read_models(console_dsn) as pool:
        assert await all_of(pool) == made
        assert await pool.fetchval(WRITTEN) is None
        assert await pool.fetchval("SELECT to_regnamespace('rebuild')") is None


async def test_statistics_that_a_test_took_are_gone(console_dsn: str) -> None:
    kept = "SELECT count(*) FROM pg_stats WHERE schemaname = 'live' AND tablename = 'consumed'"
    async with read_models(console_dsn) as pool:
        await pool.execute("INSERT INTO live.consumed VALUES ('oms.intake.events', 0, 1)")
        await pool.execute("ANALYZE live.consumed")
        assert await pool.fetchval(kept)
    async with read_models(console_dsn) as pool:
        assert not await pool.fetchval(kept)
