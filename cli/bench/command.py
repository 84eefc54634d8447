"""`orderlog bench lifecycle`: orders a second, submitted to released, beside the floor in the same run."""

import time
from dataclasses import asdict
from typing import Annotated

import typer
import uvloop
from rich.progress import Progress

from cli.bench.floor import floor
from cli.bench.lifecycle import lifecycle
from cli.output import JsonOption, console, emit, say, table

app = typer.Typer(no_args_is_help=True, help="Measure the running stack.")


@app.command("lifecycle")
def run_lifecycle(
    orders: Annotated[int, typer.Option(min=100, max=1_000_000, help="Orders of three lines.")] = 20_000,
    json: JsonOption = False,
) -> None:
    """Submitted → released on the running stack, and the floor: as many hops with no work in them.

    Example: orderlog bench lifecycle --orders 20000 --json
    """
    with Progress(console=console, transient=True) as bars:
        task = bars.add_task("orders released", total=orders)
        reached = uvloop.run(lifecycle(orders, lambda done, _: bars.update(task, completed=done)))
        bars.add_task("floor: five hops without work", total=None)
        lowest = uvloop.run(floor(orders, str(int(time.time()))))
    ratio = reached.orders_per_second / lowest
    if json:
        emit(
            asdict(reached)
            | {"floor_orders_per_second": round(lowest, 1), "ratio": round(ratio, 3)}
            | {"ok": True}
        )
        return
    drawn = table("lifecycle", "figure#")
    for name, figure in (
        ("orders", f"{reached.orders:,}"),
        ("orders a second, submitted → released", f"{reached.orders_per_second:,.0f}"),
        ("floor: orders a second with no work", f"{lowest:,.0f}"),
        ("ratio", f"{ratio:.2f}"),
        ("p50 under this load", f"{reached.p50_ms:,.0f} ms"),
        ("p99 under this load", f"{reached.p99_ms:,.0f} ms"),
        *(
            (f"processor time an order: {name}", f"{micros:,} µs")
            for name, micros in reached.cpu_micros_per_order.items()
        ),
    ):
        drawn.add_row(name, figure)
    console.print(drawn)
    say("Under full load an order waits behind those before it, so these latencies are upper bounds.")


def register(parent: typer.Typer) -> None:
    """Add `bench` to the command line."""
    parent.add_typer(app, name="bench")
