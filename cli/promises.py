"""`orderlog stock promise`: hold a basket for an order that is yet to come, and give it up."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any
from urllib.parse import quote

import typer

from cli.client import DEFAULT_TENANT, TenantOption, connect
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
    delivery = held.get("delivery")
    if delivery is not None:
        tell(_arrival(delivery))
    if json:
        told = {name: held[name] for name in (*_TOLD, "delivery") if name in held}
        emit({"ok": True, "tenant": tenant, **told})


def _arrival(delivery: Mapping[str, Any]) -> str:
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


@app.command("terms")
def terms(
    sku: Annotated[str, typer.Argument(metavar="SKU", help="The stock keeping unit; case matters.")],
    safety: Annotated[int, typer.Option(min=0, help="Units that nobody is promised.")] = 0,
    share: Annotated[
        list[str] | None,
        typer.Option(metavar="CHANNEL=QTY", help="Units kept for a channel. Can be repeated."),
    ] = None,
    lend: Annotated[
        list[str] | None,
        typer.Option(metavar="OWNER:BORROWER", help="Who may take from a share. Can be repeated."),
    ] = None,
    buffer: Annotated[
        list[str] | None,
        typer.Option(metavar="CHANNEL=QTY", help="Units that a channel is not promised. Can be repeated."),
    ] = None,
    sold_out_at: Annotated[
        list[str] | None,
        typer.Option(metavar="CHANNEL=QTY", help="A channel shows none with so few. Can be repeated."),
    ] = None,
    shown_max: Annotated[
        list[str] | None,
        typer.Option(metavar="CHANNEL=QTY", help="A channel shows no more than these. Can be repeated."),
    ] = None,
    shelf_days: Annotated[
        list[str] | None,
        typer.Option(metavar="CHANNEL=DAYS", help="Days that its lots must have left. Can be repeated."),
    ] = None,
    low_at: Annotated[int | None, typer.Option(min=0, help="With so few free units it is low.")] = None,
    recovered_at: Annotated[
        int | None, typer.Option(min=1, help="With so many it is not low any more; else a tenth above.")
    ] = None,
    reorder: Annotated[
        str | None,
        typer.Option(metavar="UNITS:RANK", help="Below so many free units only ranks up to this get any."),
    ] = None,
    backorders_max: Annotated[
        int | None, typer.Option(min=0, help="So many units may be waited for beyond the stock.")
    ] = None,
    backorders: Annotated[
        list[str] | None,
        typer.Option("--backorders", metavar="CHANNEL=QTY", help="The same of a channel. Can be repeated."),
    ] = None,
    backorders_inbound: Annotated[
        bool, typer.Option("--backorders-inbound", help="No more may be waited for than is to come.")
    ] = False,
    backorders_from: Annotated[
        str | None, typer.Option(metavar="TIME", help="Nobody may wait for it before; ISO 8601 with a zone.")
    ] = None,
    backorders_until: Annotated[
        str | None, typer.Option(metavar="TIME", help="Nobody may begin to wait for it from then on.")
    ] = None,
    tenant: TenantOption = DEFAULT_TENANT,
    json: JsonOption = False,
) -> None:
    """Set what of a SKU may be promised to whom, and shown where: the whole of it is replaced.

    Example: orderlog stock promise terms MUG --safety 2 --share web=10 --lend web:pos --low-at 20
    """
    ways = {"buffer": buffer or (), "sold_out_at": sold_out_at or (), "shown_max": shown_max or ()}
    ways["shelf_days_min"] = shelf_days or ()
    body: dict[str, Any] = {"safety_stock": safety, "shares": _shares(share or (), lend or ())}
    more = {"channels": _channels(ways) or None, "low_at": low_at, "recovered_at": recovered_at}
    body |= {name: value for name, value in more.items() if value is not None}
    if reorder is not None:
        body["reorder"] = _reorder(reorder)
    until = {"opens_at": backorders_from, "closes_at": backorders_until}
    if capped := _backorders(backorders_max, backorders_inbound, backorders or (), until):
        body["backorders"] = capped
    _set_terms(tenant, sku, body, json)


def _set_terms(tenant: str, sku: str, body: Mapping[str, Any], json: bool) -> None:
    with connect(tenant) as edges:
        answer = edges.decided("inventory", f"/v1/promise-terms/{quote(sku, safe='')}", body, method="PUT")
    of_terms = (event["data"] for event in answer["events"])
    version = next((one["terms_version"] for one in of_terms if "terms_version" in one), None)
    tell(_of_terms(sku, body) if version else f"The terms of {sku} were that already.")
    if json:
        emit({"ok": True, "tenant": tenant, "sku": sku, **body, "terms_version": version})


def _shares(shares: Sequence[str], lends: Sequence[str]) -> list[dict[str, Any]]:
    """`CHANNEL=QTY` and `OWNER:BORROWER` texts as shares. Complaint: one that is none, or lends nothing."""
    found: dict[str, dict[str, Any]] = {
        str(one["sku"]): {"channel": one["sku"], "units": one["quantity"], "lends_to": []}
        for one in read_wanted(shares)
    }
    for text in lends:
        owner, _, borrower = text.partition(":")
        if not borrower or owner not in found:
            next_step = "Write OWNER:BORROWER, and give the owner a --share."
            raise Complaint(f"`{text}` lends from no share.", next_step, exit_code=2)
        found[owner]["lends_to"].append(borrower)
    return list(found.values())


def _reorder(text: str) -> dict[str, int]:
    """`UNITS:RANK` as a document. Complaint: a text that is none."""
    point, _, rank = text.partition(":")
    if not (point.isdecimal() and rank.isdecimal()):
        raise Complaint(f"`{text}` is no UNITS:RANK.", "Write it like 24:20.")
    return {"point": int(point), "rank_max": int(rank)}


def _of_terms(sku: str, body: Mapping[str, Any]) -> str:
    """Whom the units of a SKU are kept from, and for whom, as a sentence."""
    kept = ", ".join(f"{one['units']:,} for {one['channel']}" for one in body["shares"])
    said = f"Of {sku}, {count(body['safety_stock'], 'unit')} are promised to nobody"
    return f"{said}{f'; kept: {kept}' if kept else ''}{_waited(body.get('backorders', {}))}."


def _backorders(
    units_max: int | None, inbound: bool, of_channels: Sequence[str], until: Mapping[str, str | None]
) -> dict[str, Any]:
    """What may be waited for, as a document; empty where nothing limits it. Complaint: a CHANNEL=QTY that is
    none."""
    found: dict[str, Any] = {name: value for name, value in until.items() if value is not None}
    if units_max is not None:
        found["units_max"] = units_max
    if inbound:
        found["inbound"] = True
    if of_channels:
        found["channels"] = [
            {"channel": one["sku"], "units_max": one["quantity"]} for one in read_wanted(of_channels)
        ]
    return found


def _waited(capped: Mapping[str, Any]) -> str:
    """The caps as words after a sentence."""
    said = list[str]()
    if "units_max" in capped:
        said.append(f"{count(capped['units_max'], 'unit')} may be waited for")
    if capped.get("inbound"):
        said.append("no more may be waited for than is to come")
    said += [f"{one['units_max']:,} by {one['channel']}" for one in capped.get("channels", ())]
    for name, word in (("opens_at", "from"), ("closes_at", "until")):
        if name in capped:
            said.append(f"{word} {capped[name]}")
    return f"; {', '.join(said)}" if said else ""


def _channels(ways: Mapping[str, Sequence[str]]) -> list[dict[str, Any]]:
    """`CHANNEL=QTY` texts by what they say of a channel, as one document a channel."""
    found: dict[str, dict[str, Any]] = {}
    for way, texts in ways.items():
        for one in read_wanted(texts):
            channel = str(one["sku"])
            found.setdefault(channel, {"channel": channel})[way] = one["quantity"]
    return list(found.values())


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
