"""`orderlog stock policies`: who gets what is scarce, by a file; without one, as it is now."""

from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from cli.client import DEFAULT_TENANT, TenantOption, connect
from cli.output import JsonOption, console, emit, table
from cli.text import add_row, count, tell
from libs.runtime.complaint import Complaint

PATH = "/v1/stock/policies"


def policies(
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="JSON: classes and rules. Without it, show them.")
    ] = None,
    tenant: TenantOption = DEFAULT_TENANT,
    json: JsonOption = False,
) -> None:
    """Show who gets what is scarce, or replace it by a file, the whole of it.

    Example: orderlog stock policies policies.json
    """
    if file is None:
        with connect(tenant) as edges:
            told = edges.get("inventory", PATH)
        _show(told)
    else:
        told = _define(file, tenant)
    if json:
        emit({"ok": True, "tenant": tenant, **told})


def register(parent: typer.Typer) -> None:
    """Add `policies` to the commands about stock."""
    parent.command("policies")(policies)


def _define(file: Path, tenant: str) -> dict[str, Any]:
    body = _read(file)
    with connect(tenant) as edges:
        answer = edges.decided("inventory", PATH, body, method="PUT")
    version = next((event["data"]["version"] for event in answer["events"]), None)
    said = f"The policies are at version {version}: {count(len(body.get('rules', [])), 'rule')}."
    tell(said if version else "The policies were that already.")
    return {"version": version}


def _read(file: Path) -> dict[str, Any]:
    try:
        body = orjson.loads(file.read_bytes())
    except OSError as error:
        raise Complaint(f"{file} cannot be read: {error.strerror}.", "Check its name.") from None
    except orjson.JSONDecodeError as error:
        raise Complaint(f"{file} is no JSON: {error}.", "Correct it, and send it again.") from None
    if not isinstance(body, dict):
        raise Complaint(
            f"{file} holds no object.", 'Write {"classes": […], "rules": […]}; see docs/inventory.md.'
        )
    return body


def _rank(served: dict[str, Any]) -> str:
    """Its rank, and after how many days each its orders move up."""
    days = served.get("step_days")
    return f"{served['rank']}/{days}d" if days else str(served["rank"])


def _show(told: dict[str, Any]) -> None:
    if not told["version"]:
        tell("No policies: who waits is served by age, and an order ships when all of it is there.")
        return
    tell(f"Version {told['version']}; the first rule that fits an order counts.")
    ranks = {one["name"]: _rank(one) for one in told["classes"]}
    drawn = table("channel", "type", "service", "class", "rank#", "policy", "ends", "takes")
    for rule in told["rules"]:
        days = rule["wait_days"]
        add_row(
            drawn,
            *(rule[name] or "any" for name in ("channel", "order_type", "service")),
            rule["priority"] or "–",
            ranks.get(rule["priority"], "50"),
            rule["policy"].replace("_", " "),
            f"{count(days, 'day')}, then {rule['then']}" if days else "never",
            "of who is behind" if rule["reallocates"] else "–",
        )
    console.print(drawn)
