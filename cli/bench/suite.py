"""Runs the parts of the bench: rounds, the order in which they come, what is shown meanwhile."""

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager

import uvloop
from rich.progress import TaskID

from cli.bench import machine, parts
from cli.bench.console import THINKING_SECONDS
from cli.bench.drive import Progress as Told
from cli.bench.figures import Figure, Reading, figures
from cli.bench.page import Report
from cli.bench.parts import Run
from cli.bench.screen import EVENTS_A_SECOND
from cli.output import Steps, bar, console, say
from cli.text import count
from deploy.local import programs, replicas, stack
from libs.runtime.complaint import Complaint
from libs.runtime.settings import settings

Part = Callable[[Run], Iterator[Reading]]
PARTS: dict[str, tuple[Part, ...]] = {
    "lifecycle": (parts.lifecycle,),
    "ledger": (parts.ledger,),
    "latency": (parts.latency, parts.at_rest),
    "availability": (parts.availability, parts.told),
    "promise": (parts.promise,),
    "rebuild": (parts.rebuild,),
    "console": (parts.console, parts.screen),
    "growth": (parts.growth,),
    "replicas": (parts.replicas,),
    "overload": (parts.overload,),
    "safety": (parts.safety,),
    "flash": (parts.flash,),
    "asof": (parts.asof,),
    "feed": (parts.feed,),
}
SIDE_BY_SIDE: tuple[Part, ...] = (
    parts.lifecycle,
    parts.latency,
    parts.ledger,
    parts.safety,
    parts.availability,
    parts.told,
    parts.promise,
    parts.rebuild,
)
"""What a round of everything is. Growth comes before the rounds, which let the log grow; the rest after."""
BEFORE: tuple[Part, ...] = (parts.growth,)
AFTER: tuple[Part, ...] = (
    parts.replicas,
    parts.at_rest,
    parts.overload,
    parts.flash,
    parts.asof,
    parts.feed,
    parts.console,
    parts.screen,
)
_ORDER = ("lifecycle", "processor time an order", *list(PARTS)[1:])


def small(growth: tuple[int, ...]) -> Run:
    """Sizes for a look, not for the record."""
    return Run(
        orders=1_500,
        ledger_orders=1_000,
        safety_orders=400,
        paced_seconds=4.0,
        slow_orders=10,
        baskets=2_000,
        overload_seconds=5.0,
        growth=growth or (4_000,),
        console_orders=10_000,
        console_seconds=5.0,
        changes=40,
        feed_rows=5_000,
        flash_orders=1_000,
        flash_units=200,
        asof_movements=100_000,
        asof_questions=200,
        notes=["A quick run: small sizes and one round; the figures are rough."],
    )


def one(name: str, run: Run, rounds: int) -> list[Figure]:
    """Run one part. Complaint: the stack cannot be started, or stands still."""
    started = _up()
    readings: list[Reading] = []
    with _shown(run) as tell:
        if started:
            _warm_up(run)
        for number in range(1, rounds + 1):
            tell(f"round {number} of {rounds}")
            for part in PARTS[name]:
                readings += part(run)
    return _sorted(readings)


def everything(run: Run, rounds: int, command: str, only: Collection[str] = ()) -> Report:
    """Run every part side by side, or those named in `only`. Complaint: the stack cannot be started, or
    stands still."""
    began = time.monotonic()
    commit, date = machine.commit(), machine.today()
    chosen = {part for name in (only or PARTS) for part in PARTS[name]}
    _up()
    readings: list[Reading] = []
    with _shown(run) as tell:
        tell("before the rounds")
        _warm_up(run)
        for part in (one for one in BEFORE if one in chosen):
            readings += _measured(part, run)
        for number in range(1, rounds + 1):
            tell(f"round {number} of {rounds}")
            for part in (one for one in SIDE_BY_SIDE if one in chosen):
                readings += _measured(part, run)
        tell("after the rounds")
        for part in (one for one in AFTER if one in chosen):
            for _ in range(rounds if part is parts.replicas else 1):
                readings += _measured(part, run)
    counted = "One round" if rounds == 1 else f"{rounds} rounds, the median counts"
    run.notes.append(
        f"{counted}; growth, one order a second and overload once."
        f" It took {count(round((time.monotonic() - began) / 60), 'minute')}."
    )
    if parts.growth in chosen and max(run.growth) < 100_000:
        run.notes.append(
            f"Growth was measured to {max(run.growth):,} orders only;"
            " `--growth 10000,100000,1000000` goes further."
        )
    hardware = uvloop.run(machine.describe(settings()))
    return Report(command, commit, date, hardware, about(run), _sorted(readings), run.notes)


def _measured(part: Part, run: Run) -> list[Reading]:
    """A round of one part; one that cannot be measured is told, and does not take the others with it."""
    try:
        return list(part(run))
    except Complaint as complaint:
        run.failed.append(part.__name__)
        run.notes.append(f"A round of {part.__name__} was not measured: {complaint.sentence}")
        return []


