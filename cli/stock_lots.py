"""`orderlog stock`: the lots of a SKU, who has units of one, and what is recalled."""

from collections.abc import Iterator
from typing import Annotated, Any
from urllib.parse import quote

import typer

from cli.client import DEFAULT_TENANT, Edges, TenantOption, connect
from cli.output import JsonOption, console, emit, table
from cli.text import add_row, count, tell
from libs.runtime.complaint import Complaint

Sku = Annotated[str, typer.Argument(metavar="SKU", help="The stock keeping unit; case matters.")]
Lot = Annotated[str, typer.Argument(metavar="LOT", help="As its maker prints it; case matters.")]
Reason = Annotated[str, typer.Option(help="Why; never personal data.")]
LotOption = Annotated[str | None, typer.Option("--lot", help="Of which lot, where the SKU has lots.")]
ExpiresOption = Annotated[
    str | None, typer.Option("--expires", help="The last day on which the lot may be sold: 2026-12-24.")
]
LotsOption = Annotated[
    list[str] | None,
    typer.Option("--lot", help="Of which lot, where the SKU has lots; LOT=UNITS for each of several."),
]
DamagedLotsOption = Annotated[
    list[str] | None, typer.Option("--damaged-lot", help="Of the broken ones, as --lot of the good ones.")
]
LotCountsOption = Annotated[
    list[str] | None,
    typer.Option("--lot", help="LOT=COUNTED for each lot found; one alone, whose units were found more."),
]
_AT_ONCE = 500
BUCKETS = (
    *("on_hand", "allocated", "suspect", "quarantine", "damaged", "in_transit"),
    *("issued", "missing", "written_off", "scrapped"),
)
STATES = {"good": "", "expired": "expired", "quarantined": "recalled"}


def show_lots(sku: Sku, tenant: TenantOption = DEFAULT_TENANT, json: JsonOption = False) -> None:
    """The lots of a SKU, those that expire first first, and where their units are.

    Example: orderlog stock lots MILK
    """
    with connect(tenant) as edges:
        found = edges.get("inventory", f"/v1/stock/{quote(sku, safe='')}/lots")
    drawn = table("lot", "last day", "node", "on hand#", "allocated#", "quarantine#", "")
    for one in found["lots"]:
        said = STATES[one["state"]]
        for node, units in one["nodes"].items() or [("–", {})]:
            numbers = (units.get(name, 0) for name in ("on_hand", "allocated", "quarantine"))
            add_row(
                drawn, one["lot"], one["expires_on"], node, *(f"{n:,}" if n else "–" for n in numbers), said
            )
    console.print(drawn)
    if json:
        emit({"ok": True, "tenant": tenant, **found})


def show_lot(sku: Sku, lot: Lot, tenant: TenantOption = DEFAULT_TENANT, json: JsonOption = False) -> None:
    """Which orders have units of a lot, or were sent some: whom a recall concerns.

    Example: orderlog stock lot MILK L-2291
    """
    with connect(tenant) as edges:
        orders = list(_orders(edges, f"/v1/stock/{quote(sku, safe='')}/lots/{quote(lot, safe='')}"))
    drawn = table("order", "from", "sent#", "still there#")
    for one in orders:
        add_row(
            drawn, one["order_id"], ", ".join(one["nodes"]), f"{one['issued']:,}", f"{one['allocated']:,}"
        )
    console.print(drawn)
    sent = sum(one["issued"] for one in orders)
    tell(f"{count(sent, 'unit')} of lot {lot} of {sku} were sent, to {count(len(orders), 'order')} in all.")
    if json:
        emit({"ok": True, "tenant": tenant, "sku": sku, "lot": lot, "orders": orders})


def quarantine_lot(
    sku: Sku, lot: Lot, reason: Reason = "", tenant: TenantOption = DEFAULT_TENANT, json: JsonOption = False
) -> None:
    """Sell nothing more of a lot, wherever its units are; orders that were promised some wait for others.

    Example: orderlog stock quarantine-lot MILK L-2291 --reason "Glass was found."
    """
    data = _post("quarantines", sku, lot, reason, tenant, json)
    if data is None:
        tell(f"Lot {lot} of {sku} was quarantined already.")
        return
    units = count(sum(move["quantity"] for move in data["movements"]), "unit")
    tell(f"Lot {lot} of {sku} is sold no more: {units} are in quarantine.")
    if data.get("allocated"):
        tell(
            f"{count(data['allocated'], 'unit')} more of it are allocated: orderlog stock lot {sku} {lot}.",
            "yellow",
        )


