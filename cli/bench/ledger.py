"""The ledger: inventory's reservation write path beside COPY of the rows that it leaves.

The path is the real one, from accepted orders as they stand on intake's topic to the commit of the batch:
read, lock, decide, write; fed from memory, so that Kafka has no part in it. The COPY writes the same rows,
into tables with the same keys and checks, in as many transactions, each with the offset's compare-and-swap.

`python -m cli.bench.ledger ORDERS CHOICE` is one round, in a process of its own; it prints JSON.
"""

import asyncio
import sys
import time
from dataclasses import asdict, dataclass

import asyncpg
import orjson
import uvloop

from cli.bench.drive import stock, tenant_name
from cli.bench.fed import FedStage, database_of, own_log, send
from cli.bench.orders import CHOICES, order
from libs.events.inventory import StockReserved
from libs.runtime.complaint import Complaint
from libs.runtime.memory_broker import MemoryBroker
from libs.runtime.memory_log import MemoryLog
from libs.runtime.serve import collect_seldom
from libs.runtime.settings import Settings, settings
from services.intake.app import STAGE as INTAKE
from services.inventory.app import STAGE as INVENTORY

_ROWS = {
    "log": "SELECT log.* FROM log WHERE type = $1 ORDER BY recorded_at, lane, seq",
    "ledger": "SELECT ledger.* FROM ledger JOIN log USING (event_id) WHERE type = $1"
    " ORDER BY log.recorded_at",
    "part": "SELECT part.* FROM part JOIN log ON key = log.tenant || '/' || log.stream WHERE type = $1"
    " ORDER BY log.recorded_at",
}
"""What a reservation leaves: its event, its movements, its order's state. Sums of SKUs are only changed."""


@dataclass(frozen=True, slots=True)
class Ledger:
    """One round: seconds of the reservations and of the COPY, and what was written."""

    orders: int
    batches: int
    rows: int
    seconds: float
    copy_seconds: float

    @property
    def ratio(self) -> float:
        """How much of COPY's rate the whole path reaches."""
        return self.copy_seconds / self.seconds


async def measure(orders: int, choice: str) -> Ledger:
    """One round in a process of its own."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "cli.bench.ledger", str(orders), choice, stdout=asyncio.subprocess.PIPE
    )
    printed, _ = await process.communicate()
    if process.returncode:
        raise Complaint(f"A round of {choice} ended with {process.returncode}.", "Its error is above.")
    return Ledger(**orjson.loads(printed.splitlines()[-1]))


async def one_round(orders: int, choice: str) -> Ledger:
    """Reserve for orders of that choice of SKUs, then COPY the same rows."""
    chosen, tenant = settings(), tenant_name()
    broker = MemoryBroker(chosen.partitions)
    async with own_log(chosen, INVENTORY) as log:
        inventory = FedStage(INVENTORY, log, broker, chosen)
        await inventory.join()
        for commands in stock(orders * 3)[1:]:
            await send(broker, chosen, tenant, "inventory", commands)
        await inventory.work_off()
        await _accept(broker, chosen, tenant, orders, choice)
        began, batches = time.perf_counter(), 0
        while await inventory.poll():
            batches += 1
        seconds = time.perf_counter() - began
        return await _copied(chosen, orders, batches, seconds)


async def _accept(broker: MemoryBroker, chosen: Settings, tenant: str, orders: int, choice: str) -> None:
    """Have intake accept them, on a log in memory."""
    intake = FedStage(INTAKE, MemoryLog(), broker, chosen)
    await intake.join()
    commands = [order(tenant, number, CHOICES[choice]) for number in range(orders)]
    await send(broker, chosen, tenant, "intake", commands)
    await intake.work_off()


async def _copied(chosen: Settings, orders: int, batches: int, seconds: float) -> Ledger:
    connection = await asyncpg.connect(chosen.dsn(database_of(INVENTORY)))
    try:
        rows = {
            table: [tuple(row) for row in await connection.fetch(query, StockReserved.TYPE)]
            for table, query in _ROWS.items()
        }
        assert len(rows["log"]) == orders, f"{len(rows['log'])} of {orders} were reserved"
        for table in (*rows, "consumed"):
            await connection.execute(f"CREATE TABLE copied_{table} (LIKE {table} INCLUDING ALL)")
        await connection.execute("INSERT INTO copied_consumed VALUES ('bench', 0, 0)")
        began = time.perf_counter()
        for batch in range(batches):
            async with connection.transaction():
                swapped = await connection.execute(
                    "UPDATE copied_consumed SET next_offset = $1 WHERE topic = 'bench' AND next_offset = $2",
                    batch + 1,
                    batch,
                )
                assert swapped == "UPDATE 1"
                for table, all_of_it in rows.items():
                    first, end = (len(all_of_it) * n // batches for n in (batch, batch + 1))
                    mine = all_of_it[first:end]
                    await connection.copy_records_to_table(f"copied_{table}", records=mine)
        copy_seconds = time.perf_counter() - began
    finally:
        await connection.close()
    written = sum(map(len, rows.values()))
    return Ledger(orders, batches, written, round(seconds, 4), round(copy_seconds, 4))


if __name__ == "__main__":
    collect_seldom()
    found = uvloop.run(one_round(int(sys.argv[1]), sys.argv[2]))
    print(orjson.dumps(asdict(found)).decode())