def about(run: Run) -> dict[str, str]:
    """What each part measures, for the page."""
    return {
        "lifecycle": f"{run.orders:,} orders a round, 2,000 in flight; the floor in the same round.",
        "processor time an order": "Until notifications, returns and console are done too.",
        "ledger": f"{run.ledger_orders:,} orders a round, fed from memory; COPY of the rows that they leave.",
        "latency": f"Half load is half of the rate of the same round, for {run.paced_seconds:.0f} s;"
        f" then {run.slow_orders} orders, one a second. From when an order was due.",
        "availability": f"{run.baskets:,} baskets of three lines of Zipf's SKUs over HTTP,"
        f" each with the date on which it can be there, {parts.BASKETS_A_SECOND} a second; from when a"
        f" basket was due. Then {run.changes} changes of stock, {parts.CHANGES_A_SECOND} a second,"
        " to who reads the availability topic; and as many, each of the part of another bundle.",
        "promise": f"{run.baskets:,} such baskets held, each with its date, {run.held_a_second} a second,"
        " each waited for;"
        " they end a minute later, and what comes next waits for that. Processor time is a basket's.",
        "rebuild": "All that is on the topics by then, read models of the console.",
        "console": f"{run.console_orders:,} orders: two months of a real retailer's through all stages,"
        " copied with ids, numbers, names and times of their own. Fifty people who think for"
        f" {THINKING_SECONDS:.0f} s before each page, in one process, without Kafka and stages; they ask"
        " for an order five times as often as for a kind of list, and for insight a fifth as often. By hand:"
        " one query at a time, without a page around it. Event to screen: on the running stack at"
        f" {EVENTS_A_SECOND} events a second, from an event's own time until its order's page shows it, as a"
        " browser follows it.",
        "growth": f"{run.orders:,} orders at each size, and the start. Write-ahead logs are not counted.",
        "replicas": "A second process of inventory on the same cores.",
        "overload": f"Three times the rate that was kept up for {run.overload_seconds:.0f} s before, for as"
        " long. A burst is a round of the lifecycle, the median.",
        "flash": f"{run.flash_orders:,} orders of one unit for {run.flash_units:,} units, 2,000 unanswered at"
        " a time; from the order's command to inventory's answer.",
        "asof": f"{run.asof_movements:,} movements in inventory's tables, {run.asof_questions:,} questions of"
        " each kind; no other process takes part.",
        "feed": f"A file of {run.feed_rows:,} rows, each of another SKU, by `orderlog stock feed`; then one"
        " of a mapped feed, from its load until all of it is on the shelf.",
        "safety": f"{run.safety_orders:,} orders through the four stages of the lifecycle, in one process and"
        " without Kafka; Python and PostgreSQL together.",
    }


def in_brief(found: Sequence[Figure]) -> dict[str, object]:
    """The figures of the lifecycle by short names, for programs."""
    names = {
        "submitted → released": "orders_per_second",
        "floor: as many hops without work": "floor_orders_per_second",
        "ratio to the floor": "ratio",
        "p50 under this load": "p50_ms",
        "p99 under this load": "p99_ms",
        "until those who follow are done": "drained_orders_per_second",
    }
    brief: dict[str, object] = {
        names[figure.label]: round(figure.median, 3)
        for figure in found
        if figure.part == "lifecycle" and figure.label in names
    }
    spent = {
        figure.label: round(figure.median) for figure in found if figure.part == "processor time an order"
    }
    return brief | ({"cpu_micros_per_order": spent} if spent else {})


def _sorted(readings: Sequence[Reading]) -> list[Figure]:
    return sorted(figures(readings), key=lambda figure: _ORDER.index(figure.part))


def _warm_up(run: Run) -> None:
    """A first few orders, so that no round pays for caches that are empty after a start."""
    orders, run.orders = run.orders, 500
    run.lifecycle()
    run.orders = orders


def _up() -> bool:
    """Start what is not running; whether something was not."""
    missing = [
        name
        for name in stack.names()
        if not stack.runs_elsewhere(name) and programs.find(stack.home(), name) is None
    ]
    if missing or not all(stack.is_ready(name) for name in replicas.SERVICES):
        say("Starting the stack; `orderlog down` stops it again.")
        with Steps() as steps:
            stack.up(steps)
        return True
    return False


class _Quiet:
    """`orderlog up` inside of the bench, which says itself what it is at."""

    @contextmanager
    def step(self, name: str) -> Iterator["_Quiet"]:
        yield self

    def note(self, text: str) -> None:
        """Steps are short here: their notes are not shown."""


@contextmanager
def _shown(run: Run) -> Iterator[Callable[[str], None]]:
    """Show what is going on; yields who is told of a new stretch of it. Lines where there is no terminal."""
    with bar() as bars:
        whole = bars.add_task("", total=None)
        current: list[TaskID] = []

        def tell(stretch: str) -> None:
            bars.update(whole, description=stretch)
            if not console.is_terminal:
                console.print(stretch, markup=False)

        def begin(what: str) -> Told:
            while current:
                bars.remove_task(current.pop())
            current.append(bars.add_task(what, total=None))
            if not console.is_terminal:
                console.print(f"  {what}", markup=False)
            return lambda done, total: bars.update(current[0], completed=done, total=total)

        run.progress = begin
        run.steps = _Quiet()
        yield tell
