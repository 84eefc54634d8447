"""What the log says in the order in which things were true, where something was told late.

For `orderlog prove no-oversell`. In the order in which entries became known no bucket falls below zero and
no more is promised than there is: services/inventory/proof.py proves that, and with it every answer about a
moment as was known by then. An entry that is told late was not known when units were promised in between. In
the order of what was true those promises may be of units that were not there, and a bucket may be below zero:
nobody did wrong, and nothing of it is hidden. It is listed here.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from typing import Protocol

from libs.events.catalogue import decode
from libs.events.contract import Event
from libs.events.inventory import SOURCES
from services.inventory.ledger import PROMISED, movements, stated
from services.inventory.proof_rows import LogRow
from services.inventory.stock import AnyMovement

PROMISES = "promised"
"""Stands where a bucket's name stands, when more is promised than is on hand."""


class TimedRow(LogRow, Protocol):
    """A row that also says when it was recorded."""

    @property
    def recorded_at(self) -> datetime: ...


@dataclass(frozen=True, slots=True)
class Finding:
    """A while in which, as was told later, units were not there: `units` of them at its worst.

    `lane`, `seq`, `event_id` and `type` are of the event that it begins with; `told_by` is the event that
    told late, and `told_at` when. `until` none: it lasts.
    """

    tenant: str
    sku: str
    node: str
    bucket: str
    units: int
    since: datetime
    until: datetime | None
    lane: int
    seq: int
    event_id: str
    type: str
    told_by: str
    told_at: datetime


@dataclass(frozen=True, slots=True)
class _Entry:
    """One movement with its two times."""

    move: AnyMovement
    row: TimedRow
    known: datetime
    effective: datetime


@dataclass(slots=True)
class _Open:
    """A while that goes on."""

    began: _Entry
    told: _Entry
    units: int


@dataclass(slots=True)
class _Balances:
    """A SKU's units in the order of what was true."""

    buckets: dict[tuple[str, str], int] = field(default_factory=dict)

    def post(self, move: AnyMovement) -> None:
        for bucket, delta in ((move.source, -move.quantity), (move.target, move.quantity)):
            place = (move.node, bucket)
            self.buckets[place] = self.buckets.get(place, 0) + delta

    def lacking(self) -> dict[tuple[str, str], int]:
        """By node and bucket, or promises, the units that are not there."""
        lacks, sums = {}, [0, 0]
        for (node, bucket), quantity in self.buckets.items():
            if quantity < 0 and bucket not in SOURCES:
                lacks[node, bucket] = -quantity
            if bucket in PROMISED:
                sums[PROMISED[bucket]] += quantity
        if sums[1] > sums[0]:
            lacks["*", PROMISES] = sums[1] - sums[0]
        return lacks


def look(rows: Iterable[TimedRow], skus: Collection[tuple[str, str]]) -> list[Finding]:
    """What shows in hindsight of these SKUs, each as (tenant, SKU): those that have entries told late.

    The log must hold (`proof.prove`). All movements of these SKUs are kept in memory meanwhile.
    """
    moved: dict[tuple[str, str], list[tuple[AnyMovement, TimedRow, datetime | None]]] = {}
    for row in rows:
        event = decode(row.type, row.version, row.payload)
        if not isinstance(event, Event):
            continue
        for move in movements(event):
            if (row.tenant, move.sku) in skus:
                moved.setdefault((row.tenant, move.sku), []).append((move, row, stated(event)))
    return [found for key in sorted(moved) for found in _of_sku(*key, _timed(moved[key]))]


def _timed(moved: list[tuple[AnyMovement, TimedRow, datetime | None]]) -> list[_Entry]:
    """A SKU's entries with both times, in the order of what was true."""
    entries, known = list[_Entry](), None
    for move, row, effective in sorted(moved, key=lambda one: one[0].position):
        known = row.recorded_at if known is None else max(known, row.recorded_at)
        entries.append(_Entry(move, row, known, known if effective is None else min(known, effective)))
    return sorted(entries, key=lambda entry: (entry.effective, entry.move.position))


def _of_sku(tenant: str, sku: str, entries: list[_Entry]) -> list[Finding]:
    """Each while in which something is not there, in the order of their beginnings."""
    balances, told = _Balances(), None
    going_on: dict[tuple[str, str], _Open] = {}
    ended: list[tuple[tuple[str, str], _Open, datetime | None]] = []
    for moment, same in groupby(entries, key=lambda entry: entry.effective):
        last = None
        for last in same:
            balances.post(last.move)
            if last.effective < last.known and (told is None or last.known >= told.known):
                told = last
        lacks = balances.lacking()
        over = [place for place in going_on if place not in lacks]
        ended += [(place, going_on.pop(place), moment) for place in over]
        for place, units in lacks.items():
            assert last is not None
            assert told is not None, f"{sku} lacks units that nothing was told late of"
            found = going_on.setdefault(place, _Open(last, told, units))
            found.units = max(found.units, units)
    ended += [(place, found, None) for place, found in going_on.items()]
    return [
        Finding(
            tenant,
            sku,
            *place,
            found.units,
            found.began.effective,
            until,
            found.began.row.lane,
            found.began.row.seq,
            str(found.began.row.event_id),
            found.began.row.type,
            str(found.told.row.event_id),
            found.told.known,
        )
        for place, found, until in sorted(ended, key=lambda one: one[1].began.effective)
    ]
