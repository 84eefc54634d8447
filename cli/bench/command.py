"""`orderlog bench`: what the running stack reaches, each figure beside its aim."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.output import JsonOption, console, emit, say, table

if TYPE_CHECKING:  # the parts need the local extra, and their time to import
    from cli.bench.figures import Figure
    from cli.bench.parts import Run

app = typer.Typer(no_args_is_help=True, help="Measure the running stack, beside its aims.")

PAGE = Path(__file__).resolve().parents[2] / "docs" / "performance.md"
RoundsOption = Annotated[int, typer.Option(min=1, max=100, help="How often; the median counts.")]
OrdersOption = Annotated[int, typer.Option(min=100, max=1_000_000, help="Orders of three lines a round.")]
SecondsOption = Annotated[float, typer.Option(min=1, max=3600, help="How long orders are sent.")]
GrowthOption = Annotated[
    str, typer.Option(metavar="SIZES", help="Orders in the log at which to measure: 10000,100000.")
]


@app.command("all")
def run_all(
    rounds: RoundsOption = 5,
    quick: Annotated[bool, typer.Option("--quick", help="Small sizes, one round: three minutes.")] = False,
    growth: GrowthOption = "",
    feed_rows: Annotated[int, typer.Option(min=100, max=10_000_000, help="Rows of the feed.")] = 1_000_000,
    only: Annotated[
        str, typer.Option(metavar="PARTS", help="These parts alone, and their tables: growth,overload.")
    ] = "",
    page: Annotated[bool, typer.Option(help="Write the tables into docs/performance.md.")] = True,
    json: JsonOption = False,
) -> None:
    """Every part side by side, and the tables into docs/performance.md. Starts what is not running.

    Example: orderlog bench all --growth 10000,100000 --json

    Example: orderlog bench all --only overload,flash
    """
    from cli.bench import page as pages
    from cli.bench import suite
    from cli.bench.parts import Run

    chosen = _parts(only)
    if page:
        pages.check(PAGE)
    run = Run(growth=_sizes(growth) or (10_000,), overload_seconds=60.0, feed_rows=feed_rows)
    words = f"orderlog bench all --rounds {rounds}"
    if quick:
        run = suite.small(_sizes(growth))
        rounds, words = 1, "orderlog bench all --quick"
    elif feed_rows != Run().feed_rows:
        words += f" --feed-rows {feed_rows}"
    words += f" --growth {growth}" if growth else ""
    words += f" --only {only}" if only else ""
    report = suite.everything(run, rounds, words, chosen)
    _tell(report.figures, run.notes)
    if page:
        pages.write(PAGE, report, whole=not chosen)
        say("The tables stand in docs/performance.md.")
    if json:
        where = {"ok": not run.failed, "commit": report.commit, "machine": report.machine}
        emit(_object(report.figures, run.notes) | where)
    if run.failed:
        raise typer.Exit(1)


@app.command("lifecycle")
def run_lifecycle(orders: OrdersOption = 20_000, rounds: RoundsOption = 1, json: JsonOption = False) -> None:
    """Submitted → released, the floor (as many hops with no work in them), and until nobody lags behind.

    Example: orderlog bench lifecycle --orders 20000 --json
    """
    from cli.bench.parts import Run

    _part("lifecycle", Run(orders=orders), rounds, json)


@app.command("ledger")
def run_ledger(orders: OrdersOption = 3_000, rounds: RoundsOption = 1, json: JsonOption = False) -> None:
    """Inventory's reservations beside COPY of the same rows: uniform, Zipf, ten hot SKUs.

    Example: orderlog bench ledger --orders 3000 --rounds 5
    """
    from cli.bench.parts import Run

    _part("ledger", Run(ledger_orders=orders), rounds, json)


@app.command("latency")
def run_latency(
    orders: OrdersOption = 5_000,
    seconds: SecondsOption = 10.0,
    slow: Annotated[int, typer.Option(min=1, max=3600, help="Orders at one a second.")] = 30,
    rounds: RoundsOption = 1,
    json: JsonOption = False,
) -> None:
    """Submitted → released at half of the lifecycle's rate, and at one order a second.

    Example: orderlog bench latency --seconds 10 --slow 30
    """
    from cli.bench.parts import Run

    _part("latency", Run(orders=orders, paced_seconds=seconds, slow_orders=slow), rounds, json)


BasketsOption = Annotated[int, typer.Option(min=100, max=1_000_000, help="Baskets of three lines.")]


@app.command("availability")
def run_availability(
    baskets: BasketsOption = 5_000,
    changes: Annotated[int, typer.Option(min=10, help="Changes of stock.")] = 200,
    rounds: RoundsOption = 1,
    json: JsonOption = False,
) -> None:
    """What of a basket could be promised, asked 500 times a second; and from a change to the channels' topic.

    Example: orderlog bench availability --baskets 5000 --rounds 5
    """
    from cli.bench.parts import Run

    _part("availability", Run(baskets=baskets, changes=changes), rounds, json)


@app.command("promise")
def run_promise(
    baskets: BasketsOption = 5_000,
    a_second: Annotated[int, typer.Option(min=1, max=10_000, help="Baskets a second.")] = 200,
    rounds: RoundsOption = 1,
    json: JsonOption = False,
) -> None:
    """Baskets held over HTTP, each waited for until it is decided; then until all of them have ended.

    Example: orderlog bench promise --baskets 2000 --a-second 500
    """
    from cli.bench.parts import Run

    _part("promise", Run(baskets=baskets, held_a_second=a_second), rounds, json)


@app.command("rebuild")
def run_rebuild(rounds: RoundsOption = 1, json: JsonOption = False) -> None:
    """The console's read models from the topics, beside only reading them.

    Example: orderlog bench rebuild --rounds 5
    """
    from cli.bench.parts import Run

    _part("rebuild", Run(), rounds, json)


@app.command("console")
def run_console(
    orders: OrdersOption = 1_000_000,
    seconds: SecondsOption = 60.0,
    rounds: RoundsOption = 1,
    json: JsonOption = False,
) -> None:
    """Pages for fifty people, beside the same queries by hand in SQL; first load; events to the screen.

    Example: orderlog bench console --orders 1000000 --seconds 30
    """
    from cli.bench.parts import Run

    _part("console", Run(console_orders=orders, console_seconds=seconds), rounds, json)


@app.command("growth")
def run_growth(sizes: GrowthOption = "10000", orders: OrdersOption = 5_000, json: JsonOption = False) -> None:
    """The lifecycle at the start and with so many orders in the log; bytes stored an order.

    Example: orderlog bench growth --sizes 10000,100000
    """
    from cli.bench.parts import Run

    _part("growth", Run(orders=orders, growth=_sizes(sizes)), 1, json)


@app.command("replicas")
def run_replicas(orders: OrdersOption = 5_000, rounds: RoundsOption = 1, json: JsonOption = False) -> None:
    """The lifecycle with one process of inventory and with two, on the same cores.

    Example: orderlog bench replicas --rounds 5
    """
    from cli.bench.parts import Run

    _part("replicas", Run(orders=orders), rounds, json)


@app.command("overload")
def run_overload(
    seconds: SecondsOption = 20.0,
    orders: OrdersOption = 5_000,
    rounds: RoundsOption = 1,
    json: JsonOption = False,
) -> None:
    """Three times the rate that the lifecycle reaches, and how it is worked off.

    Example: orderlog bench overload --seconds 60
    """
    from cli.bench.parts import Run

    _part("overload", Run(orders=orders, overload_seconds=seconds), rounds, json)


@app.command("safety")
def run_safety(orders: OrdersOption = 1_000, rounds: RoundsOption = 1, json: JsonOption = False) -> None:
    """What asserts, the database's checks and encryption cost.

    Example: orderlog bench safety --orders 2000 --rounds 5
    """
    from cli.bench.parts import Run

    _part("safety", Run(safety_orders=orders), rounds, json)


@app.command("flash")
def run_flash(
    orders: OrdersOption = 50_000,
    units: Annotated[int, typer.Option(min=1, max=1_000_000, help="Units that there are.")] = 10_000,
    rounds: RoundsOption = 1,
    json: JsonOption = False,
) -> None:
    """A flash sale: orders of one unit for fewer units; exactly as many promised as there are.

    Example: orderlog bench flash --orders 50000 --units 10000 --json
    """
    from cli.bench.parts import Run

    _part("flash", Run(flash_orders=orders, flash_units=units), rounds, json)


@app.command("asof")
def run_asof(
    movements: Annotated[int, typer.Option(min=10_000, help="Movements in the ledger.")] = 10_000_000,
    questions: Annotated[int, typer.Option(min=100, help="Of each kind.")] = 2_000,
    rounds: RoundsOption = 1,
    json: JsonOption = False,
) -> None:
    """Questions of the past over a long ledger: what stood when, as known when.

    Example: orderlog bench asof --movements 10000000 --json
    """
    from cli.bench.parts import Run

    _part("asof", Run(asof_movements=movements, asof_questions=questions), rounds, json)


@app.command("feed")
def run_feed(
    rows: Annotated[int, typer.Option(min=100, max=10_000_000, help="Rows of the file.")] = 1_000_000,
    rounds: RoundsOption = 1,
    json: JsonOption = False,
) -> None:
    """A vendor's file through the running stages: rows a second, and memory.

    Example: orderlog bench feed --rows 20000 --json
    """
    from cli.bench.parts import Run

    _part("feed", Run(feed_rows=rows), rounds, json)


def _part(name: str, run: "Run", rounds: int, json: bool) -> None:
    from cli.bench import suite

    found = suite.one(name, run, rounds)
    _tell(found, run.notes)
    if json:
        emit(suite.in_brief(found) | _object(found, run.notes))


def _object(found: Sequence["Figure"], notes: Iterable[str]) -> dict[str, object]:
    from cli.bench.figures import as_object

    figures = [as_object(figure) for figure in found]
    missed = [f"{one.part}: {one.label}" for one in found if one.verdict not in ("", "reached")]
    return {"ok": True, "figures": figures, "missed": missed, "notes": list(notes)}


def _tell(found: Iterable["Figure"], notes: Iterable[str]) -> None:
    from cli.bench.figures import shown

    part = ""
    drawn = table("figure", "median#", "lowest–highest#", "aim", "")
    for figure in found:
        if figure.part != part:
            part = figure.part
            drawn.add_row(f"[bold]{part}[/]")
        aim = figure.aim.words(figure.unit) if figure.aim else ""
        colour = {"reached": "green", "": "default"}.get(figure.verdict, "red")
        median, verdict = shown(figure.median, figure.unit), f"[{colour}]{figure.verdict}[/]"
        drawn.add_row(f"  {figure.label}", median, figure.spread, aim, verdict)
    console.print(drawn)
    for note in notes:
        say(note)


def _sizes(text: str) -> tuple[int, ...]:
    from libs.runtime.complaint import Complaint

    try:
        found = tuple(sorted({int(part) for part in text.split(",") if part.strip()}))
    except ValueError:
        found = (0,)
    if any(size < 1 for size in found):
        raise Complaint(
            f"`{text}` does not say at how many orders to measure.",
            "Write numbers with commas between them, as in 10000,100000.",
            exit_code=2,
        )
    return found


def _parts(text: str) -> tuple[str, ...]:
    from cli.bench.suite import PARTS
    from libs.runtime.complaint import Complaint

    found = tuple(part.strip() for part in text.split(",") if part.strip())
    if unknown := [part for part in found if part not in PARTS]:
        raise Complaint(f"The bench has no part `{unknown[0]}`.", f"It has {', '.join(PARTS)}.", exit_code=2)
    return found


def register(parent: typer.Typer) -> None:
    """Add `bench` to the command line."""
    parent.add_typer(app, name="bench")
