"""`orderlog parked`: records that no stage could read or decide, over all stages, and what to do with them.

A parked record blocks the later ones of its key and nothing else. Here a key is named `STAGE:ID` (a record's
number at its stage, as `list` shows it) or by itself. A record's value may hold personal data that somebody
sent in the clear, so it is shown only when asked for.
"""

import asyncio
import hashlib
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.client import DEFAULT_TENANT, AnyTenantOption, Refused, Unanswered, connect
from cli.output import JsonOption, console, emit, table
from cli.text import add_row, count, tell, utc
from libs.runtime.complaint import Complaint
from libs.runtime.log import WAITING
from libs.runtime.settings import STAGES, settings

if TYPE_CHECKING:
    from libs.runtime.wire import Record

app = typer.Typer(no_args_is_help=True, help="Records that wait for a person.")

VALUE_BYTES_SHOWN_MAX = 4096
_HEADER_SHOWN_MAX = 200
_ROWS_MAX = 1000

StageOption = Annotated[str | None, typer.Option("--stage", help="Only this stage's.")]
PlaceArgument = Annotated[str, typer.Argument(metavar="KEY", help="STAGE:ID as listed, or the record's key.")]
NoteOption = Annotated[str, typer.Option(help="What was done about it; no personal data.")]

Row = dict[str, Any]


@app.command("list")
def list_parked(
    stage: StageOption = None,
    all_states: Annotated[bool, typer.Option("--all", help="Those replayed or discarded too.")] = False,
    tenant: AnyTenantOption = None,
    json: JsonOption = False,
) -> None:
    """What is parked, oldest first: where, why, and what waits behind it.

    Example: orderlog parked list --stage intake
    """
    rows = _of(tenant, _rows(stage, all_states))
    drawn = table("id", "state", "parked (UTC)", "why", "key")
    for row in rows:
        why = row["code"] if row["state"] != "queued" else "behind the first of its key"
        add_row(drawn, name_of(row), row["state"], utc(row["at"], "%m-%d %H:%M:%S"), why, row["key"])
    if rows:
        console.print(drawn)
        tell("Look closer: orderlog parked show ID. Then `parked replay ID` or `parked discard ID`.")
    else:
        tell("Nothing is parked.")
    if json:
        emit({"ok": True, "parked": rows})


@app.command("show")
def show(
    place: PlaceArgument,
    stage: StageOption = None,
    value: Annotated[bool, typer.Option("--value", help="Show the value: it may be personal data.")] = False,
    tenant: AnyTenantOption = None,
    json: JsonOption = False,
) -> None:
    """A parked record: its reason, place on the topic, headers, size and digest; its value only with --value.

    Example: orderlog parked show intake:12 --value
    """
    rows = _mine(place, stage, tenant)
    records = asyncio.run(_read(rows))
    shown = []
    for row, record in zip(rows, records, strict=True):
        looked = _looked(record, value)
        _tell_row(row, looked)
        shown.append(row | {"record": looked})
    if value:
        tell("The value may hold personal data: do not copy it into tickets, chats or notes.", "yellow")
    if json:
        emit({"ok": True, "parked": shown})


@app.command("replay")
def replay(
    place: PlaceArgument,
    stage: StageOption = None,
    note: NoteOption = "",
    tenant: AnyTenantOption = None,
    json: JsonOption = False,
) -> None:
    """Decide a key's records again, in order: after the cause is mended.

    Example: orderlog parked replay intake:12 --note "upgraded to the version that knows it"
    """
    _resolve(place, stage, note, tenant, "replay", json)


@app.command("discard")
def discard(
    place: PlaceArgument,
    stage: StageOption = None,
    note: NoteOption = "",
    tenant: AnyTenantOption = None,
    json: JsonOption = False,
) -> None:
    """Give up a key's first parked record; those behind it go on. The record stays on its topic.

    Example: orderlog parked discard intake:12 --note "a test of the partner's"
    """
    _resolve(place, stage, note, tenant, "discard", json)


def register(parent: typer.Typer) -> None:
    """Add `parked` to the command line."""
    parent.add_typer(app, name="parked")


def name_of(row: Row) -> str:
    """A parked record's short name, `STAGE:ID`."""
    return f"{row['stage']}:{row['id']}"


def _rows(stage: str | None, all_states: bool) -> list[Row]:
    """Parked records of the stages, the oldest first. Complaint: no such stage, or none answers."""
    rows: list[Row] = []
    silent: list[Unanswered] = []
    wanted = _stages(stage)
    with connect(DEFAULT_TENANT, "admin") as edges:
        for name in wanted:
            try:
                page = edges.get(name, "/v1/parked", limit=_ROWS_MAX, all_states=str(all_states).lower())
            except Unanswered as unanswered:
                silent.append(unanswered)
                continue
            rows += [{"stage": name, **row} for row in page["parked"]]
    if len(silent) == len(wanted):
        raise silent[0]
    for one in silent:
        tell(f"{one.sentence} What is parked there is not shown.", "yellow")
    return sorted(rows, key=lambda row: (row["at"], row["stage"], row["id"]))


