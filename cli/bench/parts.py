"""The parts of the bench, each a round of readings beside their aims."""

import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import median
from typing import Any, TypeVar

import uvloop

from cli.bench import asking, rebuilding
from cli.bench import asof as asof_of
from cli.bench import console as console_of
from cli.bench import growth as sizes_of
from cli.bench import ledger as ledger_of
from cli.bench import safety as safety_of
from cli.bench import screen as screen_of
from cli.bench.asks import ASKS
from cli.bench.drive import Progress
from cli.bench.feeding import feed as load_feed
from cli.bench.feeding import mapped_feed
from cli.bench.figures import Aim, Reading, percentile
from cli.bench.flash import flash as hold_sale
from cli.bench.floor import floor
from cli.bench.lifecycle import AT_ONCE, Lifecycle
from cli.bench.lifecycle import lifecycle as run_lifecycle
from cli.bench.orders import CHOICES
from cli.bench.paced import Paced, paced
from cli.bench.telling import telling
from deploy.local import replicas as processes
from deploy.local import stack
from deploy.local.progress import Progress as UpProgress
from libs.runtime.settings import settings

T = TypeVar("T")
RATE = Aim(3_000, least=1_500)
OF_FLOOR = Aim(0.35, least=0.25)
OF_COPY = Aim(0.5)
AT_HALF_LOAD = Aim(250, at_most=True)
ANSWERED = Aim(20, at_most=True)
BASKETS_A_SECOND = 500
CHANGES_A_SECOND = 20
MAPPED_SHARE = 20
"""The rows of a feed, to those that are sent in a vendor's own words: each of these needs an entry first."""
TOLD = Aim(100, at_most=True)
AT_REST = Aim(50, at_most=True)
REBUILT = Aim(20_000)
OF_READING = Aim(0.3)
FLAT = Aim(1.15, at_most=True)
SECOND_PROCESS = Aim(1.10, at_most=True)
GOODPUT = Aim(0.9)
NONE = Aim(0, at_most=True)
LIST_PAGE = Aim(100, at_most=True)
ORDER_PAGE = Aim(60, at_most=True)
TODAY_PAGE = Aim(150, at_most=True)
FIRST_LOAD = Aim(150, at_most=True)
ON_SCREEN = Aim(500, at_most=True)
PRICE = Aim(1.15, at_most=True)
AS_OF = Aim(50, at_most=True)
_GROUPS = {"kafka": "Kafka", "postgres": "PostgreSQL", "mail": "mail sink"}


@dataclass(slots=True)
class Run:
    """Sizes of a run, and what its parts learn from each other."""

    orders: int = 5_000
    ledger_orders: int = 3_000
    safety_orders: int = 1_000
    paced_seconds: float = 10.0
    slow_orders: int = 100
    overload_seconds: float = 20.0
    baskets: int = 5_000
    held_a_second: int = 200
    changes: int = 200
    feed_rows: int = 1_000_000
    growth: tuple[int, ...] = (10_000,)
    console_orders: int = 1_000_000
    console_seconds: float = 60.0
    flash_orders: int = 50_000
    flash_units: int = 10_000
    asof_movements: int = 10_000_000
    asof_questions: int = 2_000
    notes: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    """Parts that did not come to an end in some round."""
    rates: list[float] = field(default_factory=list)
    """Orders a second of each lifecycle round so far."""
    progress: Callable[[str], Progress] = lambda _: lambda *_: None
    """Begins to show a piece of work; told how much of it is done."""
    steps: UpProgress | None = None
    """How `orderlog up` tells its steps."""

    def steady(self) -> float:
        """The lifecycle's rate in this run: measured, or known from the last round."""
        if not self.rates:
            self.rates.append(self.lifecycle().orders_per_second)
        return self.rates[-1]

    def lifecycle(self, orders: int = 0) -> Lifecycle:
        """A lifecycle of so many orders, or of as many as a round has."""
        orders = orders or self.orders
        return self.wait(run_lifecycle(orders, self.progress(f"lifecycle of {orders:,} orders")))

    def wait(self, work: Coroutine[Any, Any, T]) -> T:
        return uvloop.run(work)


