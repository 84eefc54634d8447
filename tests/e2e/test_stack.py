"""The local stack as its user meets it."""

import os
import signal
from pathlib import Path

import psycopg
import pytest
from pydantic import SecretStr

from libs.runtime.complaint import Complaint
from libs.runtime.migrate import databases, migrate_all
from libs.runtime.settings import Settings, settings
from libs.runtime.topics import lifecycle_topics
from tests.e2e.stacks import Stack

pytestmark = pytest.mark.e2e


def test_up_leaves_alone_what_runs(stack: Stack) -> None:
    before = stack.json("status")["programs"]
    again = stack.json("up")["programs"]
    assert {"kafka", "postgres", "mail"} <= set(again)
    for name, program in again.items():
        assert program == {"pid": before[name]["pid"], "action": "running"}


def test_status_tells_health_and_memory(stack: Stack) -> None:
    started = stack.json("up")["programs"]
    seen = stack.json("status")["programs"]
    for name in started:
        assert seen[name]["health"] == "ready"
        assert seen[name]["memory_mb"] > 5
        assert seen[name]["since"] > 0


def test_what_died_is_told_and_started_again(stack: Stack) -> None:
    before = stack.json("status")["programs"]["mail"]["pid"]
    os.kill(before, signal.SIGKILL)
    assert stack.json("status")["programs"]["mail"]["health"] == "died"
    after = stack.json("up")["programs"]["mail"]
    assert after["action"] == "restarted"
    assert after["pid"] != before


def test_topics_are_all_there_with_one_lane_count(stack: Stack) -> None:
    topics = stack.json("topics")["topics"]
    assert [topic["topic"] for topic in topics] == lifecycle_topics()
    assert {topic["partitions"] for topic in topics} == {settings().partitions}


def test_another_partition_count_is_refused_with_a_next_step(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ORDERLOG_PARTITIONS", str(settings().partitions + 3))
    refused = stack.run("up")
    monkeypatch.delenv("ORDERLOG_PARTITIONS")
    assert refused.returncode == 1
    assert "lanes never change" in refused.stderr
    assert f"Set ORDERLOG_PARTITIONS={settings().partitions}" in " ".join(refused.stderr.split())
    assert "Traceback" not in refused.stderr
    assert stack.json("up")["ok"] is True


def test_the_role_is_no_superuser_and_secrets_are_private(stack: Stack) -> None:
    with psycopg.connect(settings().dsn("intake")) as connection:
        row = connection.execute("SELECT usesuper FROM pg_user WHERE usename = current_user").fetchone()
    assert row == (False,)
    for secret in (settings().jwt_key_file, settings().master_key_file, stack.home / "stack.env"):
        assert secret.stat().st_mode & 0o077 == 0


def scratch(settings: Settings) -> Settings:
    """The same server, other databases."""
    url = settings.database_url.get_secret_value().replace("{database}", "scratch_{database}")
    return settings.model_copy(update={"database_url": SecretStr(url)})


def test_migrations_are_applied_once_and_whole(stack: Stack, tmp_path: Path) -> None:
    folder = tmp_path / "libs" / "runtime" / "migrations" / "keyring"
    folder.mkdir(parents=True)
    (folder / "0001.first.sql").write_text(
        "CREATE TABLE kept (id int);\n"
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$\n"
        "BEGIN RAISE EXCEPTION 'append-only; nothing is edited'; END $$;\n"
        "CREATE TRIGGER append_only BEFORE UPDATE ON kept FOR EACH ROW EXECUTE FUNCTION refuse();\n"
    )
    target = scratch(settings())
    try:
        assert migrate_all(target, root=tmp_path) == {"keyring": ["0001.first"]}
        assert migrate_all(target, root=tmp_path) == {}
        (folder / "0002.second.sql").write_text("CREATE TABLE lost (id int); CREATE TABLE kept (id int);")
        with pytest.raises(Complaint, match=r"scratch_orderlog_keyring failed.*already exists"):
            migrate_all(target, root=tmp_path)
        with psycopg.connect(target.dsn("keyring")) as connection:
            row = connection.execute("SELECT to_regclass('kept'), to_regclass('lost')").fetchone()
        assert row == ("kept", None)
    finally:
        with psycopg.connect(settings().dsn("keyring"), autocommit=True) as connection:
            for database in databases():
                connection.execute(f"DROP DATABASE IF EXISTS scratch_orderlog_{database}".encode())