def release_lot(
    sku: Sku, lot: Lot, reason: Reason = "", tenant: TenantOption = DEFAULT_TENANT, json: JsonOption = False
) -> None:
    """A lot that was quarantined is good after all: it is sold again.

    Example: orderlog stock release-lot MILK L-2291 --reason "It was none."
    """
    data = _post("releases", sku, lot, reason, tenant, json)
    if data is None:
        tell(f"Lot {lot} of {sku} is sold already.")
        return
    units = count(sum(move["quantity"] for move in data["movements"]), "unit")
    tell(f"Lot {lot} of {sku} is sold again: {units} are back on hand.")


def register(parent: typer.Typer) -> None:
    """Add the commands about lots."""
    for name, command in (
        ("lots", show_lots),
        ("lot", show_lot),
        ("quarantine-lot", quarantine_lot),
        ("release-lot", release_lot),
    ):
        parent.command(name)(command)


def of_lot(lot: str | None, expires: str | None = None) -> dict[str, str]:
    """The part of a body that names a lot, and the last day on which it may be sold."""
    named = {"lot": lot} if lot else {}
    return named | ({"expires_on": expires} if expires else {})


def of_lots(lots: list[str] | None, quantity: int, name: str = "lots") -> dict[str, list[dict[str, object]]]:
    """The part of a body that says of which lots the units are: `LOT=UNITS` each, or one alone of all. Empty
    where none is named."""
    if not lots:
        return {}
    if len(lots) == 1 and not by_lot(lots):
        return {name: [{"lot": lots[0], "quantity": quantity}]}
    return {name: [{"lot": lot, "quantity": units} for lot, units in by_lot(lots).items()]}


def counted_lots(lots: list[str] | None) -> dict[str, Any]:
    """The part of a count's body about lots: each that was found, or whose units those are that were found
    more."""
    found = by_lot(lots or [])
    if found:
        return {"lots": [{"lot": lot, "counted": units} for lot, units in found.items()]}
    return of_lot(lots[0]) if lots else {}


def by_lot(lots: list[str]) -> dict[str, int]:
    """Units by lot of `LOT=UNITS` each; empty where one lot is named alone. Complaint: some say how many, or
    one is there twice."""
    found: dict[str, int] = {}
    for one in lots:
        lot, _, units = one.rpartition("=")
        if not (lot and units.isascii() and units.isdecimal()):
            if len(lots) == 1:
                return {}
            raise Complaint(f"--lot {one} does not say how many units.", "Write LOT=UNITS for each lot.")
        if lot in found:
            raise Complaint(f"Lot {lot} is named twice.", "Name each lot once, with all its units.")
        found[lot] = int(units)
    return found


def tell_lots(lots: list[dict[str, Any]]) -> None:
    """A table of a SKU's lots as of then (`GET /v1/stock/{sku}`)."""
    used = [name for name in BUCKETS if any(name in units for one in lots for units in one["nodes"].values())]
    drawn = table("lot", "last day", "node", *(f"{name.replace('_', ' ')}#" for name in used), "")
    for one in lots:
        for node, units in one["nodes"].items():
            numbers = (f"{units[name]:,}" if name in units else "–" for name in used)
            add_row(drawn, one["lot"], one["expires_on"] or "–", node, *numbers, STATES[one["state"]])
    if lots:
        console.print(drawn)


def _orders(edges: Edges, path: str) -> Iterator[dict[str, Any]]:
    """Every order of a lot, page by page."""
    after: str | None = ""
    while after is not None:
        page = edges.get("inventory", path, limit=_AT_ONCE, after=after)
        yield from page["orders"]
        after = page["next"]


def _post(path: str, sku: str, lot: str, reason: str, tenant: str, json: bool) -> dict[str, Any] | None:
    """Send it and wait; the payload of the lot's event, or None when it was so already."""
    body = {"sku": sku, "lot": lot, "reason": reason}
    with connect(tenant) as edges:
        answer = edges.decided("inventory", f"/v1/stock/lots/{path}", body)
    if json:
        types = [event["type"] for event in answer["events"]]
        emit({"ok": True, "tenant": tenant, **body, "events": types})
    return next((event["data"] for event in answer["events"] if "lot" in event["data"]), None)