def lifecycle(run: Run) -> Iterator[Reading]:
    """Submitted → released, beside the floor, and until those who follow are done."""
    reached = run.lifecycle()
    run.rates.append(reached.orders_per_second)
    run.progress("floor: five hops without work")
    lowest = run.wait(floor(run.orders, str(time.time_ns())))
    yield Reading("lifecycle", "submitted → released", reached.orders_per_second, "/s", RATE)
    yield Reading("lifecycle", "floor: as many hops without work", lowest, "/s")
    yield Reading("lifecycle", "ratio to the floor", reached.orders_per_second / lowest, "", OF_FLOOR)
    yield Reading("lifecycle", "p50 under this load", reached.p50_ms, "ms")
    yield Reading("lifecycle", "p99 under this load", reached.p99_ms, "ms")
    rate = reached.drained_orders_per_second
    yield Reading("lifecycle", "until those who follow are done", rate, "/s")
    lag = reached.drained_seconds - reached.seconds
    yield Reading("lifecycle", "they are done later by", lag, "s")
    yield from processor(reached)


def processor(reached: Lifecycle) -> Iterator[Reading]:
    """Processor time an order by program, until those who follow are done."""
    spent = reached.drained_cpu_micros_per_order
    for name, micros in spent.items():
        yield Reading("processor time an order", _GROUPS.get(name, name), micros, "µs")
    python = sum(micros for name, micros in spent.items() if name not in ("kafka", "postgres"))
    yield Reading("processor time an order", "all Python", python, "µs")
    yield Reading("processor time an order", "all", sum(spent.values()), "µs")


def ledger(run: Run) -> Iterator[Reading]:
    """The reservation write path beside COPY."""
    for choice in CHOICES:
        run.progress(f"ledger: {choice}")
        found = run.wait(ledger_of.measure(run.ledger_orders, choice))
        yield Reading("ledger", f"{choice}: reservations", found.orders / found.seconds, "/s")
        yield Reading("ledger", f"{choice}: COPY of the same rows", found.orders / found.copy_seconds, "/s")
        yield Reading("ledger", f"{choice}: ratio to COPY", found.ratio, "", OF_COPY)


def latency(run: Run) -> Iterator[Reading]:
    """At half of what the lifecycle reached in this run."""
    rate = run.steady() / 2
    orders = max(1, round(rate * run.paced_seconds))
    found = run.wait(paced(rate, orders, run.progress(f"latency at {rate:,.0f} orders a second")))
    yield Reading("latency", "half load: offered", found.offered_per_second, "/s")
    yield Reading("latency", "half load: p50", found.p50_ms, "ms")
    yield Reading("latency", "half load: p99", found.p99_ms, "ms", AT_HALF_LOAD)
    yield from _whole("latency", found)


def at_rest(run: Run) -> Iterator[Reading]:
    """One order a second."""
    found = run.wait(paced(1.0, run.slow_orders, run.progress("latency at one order a second")))
    yield Reading("latency", "one order a second: p50", found.p50_ms, "ms")
    yield Reading("latency", "one order a second: p99", found.p99_ms, "ms", AT_REST)


def availability(run: Run) -> Iterator[Reading]:
    """Baskets that are asked about, five hundred a second."""
    shown = run.progress(f"availability: {BASKETS_A_SECOND} baskets a second")
    found = run.wait(asking.availability(BASKETS_A_SECOND, run.baskets, shown))
    yield from _asked("availability", found)


def told(run: Run) -> Iterator[Reading]:
    """From a decision to the topic that tells the channels, at rest."""
    for what, bundles in (("", False), (", of a bundle", True)):
        shown = run.progress(f"availability: {run.changes} changes{what}, {CHANGES_A_SECOND} a second")
        found = run.wait(telling(CHANGES_A_SECOND, run.changes, shown, bundles=bundles))
        yield Reading("availability", f"from decision to topic{what}: p50", found.p50_ms, "ms")
        yield Reading("availability", f"from decision to topic{what}: p99", found.p99_ms, "ms", TOLD)


