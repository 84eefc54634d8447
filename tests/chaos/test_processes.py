"""Processes that are killed, stand still, fight for a partition, come and go."""

import asyncio
import os
import random
import signal

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.coordinator.assignors.range import RangePartitionAssignor

from libs.runtime.settings import STAGES, settings
from services.inventory.app import STAGE
from tests.chaos.conftest import LANES, Case
from tests.chaos.postgres_proxy import ONE_CALL, Decide, Fate, Link, Proxy, let_pass
from tests.chaos.processes import Child, Processes
from tests.chaos.shop import Lines, Shop, eventually

pytestmark = pytest.mark.chaos
STOCK = {"TEA": 10_000, "MUG": 10_000, "RARE": 25}


def lines_of(number: int) -> Lines:
    """Mostly what there is plenty of; each third order wants what there is too little of."""
    return [("TEA", 1), ("MUG", 2)] if number % 3 else [("RARE", 1), ("TEA", 1)]


async def orders_more(shop: Shop, count: int) -> None:
    """Wait until so many more orders were submitted."""
    wanted = len(shop.orders) + count
    await eventually(lambda: len(shop.orders) >= wanted, "orders go on")


async def killed_thrice(
    shop: Shop, processes: Processes, proxy: Proxy, decide: Decide, children: list[Child]
) -> None:
    """Run inventory behind the proxy while orders go on until `decide` has killed it; then again, and again.
    `children` are told of each that is started. In the end it runs as ever."""
    await processes.stop("inventory")
    try:
        async with shop.ordering(lines_of, per_second=20):
            for _ in range(3):
                proxy.decide = let_pass
                children.append(await processes.start("inventory", proxy.port))
                proxy.decide = decide
                await eventually(lambda: children[-1].process.poll() is not None, "it is killed")
    finally:
        proxy.decide = let_pass
        await processes.up()


async def test_01_a_stage_is_killed_at_random_points(case: Case, processes: Processes) -> None:
    """kill -9 of a stage at random points"""
    dice = random.Random(1)
    stages = dice.sample(STAGES, len(STAGES))
    async with case.shop(STOCK) as shop, shop.ordering(lines_of):
        for pair in (stages[:2], stages[2:4], stages[4:]):
            for stage in pair:
                await orders_more(shop, dice.randrange(5, 60))
                processes.kill(stage)
                case.fault()
            await processes.up()


async def test_02_killed_between_the_database_s_commit_and_kafka_s(
    case: Case, processes: Processes, proxy: Proxy
) -> None:
    """kill -9 between database commit and Kafka commit"""
    children: list[Child] = []

    async def at_commit(link: Link, statement: str) -> Fate:
        return Fate.UNANSWERED if link.commits_batch(statement) else Fate.PASS

    def kill() -> None:
        if children[-1].process.poll() is None:
            os.kill(children[-1].process.pid, signal.SIGKILL)
            case.fault()

    proxy.on_answer = kill
    async with case.shop(STOCK) as shop:
        await killed_thrice(shop, processes, proxy, at_commit, children)


async def test_03_a_batch_that_stood_still_commits_nothing(
    case: Case, processes: Processes, proxy: Proxy
) -> None:
    """SIGSTOP past the session time-out, then SIGCONT: the stale batch commits nothing"""
    children: list[Child] = []
    stale: list[Link] = []
    woken = asyncio.Event()

    async def stand_still(link: Link, statement: str) -> Fate:
        if children and not stale and ONE_CALL in statement:
            stale.append(link)
            os.kill(children[0].process.pid, signal.SIGSTOP)
            await woken.wait()
        return Fate.PASS

    proxy.decide = stand_still
    async with case.shop(STOCK) as shop, processes.child("inventory", proxy.port) as child:
        await processes.owns("inventory", LANES // 2)
        children.append(child)
        async with shop.ordering(lines_of):
            await eventually(lambda: stale, "a batch is in hand")
            case.fault()
            await processes.owns("inventory", LANES)
            await orders_more(shop, 40)
        await shop.served()
        case.recovered()
        os.kill(child.process.pid, signal.SIGCONT)
        woken.set()
        await eventually(lambda: stale[0].fenced, "the stale batch is refused")


async def test_04_two_consumers_on_one_partition(case: Case, processes: Processes) -> None:
    """two consumers forced onto one partition"""
    rival = "tests.chaos.another_group"
    async with case.shop(STOCK) as shop:
        async with (
            processes.child("inventory", settings().postgres_port, rival) as child,
            shop.ordering(lines_of),
        ):
            case.fault(LANES)
            await orders_more(shop, 200)
            await eventually(lambda: child.has_logged("claiming again"), "they take lanes from each other")
        await processes.owns("inventory", LANES)


async def test_05_a_rebalance_storm(case: Case, processes: Processes) -> None:
    """a rebalance storm, join and leave each second"""
    async with case.shop(STOCK) as shop, shop.ordering(lines_of):
        for _ in range(12):
            guest = AIOKafkaConsumer(
                *STAGE.topics,
                bootstrap_servers=settings().kafka,
                group_id="orderlog.inventory",
                enable_auto_commit=False,
                partition_assignment_strategy=(RangePartitionAssignor,),
            )
            await guest.start()
            await eventually(guest.assignment, "it has partitions")
            case.fault()
            await orders_more(shop, 15)
            await guest.stop()
            case.fault()
            await orders_more(shop, 15)
