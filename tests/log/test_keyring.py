"""One suite for both keyrings: what is sealed opens, what is erased never does again."""

import asyncio
import base64
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Protocol

import asyncpg
import psycopg
import pytest
import pytest_asyncio

from libs.events.order import Sealed
from libs.runtime.complaint import Complaint
from libs.runtime.keyring import Keyring, MemoryKeyring, PostgresKeyring, Unsealed
from libs.runtime.master_key import read_master_key
from libs.runtime.privacy import KEY_BYTES, PersonalDataRefused, Unopenable, digest

MASTER = b"m" * KEY_BYTES
CACHE_SECONDS = 60.0
MIGRATIONS = Path(__file__).parents[2] / "libs" / "runtime" / "migrations" / "keyring"
ANNA = {"name": "Anna Lindqvist", "address_lines": ["Storgatan 1"], "email": "anna@shop.example"}


class Clock:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


class Processes(Protocol):
    """Makes keyrings over one store: each call is another process."""

    def __call__(self, *, master: bytes = MASTER, cache_size: int = 100) -> Keyring: ...


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session")
def keyring_dsn(postgres_dsn: Callable[[], str]) -> str:
    dsn = postgres_dsn()
    with psycopg.connect(dsn, autocommit=True) as connection:
        for file in sorted(MIGRATIONS.glob("*.sql")):
            connection.execute(file.read_bytes())
    return dsn


@pytest_asyncio.fixture(params=["memory", "postgres"])
async def processes(request: pytest.FixtureRequest, clock: Clock) -> AsyncIterator[Processes]:
    if request.param == "memory":
        store = MemoryKeyring(MASTER)

        def in_memory(*, master: bytes = MASTER, cache_size: int = 100) -> Keyring:
            return MemoryKeyring(master, CACHE_SECONDS, cache_size, clock, shared=store)

        yield in_memory
        return
    async with asyncpg.create_pool(request.getfixturevalue("keyring_dsn"), min_size=0, max_size=8) as pool:
        await pool.execute("TRUNCATE subject_keys, erasures")

        def in_postgres(*, master: bytes = MASTER, cache_size: int = 100) -> Keyring:
            return PostgresKeyring(pool, master, CACHE_SECONDS, cache_size, clock)

        yield in_postgres


@pytest.fixture
def keyring(processes: Processes) -> Keyring:
    return processes()


async def anna(keyring: Keyring, order_id: str = "O-1", tenant: str = "shop") -> Sealed:
    return await keyring.seal(tenant, "c:17", order_id, ANNA)


async def test_any_process_opens_what_one_sealed(processes: Processes) -> None:
    sealed = await anna(processes())
    assert await processes().open("shop", "O-1", sealed) == ANNA


async def test_the_same_submission_seals_to_the_same_bytes_in_any_process(processes: Processes) -> None:
    assert await anna(processes()) == await anna(processes())


async def test_many_are_sealed_in_order_each_under_its_own_subject(keyring: Keyring) -> None:
    requests = [Unsealed(f"c:{n % 7}", f"O-{n}", {"name": f"Customer {n}"}) for n in range(20)]
    sealed = await keyring.seal_many("shop", requests)
    assert [seal.subject for seal in sealed] == [request.subject for request in requests]
    opened = [
        await keyring.open("shop", request.order_id, seal)
        for request, seal in zip(requests, sealed, strict=True)
    ]
    assert opened == [request.personal for request in requests]
    assert await keyring.seal_many("shop", []) == []


async def test_one_that_cannot_be_sealed_leaves_no_key_behind(keyring: Keyring) -> None:
    requests = [Unsealed("c:1", "O-1", ANNA), Unsealed("c:2", "O-2", {"shoe_size": "41"})]
    with pytest.raises(PersonalDataRefused, match="shoe_size"):
        await keyring.seal_many("shop", requests)
    assert await keyring.erase("shop", "c:1", "dpo") == 0


async def test_processes_that_meet_a_new_subject_at_once_agree_on_one_key(processes: Processes) -> None:
    many = [processes() for _ in range(8)]
    requests = [Unsealed(f"c:{n}", "O-1", ANNA) for n in range(30)]
    # Half of them ask in the opposite order.
    batches = await asyncio.gather(
        *(ring.seal_many("shop", requests[:: 1 if n % 2 else -1]) for n, ring in enumerate(many))
    )
    first = {seal.subject: seal for seal in batches[0]}
    assert all({seal.subject: seal for seal in batch} == first for batch in batches)
    assert {seal.generation for seal in first.values()} == {1}


async def test_erased_is_unreadable_and_its_digest_still_matches(processes: Processes) -> None:
    keyring = processes()
    sealed = await anna(keyring)
    before = digest(sealed)
    assert await keyring.erase("shop", "c:17", "dpo@shop.example") == 1
    assert await keyring.open("shop", "O-1", sealed) is None
    assert await processes().open("shop", "O-1", sealed) is None
    assert digest(sealed) == before


