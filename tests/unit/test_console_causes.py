"""What an event came of, where that is no event of its order: from envelopes as the stages make them."""

from datetime import UTC, datetime
from typing import Any

from libs.runtime.log import TimerRow
from libs.runtime.reading import timer_input
from services.console.causes import cause_of


def row(actor: str, reason: str = "") -> dict[str, Any]:
    return {"actor": actor, "reason": reason}


def test_a_timer_is_told_by_its_name() -> None:
    timer = timer_input(TimerRow(0, "acme/o-1", "reservation expires", datetime.now(UTC))).envelope
    assert cause_of(row(timer.actor, timer.reason)) == "the timer reservation expires"


def test_a_command_is_told_by_whose_it_was() -> None:
    assert cause_of(row("ann", "asked to")) == "a command of ann"
    assert cause_of(row("ann", "timer was late")) == "a command of ann"
    assert cause_of(row("orderlog", "replayed")) == "a command of orderlog"
    assert cause_of(row("")) == "a command"