def feed(run: Run) -> Iterator[Reading]:
    """A vendor's file, loaded from the command line."""
    found = load_feed(run.feed_rows, run.progress(f"feed of {run.feed_rows:,} rows"))
    yield Reading("feed", "rows", found.rows, "rows")
    yield Reading("feed", "rows not taken", found.rows - found.taken, "rows", NONE)
    yield Reading("feed", "rows a second", found.rows / found.seconds, "/s")
    yield Reading("feed", "most memory of the loading process", found.loader_mib, "MiB")
    yield Reading("feed", "most memory of inventory", found.inventory_mib, "MiB")
    yield Reading("feed", "memory of inventory before", found.inventory_before_mib, "MiB")
    rows = run.feed_rows // MAPPED_SHARE
    seconds = mapped_feed(rows, run.progress(f"feed of {rows:,} rows in the vendor's words"))
    yield Reading("feed", "in the vendor's words: rows", rows, "rows")
    yield Reading("feed", "in the vendor's words: rows a second", rows / seconds, "/s")


def promise(run: Run) -> Iterator[Reading]:
    """Baskets that are held, each waited for."""
    shown = run.progress(f"promise: {run.held_a_second} baskets held a second")
    began: Progress | None = None

    def ending(done: int, all_: int) -> None:
        nonlocal began
        began = began or run.progress("promise: until the held baskets have ended")
        began(done, all_)

    found = run.wait(asking.promises(run.held_a_second, run.baskets, shown, ending))
    yield from _asked("promise", found.asked)
    for what, micros in (("to hold a basket", found.held_micros), ("until it ended", found.expired_micros)):
        for name in ("inventory", "postgres", "kafka", "console"):
            yield Reading("promise", f"{what}: {_GROUPS.get(name, name)}", micros.get(name, 0), "µs")


def _asked(part: str, found: asking.Asked) -> Iterator[Reading]:
    yield Reading(part, "offered", found.offered_per_second, "/s")
    yield Reading(part, "p50", found.p50_ms, "ms")
    yield Reading(part, "p99", found.p99_ms, "ms", ANSWERED)
    yield Reading(part, "not answered well", found.refused, "baskets", NONE)


def rebuild(run: Run) -> Iterator[Reading]:
    """The console's read models from the topics."""
    found = run.wait(rebuilding.measure(run.progress("rebuild of the read models")))
    rebuilt, read = found.events / found.fold_seconds, found.events / found.read_seconds
    yield Reading("rebuild", "events", found.events, "events")
    yield Reading("rebuild", "read, folded, written, indexed", rebuilt, "/s", REBUILT)
    yield Reading("rebuild", "the same records only read", read, "/s")
    yield Reading("rebuild", "ratio to reading", rebuilt / read, "", OF_READING)
    yield Reading("rebuild", "with both digests compared", found.events / found.seconds, "/s")


def console(run: Run) -> Iterator[Reading]:
    """The console's pages, for fifty people, and the same by hand."""
    run.progress(f"console: {run.console_orders:,} orders in the read models, then fifty people")
    found = run.wait(console_of.measure(settings(), run.console_orders, run.console_seconds))
    aims = {"list": LIST_PAGE, "search": LIST_PAGE, "order": ORDER_PAGE, "today": TODAY_PAGE}
    yield Reading("console", "orders in the read models", found.orders, "orders")
    yield Reading("console", "filled within", found.fill_seconds, "s")
    for kind, taken in [*found.pages.items(), ("export: first rows", found.export_ms)]:
        sort = ASKS[kind][0] if kind in ASKS else "export"
        if not taken:
            continue
        yield Reading("console", f"{kind}, p50", percentile(taken, 0.5), "ms")
        yield Reading("console", f"{kind}, p99", percentile(taken, 0.99), "ms", aims.get(sort))
    yield Reading("console", "pages that did not come", found.refused, "pages", NONE)
    for kind, by_hand in found.by_hand.items():
        yield Reading("console", f"{kind} by hand in SQL, p99", percentile(by_hand, 0.99), "ms")
    yield Reading("console", "pages", found.pages_per_second, "/s")
    yield Reading("console", "processor time a page: console", found.page_ms, "ms")
    if found.database_ms:  # where the server is ours to run
        yield Reading("console", "processor time a page: PostgreSQL", found.database_ms, "ms")
    yield Reading("console", "load average meanwhile", found.load)
    yield Reading("console", "first load", found.first_load_bytes / 1000, "kB", FIRST_LOAD)


