"""What stood when: questions of the past over a ledger of many movements, with the snapshots and without.

The tables are inventory's own, in a database of the bench's, filled by COPY as a year of orders would have
left them: orders of three lines (promised, allocated, issued), receipts where a SKU runs low, and one order
in a hundred followed by a correction that is told up to thirty days late. SKUs are asked for by Zipf's law.
The questions are `services.inventory.store.as_of`'s, as the edge asks them.

`python -m cli.bench.asof MOVEMENTS QUESTIONS` is one round, in a process of its own; it prints JSON.
"""

import asyncio
import sys
import time
from bisect import bisect
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from math import modf
from random import Random
from typing import Any
from uuid import UUID

import orjson
import uvloop

from cli.bench.fed import database_of
from cli.bench.figures import percentile
from libs.events.ids import order_id
from libs.runtime.complaint import Complaint
from libs.runtime.log_sql import LOG_COLUMNS
from libs.runtime.migrate import create_beside, drop
from libs.runtime.postgres_log import open_pool
from libs.runtime.settings import settings
from services.inventory.app import STAGE
from services.inventory.ledger import ROW_TABLES
from services.inventory.past import Asked
from services.inventory.store import as_of, make_snapshots

SKUS = 5_000
NODES = ("LON", "MAN", "GLA")
LINES = 3
RECEIPT_UNITS = 400
CORRECTED_ORDERS = 100
"""One order in so many is followed by a correction that is told late."""
LATE_DAYS_MAX = 30
BEGAN = datetime(2025, 1, 1, tzinfo=UTC)
YEAR = timedelta(days=365)
TENANT = "bench"
Move = tuple[int, str, str, str, int]
"""SKU's number, node, source, target, units."""
PAGE = 50
BARE = "without snapshots: "
POINTS = 31
_ROWS_AT_ONCE = 20_000
_GOLDEN = 0.6180339887498949
_PAYLOAD = orjson.dumps({"order_id": "x" * 36, "movements": ["m" * 110] * LINES, "terms": "t" * 240}).decode()
"""As long as a promise of three lines; no question reads it."""


@dataclass(frozen=True, slots=True)
class AsOf:
    """One round. `questions_ms` are by kind, each in milliseconds, in the order in which they were asked."""

    movements: int
    fill_seconds: float
    snapshots: int
    snapshot_seconds: float
    ledger_bytes: int
    snapshot_bytes: int
    questions_ms: dict[str, list[float]]


