"""`orderlog orders`: submit a file of them, look one up, list them, cancel one, release a hold."""

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import TextColumn

from cli import order_page
from cli.client import (
    DEFAULT_TENANT,
    Edges,
    Refused,
    TenantOption,
    Unanswered,
    connect,
    event_types,
)
from cli.loadfile import SUFFIXES, read_orders
from cli.output import JsonOption, bar, console, emit, table
from cli.submit import Failure, Submission, submit
from cli.text import add_row, count, tell, utc
from libs.events.ids import order_id
from libs.runtime.complaint import Complaint
from libs.runtime.settings import STAGES, settings

app = typer.Typer(no_args_is_help=True, help="Submit, look up, list and cancel orders.")

FAILURES_SHOWN_MAX = 20
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_ASK_AGAIN_SECONDS = 0.2

IdArgument = Annotated[
    str,
    typer.Argument(metavar="ID", help="Order id, CHANNEL/EXTERNAL_ID, or with --channel the external id."),
]
ChannelOption = Annotated[str | None, typer.Option("--channel", help="ID is this channel's external id.")]


@app.command("submit")
def submit_file(
    file: Annotated[Path, typer.Argument(help="JSON, NDJSON or CSV; the name's ending tells which.")],
    tenant: TenantOption = DEFAULT_TENANT,
    json: JsonOption = False,
) -> None:
    """Submit every order of a file; the same file again does nothing twice.

    Ends with 1 when an order was refused, unreadable or not decided. A rejected order is decided: intake has
    it, and will not fulfil it.

    Example: orderlog orders submit orders.csv --tenant shop
    """
    lines = _lines_of(file)
    began = time.monotonic()
    with connect(tenant) as edges, bar(TextColumn("{task.fields[orders]:,} orders")) as bars:
        task = bars.add_task("submitting", total=lines, orders=0)

        def show(line: int, so_far: Submission) -> None:
            bars.update(task, completed=line, orders=so_far.orders)

        done = submit(edges, read_orders(file), settings().body_bytes_max, show)
        bars.update(task, completed=lines)
    seconds = round(time.monotonic() - began, 2)
    _tell_failures(file.name, done)
    _tell_summary(done, tenant, seconds)
    if json:
        emit(_as_json(file, tenant, done, seconds))
    if done.failed:
        raise typer.Exit(1)


@app.command("show")
def show_order(
    id_: IdArgument,
    channel: ChannelOption = None,
    tenant: TenantOption = DEFAULT_TENANT,
    json: JsonOption = False,
) -> None:
    """One order: where it stands, what it waits for, and everything that happened to it.

    Example: orderlog orders show retail/536365 --tenant demo-1
    """
    with connect(tenant, "admin") as edges:
        found = find(edges, id_, channel)
        blocked = order_page.waits(found) + _parked_blocks(edges, found)
    order_page.show(found, blocked)
    if json:
        emit({"ok": True, **found, "waits": blocked})


@app.command("list")
def list_orders(
    status: Annotated[str | None, typer.Option(help="held, backordered, shipped, delivered, …")] = None,
    channel: Annotated[str | None, typer.Option(help="Only this channel's.")] = None,
    external_id: Annotated[str | None, typer.Option(help="The channel's own order number.")] = None,
    sku: Annotated[str | None, typer.Option(help="Orders with a line of this SKU.")] = None,
    service: Annotated[str | None, typer.Option(help="Sent by this service: express, standard, …")] = None,
    since: Annotated[str | None, typer.Option(help="Placed then or later: 2026-03-02 or RFC 3339.")] = None,
    before: Annotated[str | None, typer.Option(help="Placed before then.")] = None,
    limit: Annotated[int, typer.Option("-n", "--limit", min=1, max=100_000, help="How many rows.")] = 20,
    after: Annotated[str | None, typer.Option(help="Where the page before ended.")] = None,
    tenant: TenantOption = DEFAULT_TENANT,
    json: JsonOption = False,
) -> None:
    """Orders, the newest first.

    Example: orderlog orders list --status backordered --sku 85123A -n 50
    """
    chosen = {"status": status, "channel": channel, "external_id": external_id, "sku": sku}
    chosen |= {"from": since, "to": before, "service_": service}
    rows: list[dict[str, Any]] = []
    with connect(tenant) as edges:
        while len(rows) < limit:
            size = min(limit - len(rows), 200)
            page = edges.get("console", "/v1/orders", limit=size, after=after, **chosen)
            rows += page["orders"]
            after = page["next"]
            if after is None:
                break
    drawn = table("order", "status", "placed (UTC)", "units#", "total#")
    for row in rows:
        total = order_page.money(row["total_minor"], row["currency"])
        placed = utc(row["ordered_at"], "%Y-%m-%d %H:%M")
        add_row(
            drawn, f"{row['channel']}/{row['external_id']}", row["status"], placed, f"{row['units']:,}", total
        )
    console.print(drawn)
    if not rows:
        tell(f"No order of tenant {tenant} is like that.")
    if after is not None:
        tell(f"There are more: the same command with --after {after}")
    if json:
        emit({"ok": True, "tenant": tenant, "orders": rows, "next": after})