def screen(run: Run) -> Iterator[Reading]:
    """Events to the pages that show them, on the running stack."""
    run.progress(f"event to screen at {screen_of.EVENTS_A_SECOND} events a second")
    found = run.wait(screen_of.measure(run.console_seconds))
    yield Reading("console", "event to screen: projected meanwhile", found.events_per_second, "/s")
    yield Reading("console", "event to screen: events that were watched", len(found.shown_ms), "events")
    yield Reading("console", "event to screen: p50", percentile(found.shown_ms, 0.5), "ms")
    yield Reading("console", "event to screen: p99", percentile(found.shown_ms, 0.99), "ms", ON_SCREEN)


def overload(run: Run) -> Iterator[Reading]:
    """Three times the steady rate: what the stack keeps up for as long, with those who follow beside it."""
    run.steady()
    burst = median(run.rates)
    asked = max(run.orders, round(burst * run.overload_seconds))
    steady = run.lifecycle(asked).orders_per_second
    orders = max(1, round(3 * steady * run.overload_seconds))
    shown = run.progress(f"overload: {3 * steady:,.0f} orders a second for {run.overload_seconds:.0f} s")
    found = run.wait(paced(3 * steady, orders, shown, AT_ONCE))
    rate = found.in_time / found.submitted_seconds
    through = found.released / found.released_seconds
    yield Reading("overload", "steady rate before it, for as long", steady, "/s")
    yield Reading("overload", "offered", found.offered_per_second, "/s")
    yield Reading("overload", "released meanwhile", rate, "/s")
    yield Reading("overload", "goodput: released meanwhile, to the steady rate", rate / steady, "", GOODPUT)
    yield Reading("overload", "released meanwhile, to the rate of a burst", rate / burst)
    yield Reading("overload", "goodput until the last release", through / steady)
    yield Reading("overload", "to the last release, afterwards", _after(found, found.released_seconds), "s")
    yield Reading("overload", "to no lag anywhere, afterwards", _after(found, found.drained_seconds), "s")
    yield from _whole("overload", found)


def _after(found: Paced, seconds: float) -> float:
    return max(0.0, seconds - found.submitted_seconds)


def _whole(part: str, found: Paced) -> Iterator[Reading]:
    yield Reading(part, "accepted and not released", found.accepted - found.released, "orders", NONE)
    yield Reading(part, "submitted and not accepted", found.orders - found.accepted, "orders", NONE)
    yield Reading(part, "released twice", found.releases - found.released, "orders", NONE)


def growth(run: Run) -> Iterator[Reading]:
    """The lifecycle as the log grows; what is stored of an order."""
    start = run.wait(sizes_of.orders_in_log())
    bytes_before = run.wait(sizes_of.disk_bytes())
    points = [(start, run.lifecycle())]
    for size in run.growth:
        now = run.wait(sizes_of.orders_in_log())
        if now > size:
            run.notes.append(f"Growth to {size:,} orders was left out: {now:,} are in the log already.")
            continue
        run.wait(sizes_of.grow(size, run.progress(f"growing the log to {size:,} orders")))
        points.append((size, run.lifecycle()))
    first = sum(points[0][1].drained_cpu_micros_per_order.values())
    for size, reached in points:
        at = f"{size:,} orders in the log"
        yield Reading("growth", f"{at}: submitted → released", reached.orders_per_second, "/s")
        cost = sum(reached.drained_cpu_micros_per_order.values())
        yield Reading("growth", f"{at}: processor time an order", cost, "µs")
        if size != start:
            yield Reading("growth", f"{at}: cost to that at the start", cost / first, "", FLAT)
    more = run.wait(sizes_of.orders_in_log()) - start
    for name, after in run.wait(sizes_of.disk_bytes()).items():
        yield Reading("growth", f"stored an order: {name}", (after - bytes_before[name]) / more, "bytes")


