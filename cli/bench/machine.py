"""What the bench ran on: commit, machine, versions."""

import os
import platform
import re
import subprocess
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import asyncpg

from deploy.local.jars import KAFKA_VERSION
from libs.runtime.settings import Settings

ROOT = Path(__file__).resolve().parents[2]


def commit() -> str:
    """The clone's short hash, and whether files differ from it; outside of a clone, the release."""
    try:
        found = _git("rev-parse", "--short", "HEAD")
        changed = _git("status", "--porcelain", "--untracked-files=no", "--", ":!docs")
    except (OSError, subprocess.CalledProcessError):
        try:
            return f"release {version('orderlog')}"
        except PackageNotFoundError:
            return "unknown"
    return f"{found} with changes" if changed else found


def today() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")


async def describe(settings: Settings) -> str:
    """`2 cores of …, shared by everything; Python …, Kafka …, PostgreSQL …`."""
    connection = await asyncpg.connect(settings.dsn("console"))
    try:
        database = ".".join(str(part) for part in connection.get_server_version()[:2])
    finally:
        await connection.close()
    return (
        f"{os.cpu_count()} cores of {_processor()}, shared by everything; "
        f"Python {platform.python_version()}, Kafka {KAFKA_VERSION}, PostgreSQL {database}"
    )


def _processor() -> str:
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        found = None
    return found[1] if found else platform.processor() or platform.machine()


def _git(*arguments: str) -> str:
    done = subprocess.run(  # noqa: S603 - our own command line
        ("/usr/bin/env", "git", *arguments), cwd=ROOT, capture_output=True, text=True, check=True, timeout=10
    )
    return done.stdout.strip()
