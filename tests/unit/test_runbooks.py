"""The runbooks: every command exists, and every refusal that they explain is one that is said."""

import re
import shlex
from pathlib import Path

import pytest

from libs.runtime.beginning import ensure_not_emptied, ensure_same_past
from libs.runtime.complaint import Complaint
from services.inventory.app import STAGE
from tests.unit.test_cli_docs import command_of, options_of

FOLDER = Path(__file__).parents[2] / "docs" / "runbooks"
PAGES = {path.name: path.read_text() for path in sorted(FOLDER.glob("*.md"))}
COMMANDS = [
    (name, shlex.split(line))
    for name, page in PAGES.items()
    for line in re.findall(r"^ +\$ orderlog (.*)$", page, re.MULTILINE)
]
INLINE = [
    (name, shlex.split(line))
    for name, page in PAGES.items()
    for line in re.findall(r"`orderlog ([^`]+)`", re.sub(r"\s+", " ", page))
]


def said(page: str) -> str:
    """A page's words, however its lines are broken."""
    return " ".join(PAGES[page].split())


@pytest.mark.parametrize(("page", "words"), [*COMMANDS, *INLINE], ids=str)
def test_every_command_of_a_runbook_exists(page: str, words: list[str]) -> None:
    path = command_of(words)
    assert path, f"{page}: there is no command `orderlog {' '.join(words)}`"
    assert {word for word in words if word.startswith("-")} <= options_of(path)


def test_each_page_has_commands_and_stands_in_the_index() -> None:
    pages = set(PAGES) - {"README.md"}
    assert pages == {"recover-a-stage.md", "recover-kafka.md", "restore-from-backup.md"}
    assert {name for name, _ in COMMANDS} == pages
    assert all(f"]({name})" in PAGES["README.md"] for name in pages)


def test_what_a_restored_stage_says_stands_on_its_page() -> None:
    with pytest.raises(Complaint) as told:
        ensure_same_past(STAGE, {2: 51}, {2: 40}, {2: 40})
    page = said("restore-from-backup.md")
    assert f"why='{told.value.sentence}'" in page
    assert f"next_step='{told.value.next_step}'" in page
    assert "its database is of an earlier time, as after a restored backup" in told.value.sentence
    assert "its database is of an earlier time, as after a restored backup" in said("README.md")


def test_what_a_stage_says_of_an_emptied_topic_stands_in_the_index() -> None:
    with pytest.raises(Complaint, match="ends at sequence 40, but inventory has published 51"):
        ensure_same_past(STAGE, {2: 40}, {2: 51}, {2: 51})
    with pytest.raises(Complaint) as told:
        ensure_not_emptied("console", {("oms.intake.events", 1): 7}, {("oms.intake.events", 1): 6})
    assert told.value.sentence.endswith("read it up to 7: the topic was emptied.")
    assert "the topic was emptied" in said("README.md")


def test_a_stage_that_fits_its_topics_begins() -> None:
    ensure_same_past(STAGE, {0: 40, 1: 0}, {0: 41}, {0: 39})
    ensure_not_emptied("console", {("oms.intake.events", 1): 6}, {("oms.intake.events", 1): 6})