def replicas(run: Run) -> Iterator[Reading]:
    """A second process of inventory, on the same cores."""
    one = run.lifecycle()
    with _two_of("inventory", run):
        two = run.lifecycle()
    costs = [sum(reached.drained_cpu_micros_per_order.values()) for reached in (one, two)]
    for name, reached, cost in zip(("one process", "two processes"), (one, two), costs, strict=True):
        yield Reading("replicas", f"{name}: submitted → released", reached.orders_per_second, "/s")
        yield Reading("replicas", f"{name}: processor time an order", cost, "µs")
    yield Reading("replicas", "cost with two to that with one", costs[1] / costs[0], "", SECOND_PROCESS)
    slower = one.orders_per_second / two.orders_per_second
    yield Reading("replicas", "time with two to that with one", slower, "", SECOND_PROCESS)


@contextmanager
def _two_of(service: str, run: Run) -> Iterator[None]:
    before = processes.parse(settings().replicas, settings().partitions).get(service, 1)
    assert run.steps is not None, "somebody shows what is going on"
    run.progress(f"a second process of {service}")
    stack.up(run.steps, {service: 2})
    try:
        yield
    finally:
        stack.up(run.steps, {service: before})


def safety(run: Run) -> Iterator[Reading]:
    """What asserts, the database's checks and encryption cost."""
    spent = {}
    for kind in safety_of.KINDS:
        run.progress(f"safety: {kind}")
        spent[kind] = run.wait(safety_of.measure(run.safety_orders, kind))
    for kind, micros in spent.items():
        yield Reading("safety", f"{kind}: processor time an order", micros, "µs")
    plain, sealed = spent["plain"], spent["sealed"]
    yield Reading("safety", "with asserts to without", plain / spent["no asserts"], "", PRICE)
    yield Reading("safety", "with the database's checks to without", plain / spent["no checks"], "", PRICE)
    yield Reading("safety", "with an encrypted contact to without", sealed / plain, "", PRICE)


def flash(run: Run) -> Iterator[Reading]:
    """Many more orders for one SKU than it has units."""
    shown = run.progress(f"flash sale: {run.flash_orders:,} orders for {run.flash_units:,} units")
    found = run.wait(hold_sale(run.flash_orders, run.flash_units, shown))
    there = min(found.orders, found.units)
    yield Reading("flash", "orders", found.orders, "orders")
    yield Reading("flash", "units", found.units, "units")
    yield Reading("flash", "promised", found.promised, "orders")
    yield Reading("flash", "promised too many or too few", abs(found.promised - there), "orders", NONE)
    yield Reading("flash", "told to wait", found.waiting, "orders")
    yield Reading("flash", "answered", found.orders / found.seconds, "/s")
    yield Reading("flash", "p50 from order to answer", found.p50_ms, "ms")
    yield Reading("flash", "p99 from order to answer", found.p99_ms, "ms")


def asof(run: Run) -> Iterator[Reading]:
    """Questions of the past over a long ledger."""
    run.progress(f"as of: {run.asof_movements:,} movements, {run.asof_questions:,} questions of each kind")
    found = run.wait(asof_of.measure(run.asof_movements, run.asof_questions))
    yield Reading("asof", "movements", found.movements, "movements")
    for kind in found.questions_ms:
        aim = None if kind.startswith(asof_of.BARE) else AS_OF
        yield Reading("asof", f"{kind}: p50", asof_of.p(found, kind, 0.5), "ms")
        yield Reading("asof", f"{kind}: p99", asof_of.p(found, kind, 0.99), "ms", aim)
    yield Reading("asof", "snapshots", found.snapshots, "snapshots")
    yield Reading("asof", "snapshots: a movement", found.snapshot_seconds / found.movements * 1e6, "µs")
    yield Reading("asof", "snapshots: bytes to the ledger's", found.snapshot_bytes / found.ledger_bytes)
