"""`orderlog stock promise`: hold a basket for an order that is yet to come, and give it up."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any
from urllib.parse import quote

import typer

from cli.client import DEFAULT_TENANT, TenantOption, connect
from cli.output import JsonOption, emit
from cli.text import count, tell, utc
from libs.runtime.complaint import Complaint

app = typer.Typer(no_args_is_help=True, help="Hold a basket until its order comes, or give it up.")

WantedArgument = Annotated[
    list[str], typer.Argument(metavar="SKU=QTY...", help="Units of each SKU, such as MUG=2.")
]


@app.command("hold")
def hold(
    wanted: WantedArgument,
    ttl: Annotated[int, typer.Option("--ttl", min=1, help="Seconds to hold it.")] = 900,
    promise_id: Annotated[str | None, typer.Option("--id", help="The basket's own id.")] = None,
    channel: Annotated[str | None, typer.Option(help="The channel that it is for.")] = None,
    country: Annotated[
        str | None, typer.Option(help="Where it would go, such as GB; then it is told by when.")
    ] = None,
    service: Annotated[str | None, typer.Option(help="By which service, if not the standard one.")] = None,
    order_type: Annotated[str | None, typer.Option("--type", help="Its order's type.")] = None,
    tenant: TenantOption = DEFAULT_TENANT,
    json: JsonOption = False,
) -> None:
    """Hold a basket, all of it or nothing; the order that names the promise gets the units.

    Example: orderlog stock promise hold MUG=2 TEA=1 --ttl 600
    """
    body = {"lines": read_wanted(wanted), "ttl_seconds": ttl, "channel": channel, "promise_id": promise_id}
    if country is not None:
        body |= {"destination": {"country": country.upper()}, "service": None}
    body |= {name: value for name, value in (("service", service), ("order_type", order_type)) if value}
    with connect(tenant) as edges:
        answer = edges.decided("inventory", "/v1/promises", body)
    [held] = [event["data"] for event in answer["events"]] or [None]
    if held is None:
        raise Complaint(
            "The answer to this basket has no event.", "Look at the stage's log: `orderlog logs inventory`."
        )
    units = count(sum(line["quantity"] for line in held["lines"]), "unit")
    tell(f"Held {units} as promise {held['promise_id']}, until {held['expires_at'][:19]}Z.")
    if held.get("short"):
        tell(f"{_lacking(held['short'])}; in its place in the queue it has it by {utc(held['usable_at'])}.")
    delivery = held.get("delivery")
    if delivery is not None:
        tell(arrival(delivery))
    if json:
        told = {name: held[name] for name in (*_TOLD, "short", "usable_at", "delivery") if name in held}
        emit({"ok": True, "tenant": tenant, **told})


def arrival(delivery: Mapping[str, Any]) -> str:
    """By when it is there, and why then; or why nobody can say."""
    why = " ".join(reason["message"] for reason in delivery["why"])
    if "deliver_by" not in delivery:
        return f"No date can be promised. {why}"
    return f"Leaves {delivery['node']} by {delivery['ship_by']}, delivered by {delivery['deliver_by']}. {why}"


@app.command("release")
def release(
    promise_id: Annotated[str, typer.Argument(metavar="PROMISE", help="As it was answered.")],
    reason: Annotated[str, typer.Option(help="Why; never personal data.")] = "",
    tenant: TenantOption = DEFAULT_TENANT,
    json: JsonOption = False,
) -> None:
    """Give a held basket up before its time; what was released or has expired already stays so.

    Example: orderlog stock promise release basket-7731 --reason "emptied"
    """
    with connect(tenant) as edges:
        path = f"/v1/promises/{quote(promise_id, safe='')}/release"
        answer = edges.decided("inventory", path, {"reason": reason})
    freed = sum(move["quantity"] for event in answer["events"] for move in event["data"]["movements"])
    tell(f"Promise {promise_id} holds nothing any more: {count(freed, 'unit')} are free again.")
    if json:
        emit({"ok": True, "tenant": tenant, "promise_id": promise_id, "freed": freed})


@app.command("show")
def show(
    promise_id: Annotated[str, typer.Argument(metavar="PROMISE", help="As it was answered.")],
    tenant: TenantOption = DEFAULT_TENANT,
    json: JsonOption = False,
) -> None:
    """A held basket: what of which SKUs, until when, and what became of it.

    Example: orderlog stock promise show basket-7731
    """
    with connect(tenant) as edges:
        told = edges.get("inventory", f"/v1/promises/{quote(promise_id, safe='')}")
    wanted = ", ".join(f"{line['quantity']:,} {line['sku']}" for line in told["lines"])
    tell(f"Promise {promise_id} of {wanted}: {told['status']}; it was held until {utc(told['expires_at'])}.")
    if told.get("waiting_for"):
        when = told.get("usable_at")
        by = f"has it by {utc(when)}" if when else "nobody knows when it has it"
        tell(f"{_lacking(told['waiting_for'])}; in its place in the queue {by}.")
    if json:
        emit({"ok": True, "tenant": tenant, **told})


def _lacking(lines: Sequence[Mapping[str, Any]]) -> str:
    """What a basket waits for."""
    lacking = ", ".join(f"{line['quantity']:,} {line['sku']}" for line in lines)
    return f"It waits for {lacking}"


_TOLD = ("promise_id", "lines", "ttl_seconds", "expires_at")


def read_wanted(wanted: Sequence[str]) -> list[dict[str, object]]:
    """`SKU=QTY` texts as lines. Complaint: one that is none."""
    lines: list[dict[str, object]] = []
    for text in wanted:
        sku, _, quantity = text.rpartition("=")
        if not sku or not quantity.isdigit():
            next_step = "Write a SKU, =, and whole units: MUG=2."
            raise Complaint(f"`{text}` is no SKU=QTY.", next_step, exit_code=2)
        lines.append({"sku": sku, "quantity": int(quantity)})
    return lines
