"""`orderlog nodes`: the places that orders ship from."""

from typing import Annotated
from urllib.parse import quote

import typer

from cli.client import DEFAULT_TENANT, TenantOption, connect, undecided
from cli.output import JsonOption, emit
from cli.text import tell

app = typer.Typer(no_args_is_help=True, help="Say where orders can ship from.")


@app.command("define")
def define(
    node: Annotated[str, typer.Argument(metavar="NODE", help="Its id: letters, digits, dots and hyphens.")],
    name: Annotated[str, typer.Option(help="What people call it.")],
    country: Annotated[str, typer.Option(help="ISO 3166-1 alpha-2, such as GB.")],
    latitude: Annotated[float, typer.Option("--lat", min=-90, max=90, help="Degrees north.")],
    longitude: Annotated[float, typer.Option("--lon", min=-180, max=180, help="Degrees east.")],
    ships_to: Annotated[
        list[str] | None, typer.Option("--ships-to", help="Countries it serves: GB,IE. Without it, all.")
    ] = None,
    active: Annotated[bool, typer.Option("--active/--inactive", help="Whether it takes orders.")] = True,
    tenant: TenantOption = DEFAULT_TENANT,
    json: JsonOption = False,
) -> None:
    """Define a node, or change it: the whole of it is replaced.

    Example: orderlog nodes define LON --name London --country GB --lat 51.5 --lon -0.1 --ships-to GB,IE
    """
    countries = [code.strip().upper() for text in ships_to or () for code in text.split(",") if code.strip()]
    body = {
        "name": name,
        "country": country.upper(),
        "latitude": latitude,
        "longitude": longitude,
        "ships_to": countries or None,
        "active": active,
    }
    with connect(tenant) as edges:
        answer = edges.send("routing", f"/v1/nodes/{quote(node, safe='')}", body, method="PUT")
    if not answer.get("decided"):
        raise undecided(answer, "routing")
    serves = ", ".join(countries) if countries else "every country"
    state = f"ships to {serves}" if active else "takes no orders"
    changed = bool(answer["events"])
    tell(f"Node {node} ({name}, {body['country']}) {state}." if changed else f"Node {node} was that already.")
    if json:
        emit({"ok": True, "tenant": tenant, "node": node, **body, "changed": changed})


def register(parent: typer.Typer) -> None:
    """Add `nodes` to the command line."""
    parent.add_typer(app, name="nodes")
