"""Brings every database to the schema of this release: plain SQL, applied once, in order of file name.

    libs/runtime/migrations/stage/*.sql      each stage's database: log, offsets, states, timers
    libs/runtime/migrations/keyring/*.sql    the keyring
    services/<name>/migrations/*.sql         what one stage, or the console, has beyond that

Expand and contract: a released migration is never edited, and the release before must run on its result.
"""

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from io import StringIO
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
from psycopg import sql

from libs.runtime.complaint import Complaint
from libs.runtime.settings import STAGES, Settings, settings
from libs.runtime.topics import ensure_topics

ROOT = Path(__file__).resolve().parents[2]


def databases() -> list[str]:
    """Names as `Settings.dsn` takes them."""
    return [*STAGES, "console", "keyring"]


def migration_folders(database: str, root: Path = ROOT) -> list[Path]:
    """Folders whose SQL makes up that database, those of them that exist."""
    shared = root / "libs" / "runtime" / "migrations"
    own = root / "services" / database / "migrations"
    folders = {"keyring": [shared / "keyring"], "console": [own]}.get(database, [shared / "stage", own])
    return [folder for folder in folders if folder.is_dir()]


def migrate_all(settings: Settings, root: Path = ROOT) -> dict[str, list[str]]:
    """Create the databases that are missing and apply what is pending; returns what was applied, by
    database. Blocks; safe to run twice at once (an advisory lock).

    Complaint: PostgreSQL cannot be reached, or a migration fails (it is rolled back whole).
    """
    applied: dict[str, list[str]] = {}
    for database in databases():
        folders = migration_folders(database, root)
        wanted = [path.stem for folder in folders for path in sorted(folder.glob("*.sql"))]
        doubles = {name for name in wanted if wanted.count(name) > 1}
        assert not doubles, f"two migrations of {database} share a name: {sorted(doubles)}"
        done = _applied(settings, database)
        pending = [name for name in wanted if name not in done]
        if pending:
            _apply(settings, database, folders)
            applied[database] = pending
    return applied


def create_beside(settings: Settings, database: str, like: str, root: Path = ROOT) -> None:
    """An empty database with the schema of `like`, in place of one of its name. Blocks. Raises Complaint."""
    drop(settings, database)
    _create(settings, database)
    _apply(settings, database, migration_folders(like, root))


def drop(settings: Settings, database: str) -> None:
    """Drop a database, if it is there, and end this role's sessions in it. Blocks. Complaint: somebody else
    is connected to it.

    WITH (FORCE) would be refused while autovacuum is at work there, for its worker is a superuser's; a plain
    DROP stops that worker itself, and waits up to 5 s for sessions to leave.
    """
    assert database not in databases(), f"{database} is not for dropping"
    with _connected(settings, _maintenance(settings, database)) as connection:
        name = _name(settings, database)
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = %s AND usename = current_user",
            (name,),
        )
        with _unused(name, "dropped"):
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(name)))


def exists(settings: Settings, database: str) -> bool:
    """Whether there is such a database. Blocks. Raises Complaint."""
    with _connected(settings, _maintenance(settings, database)) as connection:
        name = _name(settings, database)
        return (
            connection.execute("SELECT FROM pg_database WHERE datname = %s", (name,)).fetchone() is not None
        )


@contextmanager
def alone(settings: Settings, what: str) -> Iterator[None]:
    """Do something on this server that nobody else does meanwhile. Blocks. Complaint: somebody is at it."""
    with _connected(settings, _maintenance(settings, "keyring")) as connection:
        row = connection.execute(
            "SELECT pg_try_advisory_lock(hashtext(%s))", (f"orderlog {what}",)
        ).fetchone()
        if row is None or not row[0]:
            raise Complaint(f"Another `orderlog {what}` is running.", "Wait for it, then try again.")
        try:
            yield
        finally:  # a closed connection lets go only once the server has noticed
            connection.execute("SELECT pg_advisory_unlock(hashtext(%s))", (f"orderlog {what}",))


@contextmanager
def _unused(name: str, done: str) -> Iterator[None]:
    """Complaint: the database cannot be `done` (a participle), for somebody is connected to it."""
    try:
        yield
    except psycopg.errors.ObjectInUse as refused:
        raise Complaint(
            f"Database {name} cannot be {done} while it is used: {str(refused).strip().splitlines()[-1]}.",
            "Stop the stage and close other sessions (pg_stat_activity shows them), then try again.",
        ) from refused


