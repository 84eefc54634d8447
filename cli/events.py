"""`orderlog events`: what the stages publish, as any partner sees it on their topics."""

import asyncio
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import orjson
import typer

from cli.client import DEFAULT_TENANT, AnyTenantOption, checked_tenant, connect
from cli.output import JsonOption, console, emit
from cli.text import plain, tell
from libs.runtime.complaint import Complaint
from libs.runtime.settings import STAGES, settings

if TYPE_CHECKING:  # Kafka's client takes its time to import
    from aiokafka import TopicPartition as Place

    from cli.watching import Seen, Wanted

app = typer.Typer(no_args_is_help=True, help="Read the stages' events.")

_NARROW = 118
"""Columns of a terminal below which ids are cut to their first eight characters."""


@app.command("tail")
def tail(
    stage: Annotated[str | None, typer.Option(help="Only what this stage publishes.")] = None,
    order: Annotated[
        str | None, typer.Option(help="Only this order's: its id, or CHANNEL/EXTERNAL_ID.")
    ] = None,
    from_start: Annotated[bool, typer.Option("--from-start", help="From the first event on.")] = False,
    number: Annotated[
        int | None, typer.Option("-n", min=1, help="How many events: the last ones (20), or the first ones.")
    ] = None,
    following: Annotated[
        bool, typer.Option("-f", "--follow", help="Go on with what comes; Ctrl-C ends.")
    ] = False,
    tenant: AnyTenantOption = None,
    json: JsonOption = False,
) -> None:
    """One line an event: time (UTC), tenant, stage, type, stream, actor. With --json, an object a line.

    Example: orderlog events tail --order retail/536365 --tenant demo-1 --from-start
    """
    if stage is not None and stage not in STAGES:
        raise Complaint(f"There is no stage `{stage}`.", f"Choose one of: {', '.join(STAGES)}.", exit_code=2)
    from cli.watching import Wanted

    wanted = Wanted(stage, checked_tenant(tenant) if tenant else None, _stream(order, tenant))
    printer = _Printer(json)
    try:
        asyncio.run(_tail(wanted, from_start, number, following, printer))
    except KeyboardInterrupt:
        console.print()
    except BrokenPipeError:  # `| head`
        sys.stderr.close()
        raise typer.Exit(0) from None
    if json:
        emit({"ok": True, "events": printer.count})
    elif not printer.count:
        tell("No event is like that yet.")


def register(parent: typer.Typer) -> None:
    """Add `events` to the command line."""
    parent.add_typer(app, name="events")


def as_object(seen: "Seen") -> dict[str, Any]:
    """An event's context, as `--json` prints it. The payload stays on the topic: it may hold sealed data."""
    found = seen.context
    return {
        "at": found.at,
        "stage": seen.stage,
        "type": found.type,
        "version": found.version,
        "tenant": found.tenant,
        "stream": found.stream,
        "actor": found.actor,
        "reason": found.reason,
        "id": str(found.id),
        "causation_id": str(found.causation_id),
        "correlation_id": str(found.correlation_id),
        "topic": seen.topic,
        "partition": seen.partition,
        "offset": seen.offset,
        "lane": found.lane,
        "sequence": found.sequence,
    }


def as_line(seen: "Seen", narrow: bool) -> str:
    """An event on one line."""
    found = seen.context
    stream = found.stream
    if narrow and len(stream) == 36:
        stream = stream[:8] + "…"
    if narrow:
        return plain(
            f"{_time(found.at)} {seen.stage:13} {found.type.rpartition('.')[2]:23} {stream:9} {found.actor}"
        )
    return plain(
        f"{_time(found.at)} {found.tenant:12} {seen.stage:13} {found.type.rpartition('.')[2]:23} "
        f"{stream:36} {found.actor}"
    )


def _time(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%m-%d %H:%M:%S.%f")[:18]


class _Printer:
    """Prints events on standard output and counts them."""

    def __init__(self, json: bool) -> None:
        self._json = json
        self._narrow = sys.stdout.isatty() and console.width < _NARROW
        self.count = 0

    def __call__(self, seen: "Seen") -> None:
        self.count += 1
        if self._json:
            sys.stdout.write(orjson.dumps(as_object(seen)).decode() + "\n")
        else:
            line = as_line(seen, self._narrow)
            cut = self._narrow and len(line) > console.width
            sys.stdout.write((line[: console.width - 1] + "…" if cut else line) + "\n")


async def _tail(
    wanted: "Wanted", from_start: bool, number: int | None, following: bool, printer: _Printer
) -> None:
    from aiokafka.errors import KafkaError

    from cli.watching import follow, last, whole

    ends: dict[Place, int] = {}
    try:
        with console.status("reading the topics"):
            if not from_start:
                found, ends = await last(settings(), wanted, number or 20)
        if from_start:
            ends = await whole(settings(), wanted, number, printer)
        else:
            for seen in found:
                printer(seen)
        sys.stdout.flush()
        if following:
            await follow(settings(), wanted, ends, printer)
    except KafkaError:
        raise Complaint(
            f"Kafka at {settings().kafka} does not answer.", "Start the stack with `orderlog up`."
        ) from None


def _stream(order: str | None, tenant: str | None) -> str | None:
    """The stream of `--order`, which is an order id, or with a tenant CHANNEL/EXTERNAL_ID."""
    if order is None:
        return None
    from cli.orders import resolve

    if "/" in order and tenant is None:
        raise Complaint(
            f"`{order}` is a channel's number, and every tenant may have it.",
            "Name the --tenant too.",
            exit_code=2,
        )
    with connect(tenant or DEFAULT_TENANT) as edges:
        return resolve(edges, order, None)
