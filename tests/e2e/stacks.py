"""A stack for the end-to-end tests: real Kafka, real PostgreSQL, every program a process, in a folder and on
ports of its own.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from libs.runtime.settings import settings

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Stack:
    """A running stack; this process's settings point at it."""

    home: Path

    def run(self, *arguments: str, timeout_seconds: float = 120.0) -> subprocess.CompletedProcess[str]:
        """`orderlog <arguments>` as a user would run it."""
        return subprocess.run(
            (sys.executable, "-m", "cli.main", *arguments),
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=timeout_seconds,
            check=False,
        )

    def json(self, *arguments: str, timeout_seconds: float = 120.0) -> dict[str, Any]:
        """The object that `orderlog <arguments> --json` prints as its last line; it must succeed."""
        done = self.run(*arguments, "--json", timeout_seconds=timeout_seconds)
        assert done.returncode == 0, done.stderr + done.stdout
        answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return answer

    def each(self, *commands: Sequence[str], tenant: str) -> None:
        """`orderlog <command> --tenant <tenant>`, one after the other; each must succeed. One process runs
        them: what a command imports takes most of its time."""
        words = [[*command, "--tenant", tenant] for command in commands]
        done = subprocess.run(
            (sys.executable, "-c", _EACH, json.dumps(words)),
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=120.0,
            check=False,
        )
        assert done.returncode == 0, done.stderr + done.stdout


_EACH = """
import json, sys
from cli.main import app
for words in json.loads(sys.argv[1]):
    app(words, standalone_mode=False)
"""


@contextmanager
def own_stack(**more: str) -> Iterator[Stack]:
    """A stack in a folder and on ports of its own; `more` are settings of it."""
    home = Path(tempfile.mkdtemp(prefix="orderlog-e2e-"))
    downloads = ROOT / ".orderlog" / "cache"
    downloads.mkdir(parents=True, exist_ok=True)
    (home / "cache").symlink_to(downloads)
    base = free_ports(80)
    chosen = {
        "ORDERLOG_HOME": str(home),
        "ORDERLOG_KAFKA": f"127.0.0.1:{base}",  # and base + 1, its controller
        "ORDERLOG_POSTGRES_PORT": str(base + 2),
        "ORDERLOG_SMTP_PORT": str(base + 3),
        "ORDERLOG_HTTP_PORT_BASE": str(base + 4),
        "ORDERLOG_SESSION_TIMEOUT_SECONDS": "6",  # the least that Kafka takes
        "ORDERLOG_DEVELOPMENT_ISSUER": "on",
        **more,
    }
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("ORDERLOG_")]:
            patch.delenv(name)
        for name, value in chosen.items():
            patch.setenv(name, value)
        settings.cache_clear()
        running = Stack(home)
        try:
            running.json("up", timeout_seconds=300.0)
            settings.cache_clear()  # `up` has written the DSN and the key files
            yield running
        finally:
            running.run("down")
            settings.cache_clear()
            shutil.rmtree(home)


def free_ports(count: int) -> int:
    """The first of `count` ports in a row that nobody listens on, out of the ephemeral range."""
    all_bases = range(21000, 32000, 100)
    begin = os.getpid() % len(all_bases)  # so that two who look at the same time find others
    bases: list[int] = [*all_bases[begin:], *all_bases[:begin]]
    for base in bases:
        try:
            for port in range(base, base + count):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port))
        except OSError:
            continue
        return base
    raise AssertionError("no free ports")
