"""`orderlog prove`: what holds, shown from the logs alone."""

import heapq
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import orjson
import typer

from cli import prove_log
from cli.client import checked_tenant
from cli.output import JsonOption, bar, console, emit, table
from cli.text import add_row, count, tell
from libs.runtime.complaint import Complaint
from libs.runtime.settings import settings

if TYPE_CHECKING:  # the contracts take their time to import
    import psycopg

    from services.inventory.proof import Proof

app = typer.Typer(no_args_is_help=True, help="Prove what holds, from the logs alone.")

EVERY_TENANT = "all"
ROWS_AT_ONCE = 2000
HINDSIGHT_SHOWN_MAX = 10
_COLUMNS = "lane, seq, event_id, tenant, type, version, payload::text, recorded_at"


@dataclass(frozen=True, slots=True)
class ProofRow:
    """A published row of inventory's log (`services.inventory.proof.LogRow`)."""

    lane: int
    seq: int
    event_id: UUID
    tenant: str
    type: str
    version: int
    payload: bytes
    recorded_at: datetime


@app.command("no-oversell")
def no_oversell(
    tenant: Annotated[
        str, typer.Option("--tenant", envvar="ORDERLOG_TENANT", help="Whose stock; `all` is everybody's.")
    ] = EVERY_TENANT,
    file: Annotated[
        Path | None, typer.Option("--file", help="An exported log, instead of the database.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Walk inventory's log alone: up to where nothing was oversold, or the first event that breaks it.

    No table, snapshot or counter is believed: all stock is computed again from the movements in the log.
    With --file nothing but that file is needed; its hash chains are computed first. Ends with 1 when it
    does not hold. Where something was told late, what shows in hindsight is listed: it was not oversold.

    Example: orderlog prove no-oversell --json
    """
    only = None if tenant == EVERY_TENANT else checked_tenant(tenant)
    with bar() as bars:
        task = bars.add_task("walking inventory's log", total=None)

        def progress(done: int, total: int | None) -> None:
            bars.update(task, completed=done, total=total)

        if file is None:
            proof = prove_database(settings().dsn("inventory"), only, progress)
        else:
            proof = prove_file(file, only, progress)
    _tell(proof, tenant)
    if json:
        found = asdict(proof)
        del found["told_late"]
        emit({"ok": proof.holds, "tenant": tenant, **found})
    if not proof.holds:
        raise typer.Exit(1)


def register(parent: typer.Typer) -> None:
    """Add `prove` to the command line."""
    prove_log.register(app)
    parent.add_typer(app, name="prove")


def prove_file(
    path: Path, only: str | None, progress: Callable[[int, int | None], None] = lambda done, total: None
) -> "Proof":
    """Prove an exported log alone. Complaint: it is not inventory's, or its chains do not hold."""
    from libs.runtime.log_file import LogFile
    from services.inventory.proof import RowsTooFarApart

    file = LogFile(path)
    if file.stage != "inventory":
        raise Complaint(
            f"{path} is the log of {file.stage}.", "Export inventory's: orderlog log export inventory FILE"
        )
    audit = prove_log.audit_file(file)
    if not audit.holds:
        raise Complaint(
            f"{path} is not what was exported: {prove_log.told(audit.partings[0])}.",
            f"Every place where it parts: orderlog prove log --file {path}",
        )

    def rows() -> Iterator[ProofRow]:
        for done, found in enumerate(file, 1):
            if done % ROWS_AT_ONCE == 0:
                progress(done, None)
            row = ProofRow(
                found.lane,
                found.seq,
                UUID(found.event_id),
                found.headers["ce_tenant"].decode(),
                found.headers["ce_type"].decode(),
                int(found.headers["ce_typeversion"]),
                found.value,
                datetime.fromisoformat(found.headers["ce_time"].decode()),
            )
            yield row if only in (None, row.tenant) else _place_of(row)

    try:
        return _proved(rows)
    except RowsTooFarApart as error:
        raise _too_far_apart(error) from None


def prove_database(
    dsn: str, only: str | None, progress: Callable[[int, int], None] = lambda done, total: None
) -> "Proof":
    """Prove the log of a database, or one tenant's part of it. Complaint: it cannot be read."""
    import psycopg

    from services.inventory.proof import RowsTooFarApart

    try:
        with psycopg.connect(dsn, connect_timeout=10) as connection:
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            connection.read_only = True
            return _proved(lambda: read_log(connection, only, progress))
    except psycopg.OperationalError as error:
        raise Complaint(
            f"Inventory's database cannot be read: {str(error).splitlines()[0]}.",
            "Run `orderlog up`, or check ORDERLOG_DATABASE_URL.",
        ) from None
    except psycopg.errors.UndefinedTable:
        raise Complaint("Inventory's database has no log.", "Run `orderlog up`: it migrates.") from None
    except RowsTooFarApart as error:
        raise _too_far_apart(error) from None


def _proved(rows: Callable[[], Iterator[ProofRow]]) -> "Proof":
    """The proof; of SKUs of which something was told late, the log is read again. Raises RowsTooFarApart."""
    from services.inventory.hindsight import look
    from services.inventory.proof import prove

    proof = prove(rows())
    if not (proof.holds and proof.told_late):
        return proof
    return replace(proof, hindsight=tuple(look(rows(), proof.told_late)))


def _too_far_apart(error: Exception) -> Complaint:
    return Complaint(
        f"The log cannot be walked in bounded memory: {error}.",
        "Was a backup of some lanes restored? Restore all of them to one moment.",
    )


def read_log(
    connection: "psycopg.Connection[Any]", only: str | None, progress: Callable[[int, int], None]
) -> Iterator[ProofRow]:
    """What inventory published, in order of recording: one cursor a lane, merged; each lane in its sequence.

    A row of another tenant than `only` holds its place in its lane and nothing else.
    """
    lanes = connection.execute("SELECT lane, next_decided - 1 FROM lane ORDER BY lane").fetchall()
    total = sum(last for _, last in lanes)
    merged = heapq.merge(*(_read_lane(connection, lane, only) for lane, _ in lanes), key=lambda read: read[0])
    done = 0
    for _, row in merged:
        yield row
        done += 1
        if done % ROWS_AT_ONCE == 0:
            progress(done, total)
    progress(done, total)


def _read_lane(
    connection: "psycopg.Connection[Any]", lane: int, only: str | None
) -> Iterator[tuple[datetime, ProofRow]]:
    with connection.cursor(name=f"lane_{lane}") as cursor:
        cursor.itersize = ROWS_AT_ONCE
        cursor.execute(
            f"SELECT {_COLUMNS} FROM log WHERE lane = %s AND origin = 'decided' ORDER BY seq",  # noqa: S608
            (lane,),
        )
        for lane_, seq, event_id, tenant, type_, version, payload, recorded_at in cursor:
            row = ProofRow(lane_, seq, event_id, tenant, type_, version, payload.encode(), recorded_at)
            yield recorded_at, row if only in (None, tenant) else _place_of(row)


def _place_of(row: ProofRow) -> ProofRow:
    """A row with the same place that moves nothing."""
    place = (row.lane, row.seq, row.event_id, row.tenant)
    return ProofRow(*place, _REFUSED, 1, _MOVES_NOTHING, row.recorded_at)


_REFUSED = "oms.command_refused"
_MOVES_NOTHING = orjson.dumps(
    {
        "refused_stream": "sku/another",
        "command_id": "00000000-0000-0000-0000-000000000000",
        "command_type": "oms.inventory.adjust_stock",
        "code": "of_another_tenant",
        "message": "not looked at",
        "next_step": "",
    }
)


def _tell(proof: "Proof", tenant: str) -> None:
    whose = "of any tenant" if tenant == EVERY_TENANT else f"of tenant {tenant}"
    if proof.violation is None:
        tell(f"Nothing {whose} is oversold.", "green")
    else:
        at = proof.violation
        tell(f"It does not hold {whose}: lane {at.lane}, sequence {at.seq}, {at.type} {at.event_id}", "red")
        tell(f"  {at.message}.")
        over = f"Oversold by {count(proof.oversold_units, 'unit')}. " if proof.oversold_units else ""
        tell(f"  {over}Look at the event's causes in the log.")
    tell(
        f"{count(proof.events, 'event')}, {count(proof.movements, 'movement')}, {count(proof.skus, 'SKU')}; "
        f"{count(proof.open_units, 'unit')} promised or allocated to orders that go on."
    )
    if proof.backdated:
        tell(f"Told later than it was true: {count(proof.backdated, 'movement')}.")
        _tell_hindsight(proof)
    drawn = table("lane#", "holds up to sequence#")
    for lane, seq in proof.held_up_to.items():
        add_row(drawn, lane, f"{seq:,}")
    console.print(drawn)


def _tell_hindsight(proof: "Proof") -> None:
    """What was not there, as was told later; the first few."""
    if not proof.holds:
        return
    tell(
        f"In hindsight units were not there {count(len(proof.hindsight), 'time')}; "
        "by what was known then, nothing was oversold.",
        "yellow" if proof.hindsight else "",
    )
    for one in proof.hindsight[:HINDSIGHT_SHOWN_MAX]:
        what = "promised" if one.bucket == "promised" else f"{one.bucket} at {one.node}"
        until = f"{one.until:%Y-%m-%d %H:%M}" if one.until else "now"
        told = f"told {one.told_at:%Y-%m-%d %H:%M} by {one.told_by}"
        lacked = f"{count(one.units, 'unit')} {what}, {one.since:%Y-%m-%d %H:%M} to {until}"
        tell(f"  {one.tenant}/{one.sku}: {lacked}")
        tell(f"    begins with lane {one.lane}, sequence {one.seq}; {told}")
