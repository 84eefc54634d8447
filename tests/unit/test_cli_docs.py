"""The page of the command line: every command stands on it, and nothing on it does not exist."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from cli.main import app
from libs.runtime.settings import STAGES

PAGE = (Path(__file__).parents[2] / "docs" / "cli.md").read_text()
ROOT = get_command(app)
OURS = (
    "orders",
    "returns",
    "stock",
    "nodes",
    "parked",
    "events",
    "rebuild",
    "recover",
    "prove",
    "erase",
    "bench",
)
"""Commands whose --help shows an example."""


def leaves(command: object = ROOT, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every command that does something, by its words."""
    inner = getattr(command, "commands", None)
    if inner is None:
        yield path
        return
    for name, below in inner.items():
        yield from leaves(below, (*path, name))


COMMANDS = sorted(leaves())
SHOWN = [shlex.split(line) for line in re.findall(r"^    \$ orderlog (.*)$", PAGE, re.MULTILINE)]


def command_of(words: list[str]) -> tuple[str, ...]:
    """The command that a line runs, or nothing."""
    return next((path for path in COMMANDS if tuple(words[: len(path)]) == path), ())


def folded(path: tuple[str, ...]) -> tuple[str, ...]:
    """Commands that differ in the stage alone are shown by one of them."""
    return tuple("STAGE" if word in STAGES else word for word in path)


def options_of(path: tuple[str, ...]) -> set[str]:
    command: object = ROOT
    for name in path:
        command = getattr(command, "commands")[name]  # noqa: B009  (click's groups have them, commands have not)
    return {option for one in getattr(command, "params", ()) for option in (*one.opts, *one.secondary_opts)}


def test_every_command_stands_on_the_page_with_its_output() -> None:
    assert len(COMMANDS) > 20
    assert set(map(folded, map(command_of, SHOWN))) == set(map(folded, COMMANDS))
    for words in SHOWN:
        first = f"    $ orderlog {words[0]}"
        assert re.search(rf"{re.escape(first)}.*\n    \S", PAGE), f"{words} shows no output"


def test_every_command_and_option_on_the_page_exists() -> None:
    for words in SHOWN:
        path = command_of(words)
        assert path, f"there is no command `orderlog {' '.join(words)}`"
        used = {word for word in words if re.match(r"--?[a-z]", word)}
        assert used <= options_of(path), f"{words}: {used - options_of(path)}"


@pytest.mark.parametrize("path", [path for path in COMMANDS if path[0] in OURS], ids=" ".join)
def test_help_shows_an_example_that_runs_this_command(path: tuple[str, ...]) -> None:
    helped = CliRunner().invoke(app, [*path, "--help"], env={"COLUMNS": "200"}).stdout
    found = re.search(r"Example: orderlog (.*)", helped)
    assert found, helped
    words = shlex.split(found[1])
    assert tuple(words[: len(path)]) == path
    assert {word for word in words if re.match(r"--?[a-z]", word)} <= options_of(path)
    assert "--json" in options_of(path)
