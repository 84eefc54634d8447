"""How far a stage may be ahead of the one behind it, without a broker."""

from collections.abc import Iterable

from libs.runtime.backpressure import Ahead

SECONDS = 5.0
EVERY = 0.5


class Behind:
    """The stage behind: what it takes a second, and what waits for it."""

    def __init__(self, ahead: Ahead) -> None:
        self.ahead, self.at, self.taken, self.waiting = ahead, 100.0, 0, 0

    def look(self, taken: int, came: int) -> bool:
        """Half a second later it has taken so many, and so many came; whether commands are held back."""
        self.at += EVERY
        taken = min(taken, self.waiting + came)
        self.taken, self.waiting = self.taken + taken, self.waiting + came - taken
        return self.ahead.look(self.at, self.taken, self.waiting)

    def looks(self, each: Iterable[tuple[int, int]]) -> list[bool]:
        return [self.look(taken, came) for taken, came in each]


def test_who_keeps_up_holds_nobody_back() -> None:
    behind = Behind(Ahead(SECONDS))
    assert not any(behind.looks([(500, 500)] * 60))


def test_a_burst_that_is_taken_within_the_time_holds_nobody_back() -> None:
    behind = Behind(Ahead(SECONDS))
    behind.looks([(500, 500)] * 20)
    assert not any(behind.looks([(500, 4_900), *[(500, 500)] * 20]))


def test_orders_come_as_fast_as_they_are_finished() -> None:
    """Twice of what it can take, while commands are read: as much as it takes is let through, it is never
    without work, and what waits stays bounded."""
    behind = Behind(Ahead(SECONDS))
    held, most = False, 0
    for _ in range(400):
        held = behind.look(500, 0 if held else 1_000)
        most = max(most, behind.waiting)
    assert behind.taken == 400 * 500
    assert most <= 1_000 * SECONDS + 1_000


def test_a_slow_one_may_have_some_waiting_all_the_same() -> None:
    behind = Behind(Ahead(SECONDS))
    assert not any(behind.looks([(5, 25)] * 90)), "90 looks of 20 more are fewer than are worth it"
    assert any(behind.looks([(5, 25)] * 60))


def test_who_takes_nothing_is_not_waited_for() -> None:
    behind = Behind(Ahead(SECONDS))
    behind.looks([(500, 1_000)] * 9)
    assert any(behind.looks([(500, 1_000)] * 9))
    assert not any(behind.looks([(0, 1_000)] * 40)[10:]), "it may be down for hours"


def test_commands_are_let_through_now_and_then_while_a_backlog_is_taken() -> None:
    behind = Behind(Ahead(SECONDS))
    held = behind.looks([(500, 100_000), *[(500, 0)] * 100])[1:]
    assert sum(not one for one in held) in range(8, 13), "about every five seconds of fifty"


def test_zero_never_holds_back() -> None:
    behind = Behind(Ahead(0))
    assert not any(behind.looks([(1, 10_000)] * 100))


def test_nothing_is_concluded_from_what_was_before() -> None:
    ahead = Ahead(SECONDS)
    behind = Behind(ahead)
    behind.looks([(500, 100_000), *[(500, 0)] * 4])
    assert ahead.held
    ahead.forget()
    assert not ahead.held
    assert not behind.look(500, 0), "its pace is not known from one look"
