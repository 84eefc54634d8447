"""Who only follows yields the processor to the stages, whatever shares it out on this system."""

import os
import subprocess
import sys
from pathlib import Path

AUTOGROUP = "/proc/self/autogroup"
PROGRAM = f"""
import os, pathlib
from libs.runtime.serve import yield_session, yield_to_others
yield_to_others(7)
{{then}}
group = pathlib.Path({AUTOGROUP!r})
print(os.nice(0), group.read_text() if group.exists() else "none")
"""


def said(*, session_of_its_own: bool, then: str = "") -> list[str]:
    done = subprocess.run(
        (sys.executable, "-c", PROGRAM.format(then=then)),
        start_new_session=session_of_its_own,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.split()


def test_a_process_that_is_a_session_of_its_own_yields_with_its_whole_session() -> None:
    nice, *group = said(session_of_its_own=True)
    assert int(nice) == min(19, os.nice(0) + 7)
    if Path(AUTOGROUP).exists() and Path(AUTOGROUP).read_text():
        assert group[-2:] == ["nice", "7"]


def test_a_session_that_yielded_may_take_it_back() -> None:
    again = "any(yield_session(0) for _ in range(100_000))"  # the system hears of ten changes a second
    nice, *group = said(session_of_its_own=True, then=again)
    assert int(nice) == min(19, os.nice(0) + 7), "of its own niceness nothing is taken back"
    if Path(AUTOGROUP).exists() and Path(AUTOGROUP).read_text():
        assert group[-2:] == ["nice", "0"]


def test_others_of_its_session_are_not_slowed_down() -> None:
    nice, *group = said(session_of_its_own=False)
    assert int(nice) == min(19, os.nice(0) + 7)
    assert group[-1:] != ["7"]
