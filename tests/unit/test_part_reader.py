"""Parts for who asks: one query for all who wait, nothing older than the question, a fault is told to all."""

import asyncio
from collections.abc import Mapping

import pytest

from libs.runtime.log import Snapshot, Unavailable
from libs.runtime.part_reader import PartReader


class Table:
    """Stands where the database stands; each query waits until it is let go."""

    def __init__(self, **parts: tuple[int, str]) -> None:
        self.parts = parts
        self.asked: list[list[str]] = []
        self.sent: list[str] = []
        self.go = asyncio.Semaphore(0)
        self.fails = False

    async def load(self, keys: list[str], known: Mapping[str, int]) -> dict[str, Snapshot]:
        self.asked.append(sorted(keys))
        await self.go.acquire()
        if self.fails:
            raise Unavailable("away")
        found = {}
        for key in keys:
            if key in self.parts:
                version, part = self.parts[key]
                same = known.get(key) == version
                self.sent += [] if same else [key]
                found[key] = Snapshot(version, None if same else part.encode())
        return found


async def ask(reader: PartReader[str], *keys: str) -> "asyncio.Task[dict[str, str]]":
    task = asyncio.create_task(reader.parts(keys))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    return task


async def test_who_asks_during_a_query_shares_the_next_one() -> None:
    table = Table(a=(1, "A"), b=(1, "B"))
    reader = PartReader(table.load, bytes.decode, 10)
    first = await ask(reader, "a")
    others = [await ask(reader, key) for key in ("a", "b", "c")]
    table.parts["a"] = (2, "A2")
    table.go.release()
    table.go.release()
    assert await first == {"a": "A2"}
    assert [await other for other in others] == [{"a": "A2"}, {"b": "B"}, {}]
    assert table.asked == [["a"], ["a", "b", "c"]]


async def test_an_answer_is_never_older_than_its_question_and_the_same_is_not_sent_again() -> None:
    table = Table(a=(1, "A"))
    reader = PartReader(table.load, bytes.decode, 10)
    for version, part, sent in ((1, "A", 1), (1, "A", 1), (2, "B", 2)):
        table.parts["a"] = (version, part)
        table.go.release()
        assert await reader.parts(["a"]) == {"a": part}
        assert len(table.sent) == sent


async def test_a_fault_is_told_to_all_who_waited_and_the_next_is_read_again() -> None:
    table = Table(a=(1, "A"))
    reader = PartReader(table.load, bytes.decode, 10)
    table.fails = True
    asked = [await ask(reader, "a"), await ask(reader, "a")]
    table.go.release()
    table.go.release()
    for one in asked:
        with pytest.raises(Unavailable):
            await one
    table.fails = False
    table.go.release()
    assert await reader.parts(["a"]) == {"a": "A"}


async def test_who_goes_away_takes_nobody_with_him() -> None:
    table = Table(a=(1, "A"))
    reader = PartReader(table.load, bytes.decode, 10)
    gone, stays = await ask(reader, "a"), await ask(reader, "a")
    gone.cancel()
    table.go.release()
    table.go.release()
    assert await stays == {"a": "A"}


async def test_what_was_read_just_now_is_not_asked_for_again_where_it_need_not_be() -> None:
    table = Table(a=(1, "A"), b=(1, "B"))
    reader = PartReader(table.load, bytes.decode, 10, fresh_seconds=3600)
    for _ in range(4):
        table.go.release()
    assert await reader.parts(["a"]) == {"a": "A"}
    table.parts["a"] = (2, "A2")
    assert await reader.parts(["a", "b"]) == {"a": "A", "b": "B"}
    reader.forget(["a", "c"])
    assert await reader.parts(["a", "b"]) == {"a": "A2", "b": "B"}
    assert table.asked == [["a"], ["b"], ["a"]]


async def test_what_is_forgotten_while_it_is_read_is_asked_for_again() -> None:
    table = Table(a=(1, "A"))
    reader = PartReader(table.load, bytes.decode, 10, fresh_seconds=3600)
    first = await ask(reader, "a")
    reader.forget(["a"])
    table.go.release()
    table.go.release()
    assert await first == {"a": "A"}
    table.parts["a"] = (2, "A2")
    assert await reader.parts(["a"]) == {"a": "A2"}


async def test_after_its_time_it_is_read_again() -> None:
    table = Table(a=(1, "A"))
    reader = PartReader(table.load, bytes.decode, 10, fresh_seconds=1e-9)
    for version, part in ((1, "A"), (2, "A2")):
        table.parts["a"] = (version, part)
        table.go.release()
        assert await reader.parts(["a"]) == {"a": part}
