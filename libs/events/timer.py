"""A due timer: the stage's own reminder, decided in its lane like everything else. Never on a topic."""

from datetime import datetime
from typing import ClassVar

from libs.events.contract import Contract
from libs.events.record import record


class TimerDue(Contract):
    """The reminder `name` of a stream is due."""

    TYPE: ClassVar[str] = "oms.timer_due"

    timer_stream: str
    name: str

    @property
    def stream(self) -> str:
        return self.timer_stream


@record
class Timer:
    """Ask for `TimerDue(stream, name)` at `due_at`. One per (stream, name): asked again, it moves."""

    stream: str
    name: str
    due_at: datetime