@app.command("cancel")
def cancel_order(
    id_: IdArgument,
    reason: Annotated[str, typer.Option(help="Why; kept for ever, so no personal data.")],
    channel: ChannelOption = None,
    wait: Annotated[int, typer.Option(min=0, max=600, help="Seconds to wait for the outcome.")] = 15,
    tenant: TenantOption = DEFAULT_TENANT,
    json: JsonOption = False,
) -> None:
    """Cancel what has not been dispatched, and say what came of it.

    Ends with 1 when the cancellation was declined or refused.

    Example: orderlog orders cancel retail/536365 --reason "customer changed her mind"
    """
    with connect(tenant) as edges:
        id_ = resolve(edges, id_, channel)
        answer = edges.decided("intake", f"/v1/orders/{id_}/cancel", {"reason": reason})
        with console.status("waiting for fulfillment's decision"):
            outcome, said = _cancellation(edges, id_, answer, time.monotonic() + wait)
    tell(said, {"cancelled": "green", "declined": "red"}.get(outcome, "yellow"))
    if json:
        emit({"ok": outcome != "declined", "order_id": id_, "outcome": outcome, "message": said})
    if outcome == "declined":
        raise typer.Exit(1)


@app.command("release")
def release_hold(
    id_: IdArgument,
    hold: Annotated[str, typer.Argument(help="The hold's name, as `orders show` tells it.")],
    note: Annotated[str, typer.Option(help="What settled it; no personal data.")] = "",
    channel: ChannelOption = None,
    tenant: TenantOption = DEFAULT_TENANT,
    json: JsonOption = False,
) -> None:
    """Release one hold of an order; with the last one the order is accepted.

    Example: orderlog orders release retail/536365 address --note "customer confirmed it"
    """
    with connect(tenant) as edges:
        id_ = resolve(edges, id_, channel)
        answer = edges.decided("intake", f"/v1/orders/{id_}/holds/{hold}/release", {"note": note})
    remaining = [name for event in answer["events"] for name in event["data"].get("remaining", ())]
    accepted = "order_accepted" in event_types(answer)
    then = f"Still blocking: {', '.join(remaining)}." if remaining else "The order is accepted."
    tell(f"Hold {hold} of order {id_} is released. {then if remaining or accepted else ''}".rstrip())
    if json:
        emit({"ok": True, "order_id": id_, "hold": hold, "remaining": remaining, "accepted": accepted})


def register(parent: typer.Typer) -> None:
    """Add `orders` to the command line."""
    parent.add_typer(app, name="orders")


def resolve(edges: Edges, text: str, channel: str | None) -> str:
    """The order id that a person means. Complaint: none, or several orders have that external id."""
    if channel is not None:
        return order_id(edges.tenant, channel, text)
    if _UUID.fullmatch(text.lower()):
        return text.lower()
    if "/" in text:
        named, _, external = text.partition("/")
        return order_id(edges.tenant, named, external)
    page = edges.get("console", "/v1/orders", external_id=text, limit=5)["orders"]
    if not page:
        raise Complaint(
            f"Tenant {edges.tenant} has no order with id or external id {text}.",
            "Check it and --tenant; `orderlog orders list` shows what there is.",
        )
    if len(page) > 1:
        raise Complaint(
            f"{text} is an external id in several channels: {', '.join(row['channel'] for row in page)}.",
            "Name the channel with --channel.",
        )
    return str(page[0]["order_id"])


def find(edges: Edges, text: str, channel: str | None) -> dict[str, Any]:
    """An order in full. Complaint: there is none."""
    id_ = resolve(edges, text, channel)
    try:
        return edges.get("console", f"/v1/orders/{id_}")
    except Refused as refused:
        if refused.code != "unknown_order":
            raise
        raise Complaint(
            f"Tenant {edges.tenant} has no order {text if text == id_ else f'{text} ({id_})'}.",
            "Check it, --channel and --tenant; one just submitted shows within a second.",
        ) from None


def _parked_blocks(edges: Edges, found: dict[str, Any]) -> list[str]:
    """Stages at which a record of the order is parked, so that what follows it waits."""
    key = f"{edges.tenant}/{found['order_id']}"
    blocks = []
    for stage in STAGES:
        try:
            rows = edges.get(stage, "/v1/parked", limit=1000)["parked"]
        except Unanswered:
            blocks.append(f"{stage} does not answer; see `orderlog status`.")
            continue
        if any(row["key"] == key for row in rows):
            blocks.append(f"A record is parked at {stage}; see `orderlog parked show {key}`.")
    return blocks


