"""`orderlog orders amend`: another address or service for an order that is placed."""

import sys
import time
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from cli.changes import WaitOption, order_now
from cli.client import DEFAULT_TENANT, Edges, TenantOption, connect
from cli.orders import ChannelOption, IdArgument, resolve
from cli.output import JsonOption, console, emit
from cli.text import tell
from libs.runtime.complaint import Complaint

_ASK_AGAIN_SECONDS = 0.2


def amend(
    id_: IdArgument,
    reason: Annotated[str, typer.Option(help="Why; kept for ever, so no personal data.")] = "",
    ship_to: Annotated[
        Path | None,
        typer.Option(help="A JSON file with the whole new address, as an order's ship_to; - for the input."),
    ] = None,
    service: Annotated[str | None, typer.Option(help="express, standard, … as channels name it.")] = None,
    preview: Annotated[
        bool, typer.Option("--preview", help="Only say what it would come to; nothing is asked for.")
    ] = False,
    channel: ChannelOption = None,
    wait: WaitOption = 15,
    tenant: TenantOption = DEFAULT_TENANT,
    json: JsonOption = False,
) -> None:
    """Change where an order goes, or by which service, while nothing of it is at a node; say what came of it.

    The address is sealed before anything is published. Ends with 1 when it came too late, or was refused.
    A preview warns where no node ships to the new country; of the address it sends the country alone.

    Example: orderlog orders amend retail/536365 --service express --reason "needs it by Friday"
    """
    body: dict[str, Any] = {"reason": reason}
    if ship_to is not None:
        body["ship_to"] = read_address(ship_to)
    if service is not None:
        body["service"] = service
    if len(body) == 1:
        raise Complaint(
            "Nothing is to be amended.", "Name --ship-to FILE, --service NAME, or both.", exit_code=2
        )
    if not (reason or preview):
        raise Complaint("Why is it amended?", "Name --reason, or only look: --preview.", exit_code=2)
    with connect(tenant) as edges:
        id_ = resolve(edges, id_, channel)
        if preview:
            _look(edges, id_, body, json=json)
            return
        answer = edges.decided("intake", f"/v1/orders/{id_}/amend", body)
        with console.status("waiting for fulfillment's decision"):
            outcome, said = _came_of(edges, id_, answer, time.monotonic() + wait)
    tell(said, {"amended": "green", "deciding": "yellow"}.get(outcome, "red"))
    if json:
        emit({"ok": outcome != "declined", "order_id": id_, "outcome": outcome, "message": said})
    if outcome == "declined":
        raise typer.Exit(1)


def read_address(file: Path) -> dict[str, Any]:
    """The address in a file, or on the input. Complaint: there is none; no value of it is repeated."""
    try:
        text = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
        found = orjson.loads(text)
    except OSError as error:
        raise Complaint(
            f"{file} cannot be read: {error.strerror}.", "Name a file that is there.", exit_code=2
        ) from None
    except orjson.JSONDecodeError:
        found = None
    if not isinstance(found, dict):
        raise Complaint(
            f"{file} is no JSON object.",
            'Write it as an order has it: {"name": …, "address_lines": […], "city": …, "country": "GB"}.',
            exit_code=2,
        )
    return found


def register(orders: typer.Typer) -> None:
    """Add the command to `orderlog orders`."""
    orders.command("amend")(amend)


def _look(edges: Edges, id_: str, body: dict[str, Any], *, json: bool) -> None:
    """Say what it would come to. Raises typer.Exit where it would be refused."""
    country, service = body.get("ship_to", {}).get("country"), body.get("service")
    told = edges.get("console", f"/v1/orders/{id_}/amendment", country=country, service_=service)
    tell(told["sentence"], "" if told["possible"] else "red")
    if told["warning"]:
        tell(told["warning"], "yellow")
    for detail in told["details"]:
        tell(detail)
    if json:
        emit({"ok": told["possible"], "order_id": id_, **told})
    if not told["possible"]:
        raise typer.Exit(1)


def _came_of(edges: Edges, id_: str, answer: dict[str, Any], give_up_at: float) -> tuple[str, str]:
    """What came of a request that intake took: amended, declined or deciding, and a sentence."""
    wanted = [e["data"]["amendment_id"] for e in answer["events"] if "amendment_id" in e["data"]]
    while True:
        for one in order_now(edges, id_).get("amendments", ()):
            if one["amendment_id"] in wanted and one["decided_at"] is not None:
                if one["declined"]:
                    return "declined", str(one["declined"])
                return "amended", f"Order {id_}: changed {one['what']}."
        if time.monotonic() >= give_up_at:
            later = f"Look later: orderlog orders show {id_}"
            return "deciding", f"Requested; whether it comes in time is not decided yet. {later}"
        time.sleep(_ASK_AGAIN_SECONDS)
