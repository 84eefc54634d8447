"""`orderlog stock promise`: hold a basket for an order that is yet to come, and give it up."""

from collections.abc import Sequence
from typing import Annotated
from urllib.parse import quote

import typer

from cli.client import DEFAULT_TENANT, TenantOption, connect, undecided
from cli.output import JsonOption, emit
from cli.text import count, tell
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
    tenant: TenantOption = DEFAULT_TENANT,
    json: JsonOption = False,
) -> None:
    """Hold a basket, all of it or nothing; the order that names the promise gets the units.

    Example: orderlog stock promise hold MUG=2 TEA=1 --ttl 600
    """
    body = {"lines": read_wanted(wanted), "ttl_seconds": ttl, "channel": channel, "promise_id": promise_id}
    with connect(tenant) as edges:
        answer = edges.send("inventory", "/v1/promises", body)
    if not answer.get("decided"):
        raise undecided(answer, "inventory")
    [held] = [event["data"] for event in answer["events"]] or [None]
    if held is None:
        raise Complaint(
            "The answer to this basket has no event.", "Look at the stage's log: `orderlog logs inventory`."
        )
    units = count(sum(line["quantity"] for line in held["lines"]), "unit")
    tell(f"Held {units} as promise {held['promise_id']}, until {held['expires_at'][:19]}Z.")
    if json:
        emit({"ok": True, "tenant": tenant, **{name: held[name] for name in _TOLD}})


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
        answer = edges.send("inventory", path, {"reason": reason})
    if not answer.get("decided"):
        raise undecided(answer, "inventory")
    freed = sum(move["quantity"] for event in answer["events"] for move in event["data"]["movements"])
    tell(f"Promise {promise_id} holds nothing any more: {count(freed, 'unit')} are free again.")
    if json:
        emit({"ok": True, "tenant": tenant, "promise_id": promise_id, "freed": freed})


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