async def test_another_process_forgets_an_erased_key_when_its_cache_expires(
    processes: Processes, clock: Clock
) -> None:
    here, there = processes(), processes()
    sealed = await anna(here)
    assert await there.open("shop", "O-1", sealed) == ANNA
    await here.erase("shop", "c:17", "dpo")
    clock.seconds += CACHE_SECONDS - 1
    assert await there.open("shop", "O-1", sealed) == ANNA
    clock.seconds += 1
    assert await there.open("shop", "O-1", sealed) is None


async def test_nothing_is_sealed_under_a_key_that_another_process_destroyed(processes: Processes) -> None:
    here, there = processes(), processes()
    await anna(there)
    await here.erase("shop", "c:17", "dpo")
    later = await anna(there, "O-2")
    assert later.generation == 2
    assert await processes().open("shop", "O-2", later) == ANNA


async def test_each_erasure_is_followed_by_a_new_generation_and_destroys_only_the_living(
    keyring: Keyring,
) -> None:
    for generation in (1, 2, 3):
        assert (await anna(keyring)).generation == generation
        assert await keyring.erase("shop", "c:17", f"dpo-{generation}") == 1
    assert await keyring.erase("shop", "c:17", "dpo-4") == 0
    rows = await keyring.erasures("shop", "c:17")
    assert [(row.actor, row.generations) for row in rows] == [
        ("dpo-1", (1,)),
        ("dpo-2", (2,)),
        ("dpo-3", (3,)),
        ("dpo-4", ()),
    ]


async def test_erasing_a_subject_of_one_tenant_leaves_its_namesake_and_neighbour(
    processes: Processes,
) -> None:
    keyring = processes()
    namesake = await anna(keyring, tenant="other")
    neighbour = await keyring.seal("shop", "c:18", "O-1", ANNA)
    await anna(keyring)
    await keyring.erase("shop", "c:17", "dpo")
    for ring in (keyring, processes()):  # the second one has nothing in its cache
        assert await ring.open("other", "O-1", namesake) == ANNA
        assert await ring.open("shop", "O-1", neighbour) == ANNA


async def test_a_seal_moved_to_another_order_or_keyring_does_not_open(processes: Processes) -> None:
    keyring = processes()
    sealed = await anna(keyring)
    with pytest.raises(Unopenable):
        await keyring.open("shop", "O-2", sealed)
    with pytest.raises(Unopenable, match="no generation 1"):
        await keyring.open("other", "O-1", sealed)
    with pytest.raises(Unopenable, match="master key"):
        await processes(master=b"n" * KEY_BYTES).open("shop", "O-1", sealed)


async def test_the_cache_stays_within_its_bound(processes: Processes) -> None:
    keyring = processes(cache_size=3)
    sealed = [await keyring.seal("shop", f"c:{n}", "O-1", ANNA) for n in range(10)]
    assert len(keyring._cache) == 3
    assert [await keyring.open("shop", "O-1", seal) for seal in sealed] == [ANNA] * 10
    assert len(keyring._cache) == 3


async def test_a_destroyed_key_is_overwritten_and_its_audit_row_dated(
    keyring_dsn: str, postgres_dsn: Callable[[], str]
) -> None:
    async with asyncpg.create_pool(keyring_dsn, min_size=0) as pool:
        keyring = PostgresKeyring(pool, MASTER, CACHE_SECONDS)
        await keyring.seal("audited", "c:17", "O-1", ANNA)
        await keyring.erase("audited", "c:17", "dpo")
        row = await pool.fetchrow("SELECT * FROM subject_keys WHERE tenant = 'audited'")
        assert row is not None
        assert row["wrapped"] is None
        assert row["destroyed_at"] is not None
        (erasure,) = await keyring.erasures("audited", "c:17")
        assert erasure.erased_at == row["destroyed_at"]


async def test_erasing_while_others_seal_never_loses_what_was_sealed_after(processes: Processes) -> None:
    here, *others = [processes() for _ in range(6)]

    async def erase_often() -> None:
        for _ in range(10):
            await here.erase("shop", "c:17", "dpo")

    await asyncio.gather(erase_often(), *(anna(ring, f"O-{n}") for n, ring in enumerate(others)))
    after = await anna(others[0], "O-9")
    assert await here.open("shop", "O-9", after) == ANNA


def test_the_master_key_file(tmp_path: Path) -> None:
    file = tmp_path / "master.key"
    with pytest.raises(Complaint, match="cannot be read"):
        read_master_key(file)
    file.write_bytes(base64.b64encode(MASTER) + b"\n")
    file.chmod(0o640)
    assert read_master_key(file) == MASTER
    file.chmod(0o644)
    with pytest.raises(Complaint, match=r"open to every user.*0644.*chmod 600"):
        read_master_key(file)
    file.chmod(0o600)
    for content in (b"", b"not base64!", base64.b64encode(MASTER[:31])):
        file.write_bytes(content)
        with pytest.raises(Complaint, match="32 random bytes"):
            read_master_key(file)
