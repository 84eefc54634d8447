"""How the demo looks in a terminal: one line a stage while it runs, tables at the end, JSON for programs."""

import time
from collections.abc import Mapping

from rich.console import Group
from rich.live import Live
from rich.table import Table

from cli.demo.invoices import InvoiceKind, Period, RowKind
from cli.demo.play import Played, Stage
from cli.demo.report import Report
from cli.output import console, table
from libs.runtime.settings import STAGES

PLAIN_EVERY_SECONDS = 5.0
RATE_SECONDS = 2.0
"""Rates are over at least so long."""

SHOWN: dict[str, tuple[tuple[str, str], ...]] = {
    "intake": (
        ("accepted", "oms.intake.order_accepted"),
        ("held", "oms.intake.order_held"),
        ("rejected", "oms.intake.order_rejected"),
        ("closed", "oms.intake.order_closed"),
    ),
    "inventory": (
        ("receipts", "oms.inventory.stock_received"),
        ("promised", "oms.inventory.stock_reserved"),
        ("backordered", "oms.inventory.stock_backordered"),
        ("allocated", "oms.inventory.stock_allocated"),
        ("issued", "oms.inventory.stock_issued"),
    ),
    "routing": (
        ("routed", "oms.routing.order_routed"),
        ("unroutable", "oms.routing.order_unroutable"),
    ),
    "fulfillment": (
        ("released", "oms.fulfillment.fulfillment_released"),
        ("short", "oms.fulfillment.pick_shorted"),
        ("dispatched", "oms.fulfillment.shipment_dispatched"),
        ("delivered", "oms.fulfillment.shipment_delivered"),
        ("lost", "oms.fulfillment.shipment_lost"),
    ),
    "notifications": (
        ("asked for", "oms.notifications.message_requested"),
        ("sent", "oms.notifications.message_sent"),
        ("failed", "oms.notifications.message_failed"),
    ),
    "returns": (
        ("authorised", "oms.returns.return_authorised"),
        ("closed", "oms.returns.return_closed"),
        ("refunds", "oms.returns.refund_requested"),
    ),
}


class Progress:
    """The live display; plain lines where standard error is no terminal. Use as a context manager."""

    def __init__(self, orders: int) -> None:
        self._orders = orders
        self._live = Live(console=console, refresh_per_second=4, transient=True)
        self._began = self._rated_at = self._told_at = time.monotonic()
        self._counted: dict[str, int] = {}
        self._rates: dict[str, float] = dict.fromkeys(STAGES, 0.0)

    def __enter__(self) -> "Progress":
        if console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if console.is_terminal:
            self._live.stop()

    def show(self, stage: Stage) -> None:
        """Bring the display up to date; cheap enough to be called often."""
        now = time.monotonic()
        if now - self._rated_at >= RATE_SECONDS:
            for name in STAGES:
                count = stage.watch.stages[name]
                self._rates[name] = (count - self._counted.get(name, 0)) / (now - self._rated_at)
                self._counted[name] = count
            self._rated_at = now
        if console.is_terminal:
            if now - self._told_at >= 0.25:
                self._live.update(Group(self._head(stage), self._lines(stage)))
                self._told_at = now
        elif now - self._told_at >= PLAIN_EVERY_SECONDS:
            console.print(self._head(stage), markup=False, soft_wrap=True)
            self._told_at = now

    def _head(self, stage: Stage) -> str:
        watch = stage.watch
        if not watch.submitted:
            received = watch.types["oms.inventory.stock_received"]
            return f"Receiving the opening stock: {received:,} of {len(stage.plan.opening):,} receipts"
        seconds = time.monotonic() - self._began
        return (
            f"{len(watch.submitted):,} of {self._orders:,} orders submitted · {len(watch.busy):,} on the way"
            f" to a warehouse · {stage.buyer.waiting:,} wait for stock · {len(watch.closed):,} at their end"
            f" · {watch.messages_sent:,} messages sent · {seconds:.0f} s"
        )

    def _lines(self, stage: Stage) -> Table:
        drawn = table("stage", "events#", "a second#", "")
        for name in STAGES:
            parts = [f"{stage.watch.types[type_]:,} {label}" for label, type_ in SHOWN[name]]
            drawn.add_row(
                name, f"{stage.watch.stages[name]:,}", f"{self._rates[name]:,.0f}", " · ".join(parts)
            )
        return drawn


def month_table(month: Period) -> Table:
    """What became of each line and each invoice of the file."""
    drawn = table("what the file's lines are", "lines#", title="The month, as it was read")
    for row_kind in RowKind:
        if month.rows[row_kind]:
            drawn.add_row(row_kind.value, f"{month.rows[row_kind]:,}")
    drawn.add_row("[bold]lines[/]", f"[bold]{month.rows.total():,}[/]")
    for invoice_kind in InvoiceKind:
        if month.invoices[invoice_kind]:
            drawn.add_row(f"invoice: {invoice_kind.value}", f"{month.invoices[invoice_kind]:,}")
    drawn.add_row("[bold]invoices[/]", f"[bold]{month.invoices.total():,}[/]")
    return drawn


