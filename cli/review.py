"""`orderlog nodes review` and `orders approve`: which plans a person sees first, and what becomes of one."""

from typing import Annotated

import typer

from cli.client import DEFAULT_TENANT, Edges, TenantOption, connect
from cli.orders import ChannelOption, IdArgument, find, resolve
from cli.output import JsonOption, emit
from cli.text import tell
from libs.runtime.complaint import Complaint

PATH = "/v1/review"


def review(
    nodes_max: Annotated[
        int | None, typer.Option("--nodes-max", min=1, max=1000, help="Nodes that a plan may have.")
    ] = None,
    distance_km_max: Annotated[
        int | None, typer.Option("--km-max", min=0, max=100_000, help="Kilometres from its nodes, added up.")
    ] = None,
    farther_km_max: Annotated[
        int | None,
        typer.Option(
            "--farther-km-max",
            min=0,
            max=100_000,
            help="Kilometres more than the nearest with stock.",
        ),
    ] = None,
    none: Annotated[bool, typer.Option("--none", help="Hold no plan from now on.")] = False,
    tenant: TenantOption = DEFAULT_TENANT,
    json: JsonOption = False,
) -> None:
    """Show which plans are held until a person approves them; or say so anew: all limits are replaced.

    Example: orderlog nodes review --nodes-max 2 --km-max 800 --farther-km-max 300
    """
    limits = {"nodes_max": nodes_max, "distance_km_max": distance_km_max, "farther_km_max": farther_km_max}
    stated = any(limit is not None for limit in limits.values())
    if none and stated:
        raise Complaint("--none and a limit exclude each other.", "Name one of them.", exit_code=2)
    changed = False
    with connect(tenant) as edges:
        if none or stated:
            answer = edges.decided("routing", PATH, limits, method="PUT")
            changed = bool(answer["events"])
        else:
            told = edges.get("routing", PATH)
            limits = {name: told[name] for name in limits}
    before = "" if not (none or stated) or changed else "It was that already: "
    tell(before + _said(limits))
    if json:
        emit({"ok": True, "tenant": tenant, **limits, "changed": changed})


def approve(
    id_: IdArgument,
    reason: Annotated[str, typer.Option(help="Why; kept for ever, so no personal data.")],
    node: Annotated[
        list[str] | None,
        typer.Option("--node", help="Ship it from these instead, the fewest of them; as often as needed."),
    ] = None,
    round_: Annotated[
        int | None, typer.Option("--round", min=1, help="Which; else the one that is held now.")
    ] = None,
    channel: ChannelOption = None,
    tenant: TenantOption = DEFAULT_TENANT,
    json: JsonOption = False,
) -> None:
    """Let a plan pass that is held for review, or one from other nodes; its dates are reckoned anew.

    Which orders wait for it: orderlog orders list --status in_review

    Example: orderlog orders approve retail/536365 --reason "it is for a shop window"
    """
    with connect(tenant) as edges:
        if round_ is None:
            id_, round_ = _held(edges, id_, channel)
        else:
            id_ = resolve(edges, id_, channel)
        body = {"round": round_, "nodes": node or None, "reason": reason}
        answer = edges.decided("routing", f"/v1/orders/{id_}/routing/approve", body)
    [routed] = [event["data"] for event in answer["events"]]
    nodes = [plan["node"] for plan in routed["nodes"]]
    promised = routed.get("promised") or {}
    date = f"; to be delivered by {promised['deliver_by']}" if promised else ""
    tell(f"Order {id_} is routed to {', '.join(nodes)}{date}.", "green")
    if json:
        emit(
            {
                "ok": True,
                "order_id": id_,
                "round": round_,
                "nodes": nodes,
                **{name: promised.get(name) for name in ("ship_by", "deliver_by")},
            }
        )


def register(nodes: typer.Typer, orders: typer.Typer) -> None:
    """Add the commands to `orderlog nodes` and `orderlog orders`."""
    nodes.command("review")(review)
    orders.command("approve")(approve)


def _held(edges: Edges, text: str, channel: str | None) -> tuple[str, int]:
    """An order and the round of its plan that is held. Complaint: none is."""
    found = find(edges, text, channel)
    id_, held = str(found["order_id"]), found.get("in_review")
    if held is None:
        raise Complaint(
            f"No plan of order {id_} is held for review: it is {found['status'].replace('_', ' ')}.",
            f"See what became of it: orderlog orders show {id_}; who waits: orderlog orders list"
            " --status in_review",
        )
    return id_, int(held)


def _said(limits: dict[str, int | None]) -> str:
    """The limits in a sentence."""
    words = {
        "nodes_max": "it takes more than {} nodes",
        "distance_km_max": "its nodes are more than {:,} km away, added up",
        "farther_km_max": "that is more than {:,} km farther than the nearest node with stock",
    }
    said = [words[name].format(limit) for name, limit in limits.items() if limit is not None]
    if not said:
        return "No plan is held for review."
    return f"A plan is held for review if {', or '.join(said)}."