def _of(tenant: str | None, rows: list[Row]) -> list[Row]:
    """A tenant's records, and those that do not say whose they are."""
    return [row for row in rows if tenant is None or row["tenant"] in (tenant, "")]


def _stages(stage: str | None) -> tuple[str, ...]:
    if stage is not None and stage not in STAGES:
        raise Complaint(f"There is no stage `{stage}`.", f"Choose one of: {', '.join(STAGES)}.", exit_code=2)
    return STAGES if stage is None else (stage,)


def _named(place: str, stage: str | None) -> list[Row]:
    """Every record of the key that `STAGE:ID` or the key names. Complaint: nothing is parked there."""
    head, colon, number = place.partition(":")
    by_id = bool(colon) and head in STAGES and number.isdigit()
    rows = _rows(head if by_id else stage, all_states=by_id)
    if by_id:
        found = [row for row in rows if str(row["id"]) == number]
        if found and found[0]["state"] in WAITING:
            found = [row for row in rows if row["key"] == found[0]["key"] and row["state"] in WAITING]
    else:
        found = [row for row in rows if row["key"] == place]
    if not found:
        raise Complaint(
            f"Nothing is parked under {place}.", "`orderlog parked list` shows what is; --all shows what was."
        )
    return found


def _mine(place: str, stage: str | None, tenant: str | None) -> list[Row]:
    """As `_named`. Complaint: they are another tenant's."""
    rows = _of(tenant, _named(place, stage))
    if not rows:
        raise Complaint(f"{place} is not tenant {tenant}'s.", "Leave --tenant out, or correct it.")
    return rows


def _resolve(place: str, stage: str | None, note: str, tenant: str | None, verb: str, json: bool) -> None:
    rows = _mine(place, stage, tenant)
    stages = sorted({row["stage"] for row in rows})
    if len(stages) > 1:
        raise Complaint(
            f"{place} is parked at several stages: {', '.join(stages)}.", "Choose one with --stage."
        )
    key = rows[0]["key"]
    with connect(DEFAULT_TENANT, "admin") as edges:
        try:
            answer = edges.send(stages[0], f"/v1/parked/{verb}", {"key": key, "note": note})
        except Refused as refused:
            if refused.code != "not_parked":
                raise
            raise Complaint(
                f"{place} does not wait any more: it is {rows[0]['state']}.",
                "See `orderlog parked list --all`.",
            ) from None
    if verb == "replay":
        tell(f"{stages[0]} decides {count(answer['records'], 'record')} of {key} again, in order.")
        tell("`orderlog parked list` shows whether it is parked again.")
    else:
        behind = f"; {count(answer['records'] - 1, 'record')} behind it now" if answer["records"] > 1 else ""
        tell(f"Given up: the first parked record of {key}{behind}.")
    if json:
        emit({"ok": True, "stage": stages[0], "key": key, "records": answer["records"], "done": verb})


async def _read(rows: list[Row]) -> "list[Record | None]":
    """The records themselves, from their topics. Complaint: Kafka does not answer."""
    from libs.runtime.kafka import RecordReader
    from libs.runtime.log import Unavailable

    reader = RecordReader(settings())
    try:
        return [await reader(row["topic"], row["partition"], row["offset"]) for row in rows]
    except Unavailable:
        raise Complaint(
            f"Kafka at {settings().kafka} does not answer, and the records are there.",
            "Start the stack with `orderlog up`, or check ORDERLOG_KAFKA.",
        ) from None


def _looked(record: "Record | None", value: bool) -> dict[str, object] | None:
    """What may be shown of a record; none when its topic does not hold it any more."""
    if record is None:
        return None
    body = record.value or b""
    looked: dict[str, object] = {
        "bytes": len(body),
        "sha256": hashlib.sha256(body).hexdigest(),
        "headers": {
            name: content[:_HEADER_SHOWN_MAX].decode("utf-8", "replace") for name, content in record.headers
        },
    }
    if value:
        looked["value"] = body[:VALUE_BYTES_SHOWN_MAX].decode("utf-8", "replace")
    return looked


def _tell_row(row: Row, looked: dict[str, Any] | None) -> None:
    tell(f"{name_of(row)}  {row['code']}", "bold")
    tell(f"  {row['reason']}")
    told = [
        ("key", row["key"]),
        ("type", row["type"] or "unknown"),
        ("place", f"{row['topic']}/{row['partition']}, offset {row['offset']}"),
        ("state", f"{row['state']}, parked {utc(row['at'])} UTC"),
    ]
    if looked is None:
        told.append(("record", "its topic does not hold it any more"))
    else:
        told.append(("value", f"{looked['bytes']:,} bytes, sha256 {looked['sha256'][:16]}…"))
        told += [("header", f"{name}: {content}") for name, content in looked["headers"].items()]
    for name, text in told:
        tell(f"  {name:8} {text}")
    if looked and "value" in looked:
        tell(looked["value"], "dim")
        if looked["bytes"] > VALUE_BYTES_SHOWN_MAX:
            tell(f"… the first {VALUE_BYTES_SHOWN_MAX:,} of {looked['bytes']:,} bytes.")