def _cancellation(edges: Edges, id_: str, answer: dict[str, Any], give_up_at: float) -> tuple[str, str]:
    """What came of a cancellation that intake took: cancelled, declined or deciding, and a sentence."""
    events = answer["events"]
    if "order_closed" in event_types(answer):
        return "cancelled", f"Order {id_} is cancelled; it was held, and nothing had begun."
    request = events[0]["id"] if events else None
    while True:
        try:
            found = edges.get("console", f"/v1/orders/{id_}")
        except (Refused, Unanswered):  # not projected yet, or no console: the request stands all the same
            found = None
        if found is not None and (told := _decided_cancellation(found, request)) is not None:
            # Its lines may have been read a moment before its timeline; read now, they have the answer too.
            return _told(told, edges.get("console", f"/v1/orders/{id_}"))
        if time.monotonic() >= give_up_at:
            return (
                "deciding",
                f"Requested; what can be stopped is not decided yet. Look later: orderlog orders show {id_}",
            )
        time.sleep(_ASK_AGAIN_SECONDS)


def _decided_cancellation(found: dict[str, Any], request: str | None) -> dict[str, Any] | None:
    """The timeline's entry of fulfillment's answer to the request (an event id).

    Where this was a repeat, no event came of it, and the answer to the earlier request counts.
    """
    answers = {"oms.fulfillment.fulfillment_cancelled", "oms.fulfillment.cancellation_declined"}
    told = [
        entry
        for entry in found["timeline"]
        if entry["type"] in answers
        and (entry["cause"]["id"] == request if request else "request" in (entry["cause"]["type"] or ""))
    ]
    return told[-1] if told else None


def _told(entry: dict[str, Any], found: dict[str, Any]) -> tuple[str, str]:
    if entry["type"].endswith("declined"):
        return "declined", entry["sentence"]
    left = sum(line["ordered"] - line["units"].get("cancelled", 0) for line in found["lines"])
    rest = f" {count(left, 'unit')} had left already, or could not be shipped." if left else ""
    return "cancelled", entry["sentence"] + rest


def _lines_of(file: Path) -> int:
    """How many lines the file has. Complaint: it cannot be read, or is of no known kind."""
    if file.suffix.lower() not in SUFFIXES:
        raise Complaint(
            f"{file}: what kind of file is this?",
            f"The name must end in {', '.join(SUFFIXES)}; docs/demo.md shows each kind.",
            exit_code=2,
        )
    try:
        with file.open("rb") as opened:
            return sum(chunk.count(b"\n") for chunk in iter(lambda: opened.read(1 << 20), b"")) + 1
    except OSError as error:
        raise Complaint(
            f"{file} cannot be read: {error.strerror}.", "Check the path and its permissions.", exit_code=2
        ) from None


def _tell_failures(name: str, done: Submission) -> None:
    told: Callable[[Failure], None] = lambda failure: tell(  # noqa: E731
        f"{name}:{failure.line}: {failure.kind}: {failure.what}",
        "yellow" if failure.kind == "rejected" else "red",
    )
    for failure in done.failures[:FAILURES_SHOWN_MAX]:
        told(failure)
        for error in failure.errors[:5]:
            tell(f"    {error}")
    count_ = done.refused + done.unreadable + done.undecided + done.rejected
    if count_ > FAILURES_SHOWN_MAX:
        tell(f"… and {count_ - FAILURES_SHOWN_MAX:,} more; --json gives the first 1,000 in full.")


def _tell_summary(done: Submission, tenant: str, seconds: float) -> None:
    drawn = table("tenant", "orders#", "accepted#", "held#", "rejected#", "refused#", "unreadable#")
    figures = (done.orders, done.accepted, done.held, done.rejected, done.refused, done.unreadable)
    add_row(drawn, tenant, *(f"{figure:,}" for figure in figures))
    console.print(drawn)
    if done.known:
        tell(f"{count(done.known, 'order')} had been submitted before, in another way.")
    if done.undecided:
        tell(
            f"{count(done.undecided, 'order')} not decided yet. Run it again: nothing is done twice.",
            "yellow",
        )
    tell(f"{seconds:.1f} s. See them: orderlog orders list --tenant {tenant}")


def _as_json(file: Path, tenant: str, done: Submission, seconds: float) -> dict[str, object]:
    return {
        "ok": not done.failed,
        "file": str(file),
        "tenant": tenant,
        "orders": done.orders,
        "accepted": done.accepted,
        "held": done.held,
        "rejected": done.rejected,
        "known": done.known,
        "refused": done.refused,
        "unreadable": done.unreadable,
        "undecided": done.undecided,
        "seconds": seconds,
        "failures": [
            {"line": one.line, "kind": one.kind, "what": one.what, "errors": one.errors}
            for one in done.failures
        ],
    }
