"""`orderlog stock substitutes`: what may be sent in place of a SKU that lacks; alone, what it is now."""

from typing import Annotated
from urllib.parse import quote

import typer

from cli.client import DEFAULT_TENANT, TenantOption, connect
from cli.output import JsonOption, emit
from cli.text import tell


def substitutes(
    sku: Annotated[str, typer.Argument(metavar="SKU", help="What was ordered; case matters.")],
    by: Annotated[
        list[str] | None,
        typer.Argument(metavar="[SKU…]", help="What may be sent, the first to try in front."),
    ] = None,
    none: Annotated[bool, typer.Option("--none", help="Nothing may be sent in its place any more.")] = False,
    tenant: TenantOption = DEFAULT_TENANT,
    json: JsonOption = False,
) -> None:
    """Say what may be sent in place of a SKU that lacks, or show it.

    Example: orderlog stock substitutes MUG MUG-BLUE CUP
    """
    path = f"/v1/substitutes/{quote(sku, safe='')}"
    with connect(tenant) as edges:
        if by or none:
            edges.decided("inventory", path, {"substitutes": by or []}, method="PUT")
        told = {"substitutes": by or []} if by or none else edges.get("inventory", path)
    named = ", ".join(told["substitutes"])
    tell(f"In place of {sku}: {named}." if named else f"Nothing may be sent in place of {sku}.")
    if json:
        emit({"ok": True, "tenant": tenant, "sku": sku, "substitutes": told["substitutes"]})


def register(parent: typer.Typer) -> None:
    """Add `substitutes` to the commands about stock."""
    parent.command("substitutes")(substitutes)