async def measure(movements: int, questions: int) -> AsOf:
    """One round in a process of its own."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "cli.bench.asof", str(movements), str(questions)),
        stdout=asyncio.subprocess.PIPE,
    )
    printed, _ = await process.communicate()
    if process.returncode:
        raise Complaint(f"A round of asof ended with {process.returncode}.", "Its error is above.")
    return AsOf(**orjson.loads(printed.splitlines()[-1]))


async def one_round(movements: int, questions: int) -> AsOf:
    """Fill, ask without snapshots, make them, ask."""
    chosen, name = settings(), f"{database_of(STAGE)}_asof"
    create_beside(chosen, name, STAGE.name)
    try:
        pool = await open_pool(chosen.dsn(name), chosen, "bench")
        async with pool, pool.acquire() as connection:
            await connection.execute("SET statement_timeout = 0")
            began = time.perf_counter()
            moved = await _fill(connection, Year(movements))
            await connection.execute("VACUUM ANALYZE", timeout=600)
            filled = time.perf_counter()
            bare = await _ask(connection, max(10, questions // 200), BARE)
            began_snapshots = time.perf_counter()
            while await make_snapshots(connection):
                pass
            made = time.perf_counter()
            await connection.execute("VACUUM ANALYZE ledger_snapshot", timeout=600)
            sizes = {one: await _bytes(connection, one) for one in ("ledger", "ledger_snapshot")}
            return AsOf(
                moved,
                round(filled - began, 3),
                await connection.fetchval("SELECT count(*) FROM ledger_snapshot"),
                round(made - began_snapshots, 3),
                sizes["ledger"],
                sizes["ledger_snapshot"],
                await _ask(connection, questions) | bare,
            )
    finally:
        drop(chosen, name)


@dataclass(slots=True)
class Year:
    """Rows of log and ledger, as orders come; each movement's place counts its SKU's."""

    wanted: int
    moved: int = 0
    rows: dict[str, list[tuple[Any, ...]]] = field(default_factory=dict)
    _events: Counter[int] = field(default_factory=Counter)
    _positions: Counter[int] = field(default_factory=Counter)
    _on_hand: Counter[tuple[int, int]] = field(default_factory=Counter)
    _shelves: list[float] = field(
        default_factory=lambda: list(accumulate(1 / rank for rank in range(1, SKUS + 1)))
    )

    def orders(self) -> Iterator[int]:
        """One order after another, until there are enough movements; its rows are in `rows` by then."""
        number = 0
        while self.moved < self.wanted:
            self._order(number)
            if number % CORRECTED_ORDERS == 0:
                self._correct(number)
            number += 1
            yield number

    def _order(self, number: int) -> None:
        chosen = list(dict.fromkeys(self._sku(number * LINES + line) for line in range(LINES)))
        node, lane, name = number % len(NODES), number % 4, order_id(TENANT, "bench", str(number))
        for sku in chosen:
            if not self._on_hand[sku, node]:
                stream = f"sku/{sku}"
                self._event(lane, stream, [(sku, NODES[node], "supplier", "on_hand", RECEIPT_UNITS)])
                self._on_hand[sku, node] += RECEIPT_UNITS
            self._on_hand[sku, node] -= 1
        at = NODES[node]
        self._event(lane, name, [(sku, "*", "unreserved", "reserved", 1) for sku in chosen])
        gone = [(sku, "*", "reserved", "unreserved", 1) for sku in chosen]
        self._event(lane, name, [*gone, *((sku, at, "on_hand", "allocated", 1) for sku in chosen)])
        self._event(lane, name, [(sku, at, "allocated", "issued", 1) for sku in chosen])

    def _correct(self, number: int) -> None:
        sku, node = self._sku(number * LINES), number % len(NODES)
        late = timedelta(days=modf(number * _GOLDEN)[0] * LATE_DAYS_MAX)
        moves = [(sku, NODES[node], "adjustment", "on_hand", 1)]
        self._event(number % 4, f"sku/{sku}", moves, late)
        self._on_hand[sku, node] += 1

    def _sku(self, place: int) -> int:
        """As `cli.bench.orders.zipf` chooses, of more SKUs."""
        return bisect(self._shelves, modf(place * _GOLDEN)[0] * self._shelves[-1])

    def _event(
        self,
        lane: int,
        stream: str,
        moves: Sequence[tuple[int, str, str, str, int]],
        late: timedelta | None = None,
    ) -> None:
        self._events[lane] += 1
        seq, at = self._events[lane], BEGAN + YEAR * (self.moved / self.wanted)
        id_ = UUID(int=lane << 64 | seq)
        place = (
            lane,
            "decided",
            seq,
            id_,
            TENANT,
            f"{stream}/{lane}/{seq}",
            1,
            "oms.inventory.stock_moved",
            1,
        )
        self.rows.setdefault("log", []).append((*place, _PAYLOAD, "{}", at, at))
        ledger = self.rows.setdefault("ledger", [])
        for sku, node, source, target, quantity in moves:
            self._positions[sku] += 1
            position, name = self._positions[sku], _name(sku)
            ledger.append((TENANT, name, position, node, source, target, quantity, id_, lane, seq, at))
            if late is not None:
                self.rows.setdefault("ledger_stated", []).append((TENANT, name, position, at - late))
        self.moved += len(moves)


def _name(sku: int) -> str:
    return f"SKU-{sku:05}"


async def _fill(connection: Any, year: Year) -> int:
    columns = {"log": LOG_COLUMNS, **ROW_TABLES}
    for _ in year.orders():
        if len(year.rows["ledger"]) < _ROWS_AT_ONCE and year.moved < year.wanted:
            continue
        for table, rows in year.rows.items():
            await connection.copy_records_to_table(table, records=rows, columns=columns[table])
        year.rows.clear()
        year.rows["ledger"] = []
    return year.moved


async def _bytes(connection: Any, table: str) -> int:
    size: int = await connection.fetchval("SELECT pg_total_relation_size($1::regclass)", table)
    return size


async def _ask(connection: Any, questions: int, kind: str = "") -> dict[str, list[float]]:
    """Milliseconds of each question, by kind. Moments are anywhere in the year; of three questions, one is as
    known then, one as known some time later, one as corrected since."""
    dice = Random(7)  # noqa: S311 - the same questions each time
    shelves = list(accumulate(1 / rank for rank in range(1, SKUS + 1)))

    def asked(sku: int) -> Asked:
        at = BEGAN + YEAR * dice.random()
        later = at + (BEGAN + YEAR - at) * dice.random()
        return Asked(_name(sku), at, dice.choice((at, later, None)))

    def as_ordered() -> list[Asked]:
        return [asked(dice.choices(range(SKUS), cum_weights=shelves)[0])]

    def page() -> list[Asked]:
        one, first = asked(0), dice.randrange(SKUS - PAGE)
        return [Asked(_name(first + place), one.at, one.known_at) for place in range(PAGE)]

    def series() -> list[Asked]:
        one, step = asked(dice.choices(range(SKUS), cum_weights=shelves)[0]), timedelta(days=1)
        return [Asked(one.sku, one.at + step * place) for place in range(POINTS)]

    kinds: dict[str, Callable[[], list[Asked]]] = {
        "a SKU as ordered": as_ordered,
        "the hottest SKU": lambda: [asked(0)],
    }
    if not kind:
        kinds |= {f"a page of {PAGE} SKUs": page, f"a series of {POINTS} days": series}
    took: dict[str, list[float]] = {}
    for name, make in kinds.items():
        for _ in range(questions if len(make()) == 1 else max(1, questions // 10)):
            question = make()
            began = time.perf_counter()
            await as_of(connection, TENANT, question)
            took.setdefault(kind + name, []).append(round((time.perf_counter() - began) * 1000, 3))
    return took


def p(found: AsOf, kind: str, share: float) -> float:
    """A percentile of one kind of question, in milliseconds."""
    return percentile(found.questions_ms[kind], share)


if __name__ == "__main__":
    print(orjson.dumps(asdict(uvloop.run(one_round(int(sys.argv[1]), int(sys.argv[2]))))).decode())