def report_tables(report: Report, played: Played) -> list[Table]:
    """Orders by their end, what happened on the way, events by topic, and the proof."""
    ends = table("orders", "#", title="Orders")
    ends.add_row("submitted", f"{report.submitted:,}")
    for answer in ("accepted", "held", "rejected"):
        ends.add_row(f"first answer: {answer}", f"{report.first_answers[answer]:,}")
    for outcome, count in sorted(report.outcomes.items(), key=lambda item: -item[1]):
        ends.add_row(f"[bold]end: {outcome}[/]", f"{count:,}")
    way = table("on the way", "#", title="What happened")
    for label, value in _happened(report, played).items():
        way.add_row(label, value)
    events = table("topic", "events#", "most frequent", title="Events, each once in its stage's log")
    for topic, types in report.events.items():
        most = sorted(types.items(), key=lambda item: -item[1])[:3]
        text = ", ".join(f"{type_.rpartition('.')[2]} {count:,}" for type_, count in most)
        events.add_row(topic, f"{sum(types.values()):,}", text)
    proof = table("must be 0, and hold", "#", title="The proof, from the logs")
    for label, count in zeros(report).items():
        proof.add_row(label, f"[green]{count}[/]" if not count else f"[bold red]{count}[/]")
    holds = "[green]holds[/]" if report.ledger_holds else "[bold red]broken[/]"
    proof.add_row(f"stock ledger, {report.ledger_movements:,} movements", holds)
    if report.ledger_violation:
        proof.add_row(f"  {report.ledger_violation}", "")
    for label, count in report.doubles.items():
        if count:
            proof.add_row(f"  {label}", f"[red]{count}[/]")
    return [ends, way, events, proof]


def zeros(report: Report) -> dict[str, int]:
    """What must be none."""
    return {
        "oversold_units": report.oversold_units,
        "duplicate_effects": report.duplicate_effects,
        "lost_orders": report.lost_orders,
        "open_orders": report.open_orders,
        "stranded_units": report.stranded_units,
        "unpublished_events": report.unpublished_events,
    }


def as_json(report: Report, played: Played, tenant: str, month: Period) -> dict[str, object]:
    """The report as one JSON object."""
    return {
        "ok": report.sound,
        "tenant": tenant,
        "submitted": report.submitted,
        "accepted": report.first_answers["accepted"],
        "held": report.first_answers["held"],
        "rejected": report.first_answers["rejected"],
        "accepted_in_the_end": report.accepted_ever,
        "outcomes": dict(report.outcomes),
        **zeros(report),
        "ledger_holds": report.ledger_holds,
        "ledger_movements": report.ledger_movements,
        "ledger_violation": report.ledger_violation or None,
        "orders_per_second": report.orders_per_second,
        "seconds": round(report.seconds, 2),
        "submitted_to_released_ms": report.released_ms,
        "backordered": report.backordered,
        "backorders_filled": report.backorders_filled,
        "splits": report.splits,
        "short_picks": report.count("fulfillment", "pick_shorted"),
        "shipments": report.count("fulfillment", "shipment_dispatched"),
        "shipments_lost": report.count("fulfillment", "shipment_lost"),
        "returns": report.count("returns", "return_closed"),
        "units_back": report.units_back,
        "refunds": report.count("returns", "refund_requested"),
        "refunds_minor": report.refunds_minor,
        "messages_sent": report.count("notifications", "message_sent"),
        "messages_failed": report.count("notifications", "message_failed"),
        "events": report.events,
        "refusals": report.refusals,
        "edge_refusals": dict(played.edge_refusals),
        "retried_requests": dict(played.retries),
        "doubles": {name: count for name, count in report.doubles.items() if count},
        "file": {
            "lines": month.rows.total(),
            "invoices": month.invoices.total(),
            "rows": {kind.name.lower(): count for kind, count in month.rows.items()},
        },
    }


def _happened(report: Report, played: Played) -> Mapping[str, str]:
    shown = {
        "backordered": f"{report.backordered:,}",
        "backorders filled": f"{report.backorders_filled:,}",
        "split over nodes": f"{report.splits:,}",
        "short or damaged picks": f"{report.count('fulfillment', 'pick_shorted'):,}",
        "shipments": f"{report.count('fulfillment', 'shipment_dispatched'):,}",
        "shipments lost": f"{report.count('fulfillment', 'shipment_lost'):,}",
        "returns": f"{report.count('returns', 'return_closed'):,}",
        "units restocked": f"{report.units_back.get('restock', 0):,}",
        "units scrapped": f"{report.units_back.get('scrap', 0):,}",
        "units set aside": f"{report.units_back.get('quarantine', 0):,}",
        "take-backs of what never arrived": f"{played.moot_take_backs:,}",
        "refunds": f"{report.count('returns', 'refund_requested'):,} (£{report.refunds_minor / 100:,.2f})",
        "payments voided": f"{report.count('returns', 'void_requested'):,}",
        "lines cancelled by support": f"{report.count('fulfillment', 'lines_cancelled'):,}",
        "messages sent": f"{report.count('notifications', 'message_sent'):,}",
        "commands refused": f"{sum(report.refusals.values()):,}",
        "requests sent again": f"{sum(played.retries.values()):,}",
        "orders a second": f"{report.orders_per_second:,.1f} (over {report.seconds:.1f} s, to the last end)",
    }
    if report.released_ms:
        times = report.released_ms
        shown["submitted to released"] = f"p50 {times['p50']:,.0f} ms · p99 {times['p99']:,.0f} ms"
    for reason, count in {**report.refusals, **played.edge_refusals}.items():
        shown[f"  refused: {reason}"] = f"{count:,}"
    return shown
