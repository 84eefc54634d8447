"""Erasing on the command line, with a keyring in memory in place of the database: what it asks and says."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.main import app
from libs.events.order import Sealed
from libs.runtime.complaint import Complaint
from libs.runtime.keyring import Keyring, MemoryKeyring
from libs.runtime.settings import Settings
from tests.unit.cli_world import Ended, signing_key

SUBJECT = "c:77"
Erase = Callable[..., Ended]


@pytest.fixture
def keyring() -> MemoryKeyring:
    return MemoryKeyring(cache_seconds=0)


@pytest.fixture
def sealed(keyring: MemoryKeyring) -> Sealed:
    import asyncio

    return asyncio.run(keyring.seal("acme", SUBJECT, "o1", {"name": "Ada"}))


@pytest.fixture
def erase(keyring: MemoryKeyring, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Erase]:
    @asynccontextmanager
    async def opened(settings: Settings) -> AsyncIterator[Keyring]:
        yield keyring

    monkeypatch.setattr("libs.runtime.keyring.open_keyring", opened)

    def run(*arguments: str) -> Ended:
        result = CliRunner().invoke(app, ["erase", *arguments])
        error = None if isinstance(result.exception, SystemExit) else result.exception
        return Ended(result.exit_code, error, result.stdout, result.stderr)

    with signing_key(tmp_path, monkeypatch):
        yield run


def readable(keyring: MemoryKeyring, sealed: Sealed) -> bool:
    import asyncio

    return asyncio.run(keyring.open("acme", "o1", sealed)) is not None


def test_it_destroys_the_keys_and_says_by_when(erase: Erase, keyring: MemoryKeyring, sealed: Sealed) -> None:
    assert readable(keyring, sealed)
    ended = erase(SUBJECT, "--tenant", "acme", "--yes", "--json")
    assert not readable(keyring, sealed)
    assert (ended.json["keys_destroyed"], ended.json["erased_before"]) == (1, False)
    assert ended.json["complete_by"]
    assert "Complete by" in ended.said
    again = erase(SUBJECT, "--tenant", "acme", "--yes", "--json")
    assert (again.exit_code, again.json["keys_destroyed"], again.json["erased_before"]) == (0, 0, True)


def test_without_yes_nobody_there_is_no_yes(erase: Erase, keyring: MemoryKeyring, sealed: Sealed) -> None:
    ended = erase(SUBJECT, "--tenant", "acme")
    assert isinstance(ended.error, Complaint)
    assert "--yes" in ended.error.next_step
    assert readable(keyring, sealed)


def test_another_tenants_subject_is_not_touched(erase: Erase, keyring: MemoryKeyring, sealed: Sealed) -> None:
    ended = erase(SUBJECT, "--tenant", "other", "--yes")
    assert isinstance(ended.error, Complaint)
    assert "no data subject c:77" in ended.error.sentence
    assert readable(keyring, sealed)


@pytest.mark.parametrize(("answer", "kept"), [(True, False), (False, True)])
def test_it_asks(
    answer: bool,
    kept: bool,
    erase: Erase,
    keyring: MemoryKeyring,
    sealed: Sealed,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("cli.erase._somebody_is_there", lambda: True)
    monkeypatch.setattr("cli.erase.typer.confirm", lambda question, err: answer)
    erase(SUBJECT, "--tenant", "acme")
    assert readable(keyring, sealed) is kept
