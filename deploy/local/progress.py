"""What `up` and `down` tell while they work; the command line draws it."""

from contextlib import AbstractContextManager
from typing import Protocol


class Step(Protocol):
    """One step of the work, while it runs."""

    def note(self, text: str) -> None:
        """Say where it stands, or how it ended, in a few words."""


class Progress(Protocol):
    """Steps may run at the same time, in threads."""

    def step(self, name: str) -> AbstractContextManager[Step]:
        """Entered when the step begins, left when it ends; an exception marks it as failed."""
