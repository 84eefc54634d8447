"""Decisions that fail: a stage's fault, mended later by a person, who then has what waits decided again.

Which inputs a stage fails at depends on the seed and the input's id, so whoever reads it again fails again,
in whatever process, until it is mended.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID
from zlib import crc32

from libs.events.contract import Contract, Event
from libs.events.envelope import Envelope
from libs.events.timer import TimerDue
from libs.runtime.log import WAITING, Parked
from libs.runtime.memory_log import MemoryLog
from libs.runtime.stage import Stage
from tests.sim.broker import SimBroker
from tests.sim.database import Database
from tests.sim.faults import Faults

ONE_IN = 80


class DecisionFailed(Exception):
    """What a fault in a decider raises."""


@dataclass
class Failing:
    """One stage that cannot decide some inputs, and who mends it."""

    stage: Stage
    database: Database
    faults: Faults
    at_fault: dict[UUID, bool] = field(default_factory=dict)
    """By input: whether the stage still fails at it."""

    def broken(self) -> Stage:
        """The stage, which fails at inputs now and then."""
        decide = self.stage.decide

        def fails(state: Any, heard: Envelope[Contract], at: datetime) -> list[Event]:
            if self._at_fault(heard):
                raise DecisionFailed(f"{heard.body.TYPE} {heard.stream}")
            return decide(state, heard, at)

        return replace(self.stage, decide=fails)

    def _at_fault(self, heard: Envelope[Contract]) -> bool:
        if heard.id not in self.at_fault:
            drawn = crc32(f"{self.faults.seed} {self.stage.name} {heard.id}".encode()) % ONE_IN == 0
            if not drawn or not self.faults.going_on or isinstance(heard.body, TimerDue):
                return False
            self.at_fault[heard.id] = self.faults.count("decision fails, mended later", self.stage.name)
        return self.at_fault[heard.id]

    async def look(self, broker: SimBroker) -> None:
        """A person looks at what is parked: mends what is at fault (or believes so), and has it replayed. Of
        what nobody can read, some is given up."""
        for row in list(self.database.parked_rows):
            if row.state == "parked" and row.code != "bad_headers":
                record = await broker.fetch(row.topic, row.partition, row.offset)
                assert record is not None, "the topic holds what was parked"
                if not self.faults.going_on or self.faults.dice.random() < 0.7:
                    self.at_fault[UUID(dict(record.headers)["ce_id"].decode())] = False
                await MemoryLog.resolve_parked(self.database, row.key, replay=True, actor="people", note="")
            elif row.state == "parked" and row.offset % 2:
                await MemoryLog.resolve_parked(self.database, row.key, replay=False, actor="people", note="")

    @property
    def waiting(self) -> list[Parked]:
        """Records that are yet to be decided or given up, but for those that nobody can read, or looked
        at yet."""
        rows = self.database.parked_rows
        asked = [row for row in rows if row.code != "bad_headers" or row.state == "discarding"]
        return [row for row in asked if row.state in WAITING]
