"""`orderlog orders cancel-lines`, `hold`, `note`: what support does to an order that is under way."""

import re
import time
from typing import Annotated, Any

import typer

from cli.client import (
    DEFAULT_TENANT,
    Edges,
    Refused,
    TenantOption,
    Unanswered,
    connect,
    event_types,
)
from cli.orders import ChannelOption, IdArgument, find, resolve
from cli.output import JsonOption, console, emit
from cli.text import tell
from libs.runtime.complaint import Complaint

WaitOption = Annotated[int, typer.Option(min=0, max=600, help="Seconds to wait for the outcome.")]
_ASK_AGAIN_SECONDS = 0.2
_LINE = re.compile(r"(\d{1,7})=(\d{1,7})")


def cancel_lines(
    id_: IdArgument,
    line: Annotated[list[str], typer.Option(help="LINE=UNITS, as often as needed: --line 2=1 --line 3=4.")],
    reason: Annotated[str, typer.Option(help="Why; kept for ever, so no personal data.")],
    channel: ChannelOption = None,
    wait: WaitOption = 15,
    tenant: TenantOption = DEFAULT_TENANT,
    json: JsonOption = False,
) -> None:
    """Cancel units of some lines that no node has picked, and say what came of it; the others go on.

    Ends with 1 when some of it was too late, or it was refused.

    Example: orderlog orders cancel-lines retail/536365 --line 2=1 --reason "one is enough"
    """
    lines = [line_units(text) for text in line]
    with connect(tenant) as edges:
        id_ = resolve(edges, id_, channel)
        body = {"lines": lines, "reason": reason}
        answer = edges.decided("intake", f"/v1/orders/{id_}/cancel-lines", body)
        with console.status("waiting for fulfillment's decision"):
            outcome, said = _came_of(edges, id_, answer, time.monotonic() + wait)
    tell(said, {"cancelled": "green", "deciding": "yellow"}.get(outcome, "red"))
    if json:
        ok = outcome in ("cancelled", "deciding")
        emit({"ok": ok, "order_id": id_, "outcome": outcome, "message": said})
    if outcome in ("declined", "partly_cancelled"):
        raise typer.Exit(1)


def place_hold(
    id_: IdArgument,
    hold: Annotated[str, typer.Argument(help="A name: fraud_review, customer_request, …")],
    message: Annotated[str, typer.Option(help="Why, and what settles it; no personal data.")],
    channel: ChannelOption = None,
    wait: WaitOption = 5,
    tenant: TenantOption = DEFAULT_TENANT,
    json: JsonOption = False,
) -> None:
    """Keep an order from the nodes until `orders release` lifts the hold; its stock is kept for it.

    Ends with 1 when a node has work of it already.

    Example: orderlog orders hold retail/536365 fraud_review --message "ask the bank"
    """
    with connect(tenant) as edges:
        id_ = resolve(edges, id_, channel)
        answer = edges.decided("intake", f"/v1/orders/{id_}/holds", {"hold": hold, "message": message})
        with console.status("waiting for fulfillment"):
            declined = _declined(edges, id_, answer, time.monotonic() + wait)
    if declined is not None:
        tell(declined, "red")
    else:
        tell(f"Order {id_} is held: {hold}. Lift it: orderlog orders release {id_} {hold}", "green")
    if json:
        emit({"ok": declined is None, "order_id": id_, "hold": hold, "message": declined or message})
    if declined is not None:
        raise typer.Exit(1)


def add_note(
    id_: IdArgument,
    text: Annotated[str, typer.Argument(help="Up to 2,000 characters; may name a person: it is sealed.")],
    channel: ChannelOption = None,
    tenant: TenantOption = DEFAULT_TENANT,
    json: JsonOption = False,
) -> None:
    """Write something on an order, for people; it is erased with its customer.

    Example: orderlog orders note retail/536365 "rang: wants the blue one next time"
    """
    with connect(tenant) as edges:
        found = find(edges, id_, channel)
        id_ = str(found["order_id"])
        edges.decided("intake", f"/v1/orders/{id_}/notes", {"text": text})
    tell(f"Written on order {id_}.", "green")
    if json:
        emit({"ok": True, "order_id": id_})


def register(orders: typer.Typer) -> None:
    """Add the commands to `orderlog orders`."""
    orders.command("cancel-lines")(cancel_lines)
    orders.command("hold")(place_hold)
    orders.command("note")(add_note)


def line_units(text: str) -> dict[str, int]:
    """`2=1` as a line's units. Complaint: it is nothing of the kind."""
    found = _LINE.fullmatch(text.strip())
    if found is None:
        raise Complaint(
            f"--line {text}: what is meant?",
            "Write LINE=UNITS: --line 2=1 is one unit of line 2.",
            exit_code=2,
        )
    return {"line": int(found[1]), "quantity": int(found[2])}


def _came_of(edges: Edges, id_: str, answer: dict[str, Any], give_up_at: float) -> tuple[str, str]:
    """What came of a request that intake took: (partly_)cancelled, declined or deciding, and a sentence."""
    types = event_types(answer)
    if "order_closed" in types:
        return (
            "cancelled",
            f"That was all of it: order {id_} is cancelled; it was held, and nothing had begun.",
        )
    if "order_cancellation_requested" in types:
        said = f"That is all that is left: the cancellation of order {id_} is requested."
        return "deciding", f"{said} Look: orderlog orders show {id_}"
    wanted = [e["data"]["cancellation_id"] for e in answer["events"] if "cancellation_id" in e["data"]]
    while True:
        for one in order_now(edges, id_).get("line_cancellations", ()):
            if one["cancellation_id"] in wanted and one["decided_at"] is not None:
                return _told(one)
        if time.monotonic() >= give_up_at:
            later = f"Look later: orderlog orders show {id_}"
            return "deciding", f"Requested; what can be stopped is not decided yet. {later}"
        time.sleep(_ASK_AGAIN_SECONDS)


def _told(one: dict[str, Any]) -> tuple[str, str]:
    off = sum(line["quantity"] for line in one["cancelled"])
    stopped = f"{off} unit{'' if off == 1 else 's'} cancelled."
    if not one["kept"]:
        return "cancelled", stopped
    return ("partly_cancelled", f"{stopped} {one['why_kept']}") if off else ("declined", one["why_kept"])


def _declined(edges: Edges, id_: str, answer: dict[str, Any], give_up_at: float) -> str | None:
    """Why a hold was too late; None when fulfillment has not said so in time, or has nothing of the order."""
    asked = {event["id"] for event in answer["events"]}
    while asked:
        found = order_now(edges, id_)
        for entry in found.get("timeline", ()):
            if entry["type"].endswith("hold_declined") and entry["cause"]["id"] in asked:
                return str(entry["sentence"])
        if not found.get("fulfillment_orders") or time.monotonic() >= give_up_at:
            return None
        time.sleep(_ASK_AGAIN_SECONDS)
    return None


def order_now(edges: Edges, id_: str) -> dict[str, Any]:
    """The order as the console has it; empty while it does not answer."""
    try:
        return edges.get("console", f"/v1/orders/{id_}")
    except (Refused, Unanswered):
        return {}
