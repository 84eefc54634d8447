"""One run: stages, faults and people of one seed, from the first order until nothing moves any more."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random

from libs.runtime.kafka import Lanes
from libs.runtime.stage import Stage
from tests.flow.world import STAGES, World
from tests.sim.broker import Group, SimBroker
from tests.sim.console import ConsoleDatabase, ConsoleProcess
from tests.sim.database import Database
from tests.sim.failing import Failing
from tests.sim.faults import Faults
from tests.sim.loop import SimLoop
from tests.sim.machine import Machine
from tests.sim.people import People
from tests.sim.process import Process

LANES = 5
ORDERS = 4
"""A run."""
REPLICAS = {"inventory": 2}
CONSOLES = 2
CALM_SECONDS_MAX = 6 * 3600.0
_LOOKS_SECONDS = 90.0
"""How often a person looks at what is parked, at the least."""
_EVERY_SECONDS = 12.0
"""Between two blows of fate, on average, while orders are under way."""


@dataclass(frozen=True)
class Plan:
    """What to run; enough to run it again."""

    seed: int
    orders: int = ORDERS
    faults_most: int = 1_000_000
    without: tuple[str, ...] = ()
    broken: str = ""
    """The guarantee that is broken on purpose (`tests.sim.sabotage`)."""


@dataclass
class Scene:
    """Everything that exists in a run."""

    plan: Plan
    loop: SimLoop
    process_of: type[Process] = Process
    database_of: type[Database] = Database
    read_side_of: type[ConsoleDatabase] = ConsoleDatabase
    processes: list[Process] = field(default_factory=list)
    followers: list[ConsoleProcess] = field(default_factory=list)
    halts: list[str] = field(default_factory=list)
    restless: str = ""
    """What still moved when the run was given up, or nothing."""

    def __post_init__(self) -> None:
        seed = str(self.plan.seed)
        self.faults = Faults(seed, self.plan.faults_most, frozenset(self.plan.without))
        self.broker = SimBroker(LANES, self.loop, self.faults)
        self.lane_of: Callable[[str], int] = Lanes(LANES)
        self.databases = {
            stage.name: self.database_of(stage.name, self.loop, self.faults) for stage in STAGES
        }
        self.failing = {
            stage.name: Failing(stage, self.databases[stage.name], self.faults) for stage in STAGES
        }
        self.read_side = self.read_side_of()
        self.groups = {name: Group(name, self.broker) for name in (*self.databases, "console")}
        self.people = People(seed, self.plan.orders, self.broker, self.faults, self.lane_of)
        self._fate = Random(f"fate {seed}")
        self._started = 0

    @property
    def books(self) -> World:
        """The logs and topics, as the oracle of the flow tests reads them."""
        world = World(LANES)
        world.broker, world.logs = self.broker, dict(self.databases)
        return world

    async def play(self) -> None:
        """From an empty house to rest."""
        for stage in STAGES:
            for _ in range(REPLICAS.get(stage.name, 1)):
                self.start(stage)
        for _ in range(CONSOLES):
            self.start_console()
        self.people.open_shop()
        looking = self.loop.create_endless(self._look_at_parked())
        await self._storm(self.people.last_order_at + 150)
        await self._calm()
        looking.cancel()

    async def _look_at_parked(self) -> None:
        while True:
            await asyncio.sleep(_LOOKS_SECONDS * self.faults.dice.random())
            for failing in self.failing.values():
                await failing.look(self.broker)

    def start(self, stage: Stage) -> None:
        """One more process of a stage."""
        self._started += 1
        machine = Machine(f"{stage.name}.{self._started}", self.loop, self.faults)
        process = self.process_of(
            self.failing[stage.name].broken(),
            self.databases[stage.name],
            self.broker,
            self.groups[stage.name],
            machine,
            self.lane_of,
        )
        machine.on_death.append(lambda: self._buried(process))
        machine.on_stop = lambda seconds: self._absent(process, process.stage.name, machine.stop_for, seconds)
        self.processes.append(process)

    def start_console(self) -> None:
        """One more process of the read side."""
        self._started += 1
        machine = Machine(f"console.{self._started}", self.loop, self.faults)
        follower = ConsoleProcess(self.read_side, self.broker, self.groups["console"], machine)
        machine.on_death.append(lambda: self._console_buried(follower))
        machine.on_stop = lambda seconds: self._absent(follower, "console", machine.stop_for, seconds)
        self.followers.append(follower)

    def _buried(self, process: Process) -> None:
        self.processes.remove(process)
        self.halts += process.halts
        process.consumer.close()
        self.groups[process.stage.name].watch(process.consumer)
        self.loop.call_later(self.faults.dice.uniform(0.5, 12), self.start, process.stage)

    def _console_buried(self, follower: ConsoleProcess) -> None:
        self.followers.remove(follower)
        follower.consumer.close()
        self.groups["console"].watch(follower.consumer)
        self.loop.call_later(self.faults.dice.uniform(0.5, 12), self.start_console)

    async def _sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        self.faults.now = self.loop.time()

    async def _storm(self, until: float) -> None:
        """Something happens to somebody, again and again; while nothing is under way, seldom."""
        blows = (
            self._crash,
            self._stop,
            self._silence,
            self._jump,
            self._jump,
            self._join,
            self._leave,
            self._restart_database,
            self._restart_broker,
        )
        while self.loop.time() < until:
            busy = not self.at_rest()
            await self._sleep(self._fate.expovariate(1 / _EVERY_SECONDS) if busy else 30)
            if busy:
                self._fate.choice(blows)()

    def _crash(self) -> None:
        process = self._fate.choice(self.processes)
        if self.faults.count("crash at rest", process.machine.name):
            process.machine.crash()

    def _stop(self) -> None:
        machine = self._fate.choice(self.processes).machine
        if self.faults.count("zombie: stopped, then wakes", machine.name):
            machine.on_stop(self._seconds_away())

    def _silence(self) -> None:
        process = self._fate.choice(self.processes)
        if self.faults.count("zombie: unheard by the group", process.machine.name):
            self._absent(process, process.stage.name, process.machine.silent_for, self._seconds_away())

    def _seconds_away(self) -> float:
        return self._fate.choice((2.0, 15.0, 40.0)) * (0.5 + self._fate.random())

    def _absent(
        self, process: Process | ConsoleProcess, group: str, how: Callable[[float], None], seconds: float
    ) -> None:
        """The group drops it if that lasts; it asks where it stands when it is back."""
        how(seconds)
        self.groups[group].watch(process.consumer)
        self.loop.call_later(seconds + 0.1, process.consumer.wake)

    def _jump(self) -> None:
        process = self._fate.choice(self.processes)
        if self.faults.count("clock jump", process.machine.name):
            process.machine.skew = timedelta(seconds=self._fate.uniform(-3600, 3600))

    def _join(self) -> None:
        stage = self._fate.choice(STAGES)
        if self.faults.count("member joins", stage.name):
            self.start(stage)

    def _leave(self) -> None:
        process = self._fate.choice(self.processes)
        if process.machine.leaving or not self.faults.count("member leaves", process.machine.name):
            return
        self.processes.remove(process)
        self.halts += process.halts
        process.machine.on_death.clear()
        self.loop.create_task(process.leave(self.groups[process.stage.name]))
        if not any(other.stage is process.stage for other in self.processes):
            self.loop.call_later(self._fate.uniform(0.1, 10), self.start, process.stage)

    def _restart_database(self) -> None:
        database = self.databases[self._fate.choice(list(self.databases))]
        if self.faults.count("database restarted", database.name):
            database.restart(self._fate.uniform(0.5, 15))

    def _restart_broker(self) -> None:
        if self.faults.count("broker restarted"):
            self.broker.down_until = self.loop.time() + self._fate.uniform(0.5, 15)

    async def _calm(self) -> None:
        """Faults stop and everybody is well again: until nothing moves."""
        self.faults.going_on = False
        self.faults.note("", "the faults are over")
        for database in self.databases.values():
            database.down_until = 0.0
        self.broker.down_until = 0.0
        everybody: list[Process | ConsoleProcess] = [*self.processes, *self.followers]
        for process in everybody:
            process.machine.heal()
            process.consumer.wake()
        deadline = self.loop.time() + CALM_SECONDS_MAX
        quiet = 0
        while quiet < 2:
            await self._sleep(30)
            quiet = quiet + 1 if self.at_rest() else 0
            if self.loop.time() > deadline or (not quiet and self.halts_now()):
                self.restless = self._what_moves()
                return

    def halts_now(self) -> list[str]:
        """Lanes that a stage stopped, ever."""
        return [*self.halts, *(why for process in self.processes for why in process.halts)]

    def at_rest(self) -> bool:
        return not self._what_moves()

    def _what_moves(self) -> str:
        """The first thing found that is still under way."""
        if self.people.pending:
            return f"{self.people.pending} commands are to be sent"
        for stage in STAGES:
            database = self.databases[stage.name]
            for topic in stage.topics:
                for lane in range(LANES):
                    read, end = database.consumed.get((topic, lane), 0), self.broker.end((topic, lane))
                    if read < end:
                        return f"{stage.name} has read {topic}/{lane} up to {read} of {end}"
            if waits := self.failing[stage.name].waiting:
                return f"{stage.name} has {waits[0].type} of {waits[0].key} {waits[0].state}"
            if database.timers:
                return f"{stage.name} has timers to ring: {sorted(database.timers)[:3]}"
            for lane in range(LANES):
                rows = len(database.rows.get((lane, "decided"), ()))
                published = self.people.heard_up_to(stage.topic, lane)
                if published < rows:
                    return f"{stage.name} lane {lane} is published up to {published} of {rows}"
        for (topic, lane), end in self.read_side.ends(self.broker).items():
            if self.read_side.offsets.get((topic, lane), 0) < end:
                return f"console has not read {topic}/{lane} to its end"
        return ""
