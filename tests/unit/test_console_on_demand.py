"""A connection that is made on demand: once for all who ask, anew after it was let go of or did not start."""

import asyncio

import pytest

from services.console.on_demand import OnDemand


class Client:
    """Starts at its second turn of the loop, unless it is to fail."""

    def __init__(self, fails: bool) -> None:
        self.fails, self.started, self.stopped = fails, 0, 0

    async def start(self) -> None:
        await asyncio.sleep(0)
        if self.fails:
            raise ConnectionError
        self.started += 1

    async def stop(self) -> None:
        self.stopped += 1


class Made:
    """Clients in the order in which they were made; the first `broken` do not start."""

    def __init__(self, broken: int = 0) -> None:
        self.clients: list[Client] = []
        self.of = OnDemand(lambda: self._make(broken), Client.stop)

    def _make(self, broken: int) -> Client:
        self.clients.append(Client(len(self.clients) < broken))
        return self.clients[-1]


async def test_many_who_ask_at_once_get_one_that_has_started() -> None:
    made = Made()
    found = await asyncio.gather(*(made.of() for _ in range(9)))
    assert found == [made.clients[0]] * 9
    assert [one.started for one in made.clients] == [1]
    await made.of.close()
    await made.of.close()
    assert made.clients[0].stopped == 1
    assert await made.of() is made.clients[1]


async def test_one_that_does_not_start_is_let_go_of_and_the_next_who_asks_gets_another() -> None:
    made = Made(broken=1)
    with pytest.raises(ConnectionError):
        await made.of()
    assert made.clients[0].stopped == 1
    assert (await made.of()).started == 1
