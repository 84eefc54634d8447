"""Histories of stock with both of their times, written into inventory's tables as the stage would have.

And the answer that needs no table: every movement read again, those summed that were true and known in time.
"""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import asyncpg

from libs.events.catalogue import encode
from libs.events.contract import Contract, Event
from libs.events.envelope import Envelope
from libs.events.inventory import SOURCES, AdjustStock, ReceiveStock
from libs.runtime import log_sql
from services.inventory import ledger
from services.inventory.past import Asked
from services.inventory.stock import AnyMovement
from tests.unit.inventory_world import Logged, World


@dataclass
class History(World):
    """A world that notes when each movement was recorded, by the clock of its lane's process."""

    clocks: dict[int, timedelta] = field(default_factory=dict)
    """By lane, how far its process's clock is ahead."""
    moved: list[tuple[AnyMovement, datetime, datetime | None]] = field(default_factory=list)
    """Each movement, when it was recorded, and when it says that it was true."""
    outs: list[Envelope[Event]] = field(default_factory=list)

    def tell(self, body: Contract, at: datetime, effective_at: datetime | None = None) -> list[Event]:
        """An input at a moment, and when it says that it was true."""
        self.now = at - timedelta(seconds=1)  # an input is a second after the last one
        if isinstance(body, ReceiveStock | AdjustStock):
            body = body.model_copy(update={"effective_at": effective_at})
        return self.take(body)

    def recorded_at(self, lane: int) -> datetime:
        return self.now + self.clocks.get(lane, timedelta(0))

    def _record(self, out: Envelope[Event]) -> None:
        super()._record(out)
        row = self.log[-1]
        self.moved += [
            (move, row.recorded_at, ledger.stated(out.body)) for move in ledger.movements(out.body)
        ]
        self.outs.append(out)

    def units(self, asked: Asked) -> dict[tuple[str, str], int]:
        """By node and bucket, from every movement of the SKU."""
        sums, known = Counter[tuple[str, str]](), None
        for move, recorded_at, stated in self.moved:
            if move.sku != asked.sku:
                continue
            known = recorded_at if known is None else max(known, recorded_at)
            effective = known if stated is None else min(known, stated)
            if effective <= asked.at and (asked.known_at is None or known <= asked.known_at):
                sums[move.node, move.source] -= move.quantity
                sums[move.node, move.target] += move.quantity
        return {place: quantity for place, quantity in sums.items() if quantity}

    async def write(self, pool: asyncpg.Pool, tenant: str) -> None:
        """All of it, as a tenant's, behind what the log has."""
        ends = await pool.fetch("SELECT lane, max(seq) AS seq FROM log GROUP BY lane")
        taken = {row["lane"]: row["seq"] for row in ends}
        rows: list[tuple[Any, ...]] = []
        tables: dict[str, list[tuple[Any, ...]]] = {}
        for number, (row, out) in enumerate(zip(self.log, self.outs, strict=True), 1):
            seq = taken.get(row.lane, 0) + row.seq
            rows.append(_log_row(row, out, tenant, seq, number))
            placed = Envelope(**{**_fields(out), "tenant": tenant, "lane": row.lane, "sequence": seq})
            for table, values in ledger.ledger_rows(placed):
                tables.setdefault(table, []).append(values)
        balance = [
            (tenant, *place, quantity) for place, quantity in self.balance.items() if place[2] not in SOURCES
        ]
        async with pool.acquire() as connection, connection.transaction():
            await connection.copy_records_to_table("log", records=rows, columns=log_sql.LOG_COLUMNS)
            for table, records in tables.items():
                await connection.copy_records_to_table(
                    table, records=records, columns=ledger.ROW_TABLES[table]
                )
            await connection.copy_records_to_table("balance", records=balance)


def _log_row(row: Logged, out: Envelope[Event], tenant: str, seq: int, number: int) -> tuple[Any, ...]:
    place = (row.lane, "decided", seq, out.id, tenant, out.stream, number, row.type, row.version)
    return (*place, encode(out.body).decode(), "{}", out.at, row.recorded_at)


def _fields(out: Envelope[Event]) -> dict[str, Any]:
    return {name: getattr(out, name) for name in Envelope.__dataclass_fields__}
