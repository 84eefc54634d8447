"""Who publishes many commands at once hears of each from the batch that decides it."""

import asyncio
from dataclasses import replace
from uuid import UUID

from libs.runtime.answers import Answers
from libs.runtime.log import Handled, LogRow, Writes
from libs.runtime.memory_log import MemoryLog
from tests.spec import NOON

ONE, TWO, THREE = UUID(int=1), UUID(int=2), UUID(int=3)


def decided(lane: int, seq: int) -> LogRow:
    return LogRow(lane, "decided", seq, UUID(int=seq), "acme", "s", 1, "t", 1, b"{}", {}, NOON, NOON)


async def test_each_command_is_answered_with_its_own_rows() -> None:
    answers = Answers(MemoryLog())
    writes = Writes(rows=[replace(decided(0, 1), origin="heard"), *(decided(0, seq) for seq in (1, 2, 3))])
    writes.handled = [
        Handled("acme", ONE, b"1", 0, 1, 2),
        Handled("acme", TWO, b"2", 0, 3, 0),
        Handled("other", THREE, b"3", 0, 3, 1),
    ]
    with answers.expecting("acme", [(ONE, b"1"), (TWO, b"2"), (THREE, b"3")]) as (one, two, three):
        answers.committed(writes)
        assert one.result() == [decided(0, 1), decided(0, 2)]
        assert two.result() == []
        assert not three.done()


async def test_another_command_under_the_same_id_is_not_the_answer() -> None:
    answers = Answers(MemoryLog())
    with answers.expecting("acme", [(ONE, b"1")]) as (answer,):
        answers.committed(Writes(handled=[Handled("acme", ONE, b"2", 0, 1, 0)]))
        assert not answer.done()


async def test_two_requests_for_one_command_both_hear_of_it_and_leave_nothing_behind() -> None:
    answers = Answers(MemoryLog())
    with answers.expecting("acme", [(ONE, b"1")]) as (first,):
        with answers.expecting("acme", [(ONE, b"1")]):
            pass
        answers.committed(Writes(handled=[Handled("acme", ONE, b"1", 0, 1, 0)]))
        assert first.done()
    with answers.expecting("acme", [(ONE, b"1")]) as (again,):
        assert not again.done()


class Asked(MemoryLog):
    """A log that counts how often it is asked."""

    asked = 0

    async def answer(self, tenant: str, command_id: UUID, digest: bytes = b"") -> list[LogRow] | None:
        self.asked += 1
        return [decided(0, 7)] if self.asked > 1 else None


async def test_what_is_decided_here_is_told_without_a_question_to_the_database() -> None:
    log = Asked()
    answers = Answers(log, lambda _: True)
    with answers.expecting("acme", [(ONE, b"1")]) as (answer,):
        waiting = asyncio.ensure_future(answers.outcome(answer, "acme", (ONE, b"1"), 0, 30))
        await asyncio.sleep(0)
        answers.committed(Writes(rows=[decided(0, 1)], handled=[Handled("acme", ONE, b"1", 0, 1, 1)]))
        assert await waiting == [decided(0, 1)]
    assert log.asked == 0


async def test_a_command_that_was_decided_before_is_looked_up_at_once() -> None:
    log = Asked()
    log.asked = 1
    answers = Answers(log, lambda _: True)
    with answers.expecting("acme", [(ONE, b"1")]) as (answer,):
        answers.committed(Writes(repeated=[("acme", ONE)]))
        async with asyncio.timeout(0.9):  # before the log would be asked anyway
            assert await answers.outcome(answer, "acme", (ONE, b"1"), 0, 30) == [decided(0, 7)]


async def test_what_another_process_decides_is_asked_for_until_it_is_there() -> None:
    log = Asked()
    answers = Answers(log)
    with answers.expecting("acme", [(ONE, b"1")]) as (answer,):
        assert await answers.outcome(answer, "acme", (ONE, b"1"), 0, 30) == [decided(0, 7)]
    assert log.asked == 2