def rename(settings: Settings, database: str, to: str) -> None:
    """Give a database another name. Blocks. Complaint: somebody is connected to it, or the role may not."""
    name, new = (sql.Identifier(_name(settings, one)) for one in (database, to))
    with _connected(settings, _maintenance(settings, database)) as connection:
        try:
            with _unused(_name(settings, database), "renamed"):
                connection.execute(sql.SQL("ALTER DATABASE {} RENAME TO {}").format(name, new))
        except psycopg.errors.InsufficientPrivilege as refused:
            raise Complaint(
                f"The role may not rename database {_name(settings, database)}.",
                "Give it CREATEDB and the ownership of the database, then try again.",
            ) from refused


def _applied(settings: Settings, database: str) -> set[str]:
    """Migrations that the database has; the database itself is made when it is not there."""
    try:
        with _connected(settings, settings.dsn(database)) as connection:
            known = connection.execute("SELECT to_regclass('_yoyo_migration') IS NOT NULL").fetchone()
            if known is None or not known[0]:
                return set()
            return {name for (name,) in connection.execute("SELECT migration_id FROM _yoyo_migration")}
    except psycopg.OperationalError as refused:
        # psycopg gives no SQLSTATE for a refused connection, so the message has to do.
        if f'database "{_name(settings, database)}" does not exist' not in str(refused):
            raise
    _create(settings, database)
    return set()


def _create(settings: Settings, database: str) -> None:
    name = _name(settings, database)
    with _connected(settings, _maintenance(settings, database)) as connection:
        try:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        except psycopg.errors.DuplicateDatabase:
            return  # another process made it in the meantime
        except psycopg.errors.InsufficientPrivilege as refused:
            raise Complaint(
                f"Database {name} does not exist and the role may not create it.",
                f"Create it (`CREATE DATABASE {name}`) or give the role CREATEDB, then try again.",
            ) from refused


def _apply(settings: Settings, database: str, folders: list[Path]) -> None:
    from yoyo import get_backend, read_migrations  # imported late: most runs have nothing pending

    dsn = settings.dsn(database)
    with _connected(settings, dsn) as guard:
        # Ends with the connection, unlike yoyo's own lock, which outlives a killed process.
        guard.execute("SELECT pg_advisory_lock(hashtext('orderlog migrations'))")
        backend = get_backend(dsn.replace("postgresql://", "postgresql+psycopg://", 1))
        try:
            with redirect_stdout(StringIO()):  # yoyo prints what a SELECT returns
                backend.apply_migrations(backend.to_apply(read_migrations(*map(str, folders))))
        except psycopg.Error as failed:
            raise Complaint(
                f"A migration of {_name(settings, database)} failed: {str(failed).strip()}.",
                "Nothing of it was kept; correct the SQL and run the migration again.",
            ) from failed
        finally:
            backend.connection.close()


@contextmanager
def _connected(settings: Settings, dsn: str) -> Iterator[psycopg.Connection]:
    """An autocommit connection. The server's refusal of one database passes through; silence does not."""
    try:
        connection = psycopg.connect(dsn, autocommit=True, connect_timeout=10)
    except psycopg.OperationalError as refused:
        if "does not exist" in str(refused):
            raise
        where = settings.database_url.get_secret_value().rpartition("@")[2].partition("/")[0]
        raise Complaint(
            f"PostgreSQL at {where} cannot be reached: {str(refused).strip().splitlines()[0]}.",
            "Check ORDERLOG_DATABASE_URL, or run `orderlog up` for a local one.",
        ) from refused
    with connection:
        yield connection


def _maintenance(settings: Settings, database: str) -> str:
    return urlsplit(settings.dsn(database))._replace(path="/postgres").geturl()


def _name(settings: Settings, database: str) -> str:
    return urlsplit(settings.dsn(database)).path.removeprefix("/")


def main() -> int:
    """What an installation needs before the stages of a release start: databases, schemas, topics."""
    chosen = settings()
    try:
        applied = migrate_all(chosen)
        created = asyncio.run(ensure_topics(chosen))
    except Complaint as complaint:
        print(complaint, file=sys.stderr)
        return 1
    for database, names in applied.items():
        print(f"{database}: applied {', '.join(names)}")
    print(f"Databases are up to date; {len(created)} topics were missing and are there now.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
