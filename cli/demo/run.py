"""`orderlog demo`: a real retailer's month runs through the stack, and the logs say what came of it."""

import asyncio
import logging
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import orjson
import typer

from cli.demo.invoices import Period, first_orders, read_invoices
from cli.output import JsonOption, Steps, console, emit, say
from libs.runtime.complaint import Complaint
from libs.runtime.settings import settings

FILE = Path(__file__).parent / "data" / "online_retail.csv.xz"
MONTH_ENDS_AT = datetime(2011, 1, 1, tzinfo=UTC)


def demo(
    orders: Annotated[
        int | None, typer.Option("--orders", min=1, help="Only the month's first so many orders.")
    ] = None,
    tenant: Annotated[
        str | None, typer.Option("--tenant", help="Whose orders they are; a new tenant if not given.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Run a real retailer's month through the stack, and prove what came out."""
    from cli.demo import show
    from cli.demo.play import play
    from cli.demo.report import build_report
    from deploy.local import stack
    from deploy.local.mail_sink import count_mails

    with Steps() as steps:
        stack.up(steps, development_issuer=True)
    month = read_packaged()
    console.print(show.month_table(month))
    chosen, place = settings(), stack.home()
    name = tenant or _next_tenant(place.root)
    part = month.steps if orders is None else first_orders(month, orders)
    count = min(orders or len(month.sales), len(month.sales))
    say(f"\n{count:,} orders of tenant [bold]{name}[/]; a demo warehouse, carrier, support and buyer act.")
    for noisy in ("aiokafka", "httpx"):
        logging.getLogger(noisy).setLevel(logging.CRITICAL)
    before = count_mails(place.mail).duplicates
    with show.Progress(count) as progress:
        played = asyncio.run(play(chosen, name, part, progress.show))
    twice = count_mails(place.mail).duplicates - before
    report = asyncio.run(build_report(chosen, name, played.starts, twice))
    for drawn in show.report_tables(report, played):
        console.print()
        console.print(drawn)
    _tell_next(report.sound, name)
    if json:
        emit(show.as_json(report, played, name, month))
    if not report.sound:
        raise typer.Exit(1)


def read_packaged(before: datetime | None = MONTH_ENDS_AT) -> Period:
    """The demo's month, or what the packaged year has before another moment; None: all of it."""
    try:
        import lzma
    except ImportError:
        raise Complaint(
            "This Python was built without lzma, and the demo's invoices are packed with it.",
            "Use another one: make clean, then make setup PYTHON=/path/to/python3.11",
        ) from None
    with lzma.open(FILE, "rt", encoding="utf-8", newline="") as text:
        return read_invoices(text, before)


def _next_tenant(home: Path) -> str:
    """`demo-1`, `demo-2`, …: each run is a tenant of its own, so that none is mixed with an earlier one."""
    file = home / "demo.json"
    try:
        number = int(orjson.loads(file.read_bytes())["runs"]) + 1
    except FileNotFoundError:
        number = 1
    except (ValueError, KeyError, TypeError):
        raise Complaint(f"{file} is not readable.", "Delete it, or name a tenant with --tenant.") from None
    file.write_bytes(orjson.dumps({"runs": number}))
    return f"demo-{number}"


def _tell_next(sound: bool, tenant: str) -> None:
    if sound:
        say("\n[bold green]Nothing was oversold, doubled, lost or left open.[/] The stack is still up. Try:")
    else:
        say("\n[bold red]The figures above do not add up as they must.[/] The stack is still up. Look with:")
    for command, why in (
        (f"orderlog orders list --tenant {tenant}", "what became of the orders"),
        (f"orderlog orders show --tenant {tenant} retail/536365", "one order's timeline"),
        ("orderlog prove no-oversell --json", "the stock ledger, walked from its log alone"),
        ("orderlog rebuild console --verify --json", "the read models again, from the topics"),
        ("orderlog status", "health, lag and memory of each process"),
        ("orderlog down", "stop everything; `orderlog demo` goes on from here"),
    ):
        console.print(f"  {command:52} {why}", markup=False, soft_wrap=True)


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(demo)
