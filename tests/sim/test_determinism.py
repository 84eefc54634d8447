"""A seed is a run: the same steps in whatever process, and other steps for another seed."""

import asyncio
import hashlib
import os
import subprocess
import sys
from random import Random

import pytest

from tests.sim.loop import SimLoop, Stuck
from tests.sim.run import simulate
from tests.sim.world import Plan

SEED = 5
_PRINT = (
    "from tests.sim.test_determinism import fingerprint\n"
    "from tests.sim.world import Plan\n"
    f"print(fingerprint(Plan({SEED})))"
)


def fingerprint(plan: Plan) -> str:
    """Of everything that happened, to the microsecond."""
    return hashlib.sha256(repr(simulate(plan).history).encode()).hexdigest()


def new_loop(seed: int = 0) -> SimLoop:
    return SimLoop(Random(seed))  # type: ignore[abstract]  # what has no use here is missing


def test_a_seed_repeats_itself_in_another_process_under_another_hash_seed() -> None:
    environment = os.environ | {"PYTHONHASHSEED": "77"}
    other = subprocess.run(
        [sys.executable, "-c", _PRINT], env=environment, capture_output=True, text=True, check=True
    )
    assert other.stdout.strip() == fingerprint(Plan(SEED))
    assert fingerprint(Plan(SEED + 1)) != fingerprint(Plan(SEED))


def test_leaving_faults_out_leaves_them_out() -> None:
    assert simulate(Plan(SEED, faults_most=0)).faults.total() == 0
    some = simulate(Plan(SEED, faults_most=10, without=("clock jump",)))
    assert 0 < some.faults.total() <= 10
    assert not some.faults["clock jump"]


def test_hours_pass_in_no_time_and_steps_come_in_an_order_of_the_seed() -> None:
    orders = set()
    for seed in range(20):
        loop, seen = new_loop(seed), list[int]()

        async def step(number: int, seen: list[int] = seen) -> None:
            await asyncio.sleep(3600)
            seen.append(number)

        async def all_steps() -> None:
            await asyncio.gather(*(step(number) for number in range(3)))

        loop.run(all_steps(), 86_400, 1000)
        assert loop.time() == 3600
        orders.add(tuple(seen))
    assert len(orders) > 3


def test_a_run_that_cannot_end_says_so() -> None:
    async def waits_for_nobody() -> None:
        await asyncio.get_running_loop().create_future()

    async def runs_for_ever() -> None:
        while True:  # noqa: ASYNC110
            await asyncio.sleep(1)

    for wanted, seconds, why in (
        (waits_for_nobody(), 10, "nothing is left to do"),
        (runs_for_ever(), 10, "simulated hours"),
        (runs_for_ever(), 10**9, "1000 steps"),
    ):
        loop = new_loop()
        with pytest.raises(Stuck, match=why):
            loop.run(wanted, seconds, 1000)
        loop.end()
