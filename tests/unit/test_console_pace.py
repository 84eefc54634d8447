"""The console yields to the stages, but not while somebody looks at its pages."""

from libs.runtime.settings import Settings
from services.console.pace import WATCHED_FETCH_MS, Pace


class Machine:
    """What a process asked of its broker and its system last. `deaf`: the system did not listen."""

    def __init__(self, config: Settings) -> None:
        self.waits_ms, self.nice, self.deaf, self.asked = config.fetch_wait_ms, config.nice, False, 0
        self.pace = Pace(config, self._wait_at_broker, self._yield_session)

    def _wait_at_broker(self, milliseconds: int) -> None:
        self.waits_ms = milliseconds

    def _yield_session(self, nice: int) -> bool:
        self.asked += 1
        self.nice = self.nice if self.deaf else nice
        return not self.deaf


FOLLOWER = Settings(nice=19, fetch_bytes_min=262_144, fetch_wait_ms=200)


def test_while_pages_are_open_it_does_not_yield_and_waits_for_little() -> None:
    machine = Machine(FOLLOWER)
    for watched, nice, waits_ms in ((False, 19, 200), (True, 0, WATCHED_FETCH_MS), (False, 19, 200)):
        for _ in range(3):
            machine.pace.keep(watched=watched)
            assert (machine.nice, machine.waits_ms) == (nice, waits_ms)
    assert machine.asked == 2, "once a change"


def test_a_system_that_did_not_listen_is_asked_again() -> None:
    machine = Machine(FOLLOWER)
    machine.deaf = True
    machine.pace.keep(watched=True)
    assert machine.nice == 19
    machine.deaf = False
    machine.pace.keep(watched=True)
    assert machine.nice == 0


def test_who_does_not_yield_and_waits_for_nothing_stays_as_it_is() -> None:
    machine = Machine(Settings())
    machine.pace.keep(watched=True)
    assert (machine.asked, machine.waits_ms) == (0, Settings().fetch_wait_ms)
