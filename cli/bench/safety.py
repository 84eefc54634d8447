"""The price of safety: the four stages of the lifecycle in one process, with and without what protects them.

    plain      as shipped, orders without a contact
    no asserts the interpreter's -O: no `assert` is run
    no checks  CHECK constraints and append-only triggers dropped from the stages' databases
    sealed     orders with a contact, sealed at the edge under a key of their own in the keyring, and carried

`python [-O] -m cli.bench.safety ORDERS KIND` is one round; it prints processor time an order as JSON.
"""

import asyncio
import sys
from contextlib import AsyncExitStack
from urllib.parse import urlsplit

import asyncpg
import orjson
import psutil
import uvloop

from cli.bench.drive import stock, tenant_name
from cli.bench.fed import FedStage, database_of, own_log, send
from cli.bench.orders import id_of, order
from cli.bench.processor import session_seconds
from libs.events.contract import Command
from libs.events.fulfillment import FulfillmentReleased
from libs.events.ids import subject_of
from libs.runtime.complaint import Complaint
from libs.runtime.keyring import Keyring, Unsealed, open_keyring
from libs.runtime.memory_broker import MemoryBroker
from libs.runtime.serve import collect_seldom
from libs.runtime.settings import Settings, settings
from services.fulfillment.app import STAGE as FULFILLMENT
from services.intake.app import STAGE as INTAKE
from services.inventory.app import STAGE as INVENTORY
from services.routing.app import STAGE as ROUTING

_STAGES = (INTAKE, INVENTORY, ROUTING, FULFILLMENT)
_EDGE_BATCH = 100
KINDS = ("plain", "no asserts", "no checks", "sealed")
_UNPROTECT = """
    DO $$ DECLARE found record; BEGIN
        FOR found IN SELECT conrelid::regclass AS place, conname FROM pg_constraint
                     WHERE contype = 'c' AND connamespace = 'public'::regnamespace LOOP
            EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', found.place, found.conname);
        END LOOP;
        FOR found IN SELECT tgrelid::regclass AS place, tgname FROM pg_trigger WHERE NOT tgisinternal LOOP
            EXECUTE format('DROP TRIGGER %I ON %s', found.tgname, found.place);
        END LOOP;
    END $$"""


async def measure(orders: int, kind: str) -> float:
    """Microseconds of processor an order, this side and the database's, in a process of its own."""
    optimised = ("-O",) if kind == "no asserts" else ()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *optimised,
        "-m",
        "cli.bench.safety",
        str(orders),
        kind,
        stdout=asyncio.subprocess.PIPE,
    )
    printed, _ = await process.communicate()
    if process.returncode:
        raise Complaint(f"A round of {kind} ended with {process.returncode}.", "Its error is above.")
    return float(orjson.loads(printed.splitlines()[-1])["micros"])


async def one_round(orders: int, kind: str) -> float:
    """From the making of the commands until fulfillment has released them."""
    chosen, tenant = settings(), tenant_name()
    broker = MemoryBroker(chosen.partitions)
    async with AsyncExitStack() as stack:
        stages = []
        for stage in _STAGES:
            log = await stack.enter_async_context(own_log(chosen, stage))
            if kind == "no checks":
                await _unprotect(chosen, database_of(stage))
            stages.append(FedStage(stage, log, broker, chosen))
        keyring = await stack.enter_async_context(open_keyring(chosen))
        for fed in stages:
            await fed.join()
        nodes, receipts = stock(orders)
        await send(broker, chosen, tenant, "routing", nodes)
        await send(broker, chosen, tenant, "inventory", receipts)
        await _settle(stages)
        before = _spent(chosen)
        for start in range(0, orders, _EDGE_BATCH):
            numbers = range(start, min(start + _EDGE_BATCH, orders))
            made = await _orders(keyring, tenant, numbers, sealed=kind == "sealed")
            await send(broker, chosen, tenant, "intake", made)
        await _settle(stages)
        micros = (_spent(chosen) - before) / orders * 1e6
        released = [record for record in broker.all(FULFILLMENT.topic) if _is_release(dict(record.headers))]
        if len(released) != orders:
            raise RuntimeError(f"{len(released)} of {orders} were released")
        return micros


async def _orders(keyring: Keyring, tenant: str, numbers: range, *, sealed: bool) -> list[Command]:
    """Orders as the edge makes them: each customer a key, and all in one round trip to the keyring."""
    if not sealed:
        return [order(tenant, number) for number in numbers]
    ids = [id_of(tenant, number) for number in numbers]
    contacts = await keyring.seal_many(
        tenant,
        [Unsealed(subject_of(id_, None), id_, _personal(n)) for n, id_ in zip(numbers, ids, strict=True)],
    )
    return [order(tenant, n, contact=contact) for n, contact in zip(numbers, contacts, strict=True)]


def _personal(number: int) -> dict[str, object]:
    return {
        "name": f"Customer {number}",
        "address_lines": [f"{number} High Street"],
        "city": "London",
        "postcode": "EC1A 1BB",
        "email": f"customer-{number}@mail.example",
    }


async def _settle(stages: list[FedStage]) -> None:
    while sum([await fed.work_off() for fed in stages]):
        pass


async def _unprotect(chosen: Settings, database: str) -> None:
    connection = await asyncpg.connect(chosen.dsn(database))
    await connection.execute(_UNPROTECT)
    await connection.close()


def _is_release(headers: dict[str, bytes]) -> bool:
    return headers["ce_type"] == FulfillmentReleased.TYPE.encode()


def _spent(chosen: Settings) -> float:
    """Processor seconds of this process, and of PostgreSQL's sessions for it, so far."""
    mine = psutil.Process().cpu_times()
    databases = [*(database_of(stage) for stage in _STAGES), "keyring"]
    sessions = [urlsplit(chosen.dsn(name)).path.removeprefix("/") for name in databases]
    return float(mine.user + mine.system) + session_seconds(sessions)


if __name__ == "__main__":
    collect_seldom()
    print(orjson.dumps({"micros": uvloop.run(one_round(int(sys.argv[1]), sys.argv[2]))}).decode())
