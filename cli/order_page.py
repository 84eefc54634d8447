"""One order on a terminal: its standing, lines, milestones, shipments, and its timeline."""

from collections.abc import Iterable, Mapping
from shlex import quote
from typing import Any

from rich.table import Table

from cli.output import console, table
from cli.text import add_row, count, plain, tell, utc

MILESTONES = ("confirmed", "paid", "routed", "picking", "shipped", "picked_up", "delivered")
_ENDED = frozenset({"rejected", "cancelled", "delivered", "partly_delivered", "lost", "unroutable"})
_NEXT = {"released": "pick", "picking": "pack", "packed": "dispatch"}

Order = Mapping[str, Any]


def show(order: Order, blocked: Iterable[str]) -> None:
    """Draw all of it on standard error."""
    _head(order, blocked)
    console.print()
    console.print(_lines(order))
    console.print()
    console.print(_milestones(order))
    for drawn in (_shipments(order), _returns(order)):
        if drawn.row_count:
            console.print()
            console.print(drawn)
    console.print()
    console.print(_timeline(order))
    if order.get("timeline_next"):
        tell("The timeline goes on: GET /v1/orders/{id}/timeline of the console has all of it.")


def waits(order: Order) -> list[str]:
    """What an order that is not over waits for, a sentence each."""
    if order["status"] in _ENDED:
        return []
    release = f"orderlog orders release {reference(order)}"
    told = [
        f"Hold {hold['name']}: {hold['message']} When settled: {release} {hold['name']}"
        for hold in order["holds"]
        if hold["released_at"] is None and not hold.get("declined_at")
    ]
    if order.get("in_review"):
        approve = f"orderlog orders approve {reference(order)} --reason …"
        why = " ".join(reason["message"] for one in order["routing"][-1:] for reason in one["review"])
        told.append(f"Its plan to be reviewed. {why} When it may pass: {approve}")
    told += [
        f"{count(item['quantity'], 'unit')} of {item['sku']} to arrive: orderlog stock show {item['sku']}"
        for item in order["waits_for"]
    ]
    told += [
        f"{work['node']} to {_NEXT[work['state']]} {_short(order, work['fulfillment_order_id'])}"
        f"{_places(work)}."
        for work in order["fulfillment_orders"]
        if work["state"] in _NEXT
    ]
    told += [
        f"{shipment['carrier']} to deliver {_short(order, shipment['shipment_id'])}."
        for shipment in order["shipments"]
        if shipment["delivered_at"] is None and shipment["lost_at"] is None
    ]
    asked, decided = order["cancellation"], ("cancelled_at", "declined_at")
    if asked["requested_at"] and not any(asked[name] for name in decided):
        told.append("Fulfillment to decide what of it can still be cancelled.")
    return told


def _places(work: Mapping[str, Any]) -> str:
    """`: 2 MUG from A-12-3`, of work that is still to be picked, where its bins or lots are known."""
    if work["state"] != "released" or not work.get("places"):
        return ""
    return ": " + ", ".join(_place(one) for one in work["places"])


def _place(one: Mapping[str, Any]) -> str:
    lot = f"lot {one['lot']}" if one["lot"] else ""
    said = f"{one['quantity']:,} {one['sku']}"
    return f"{said} from {one['bin']}{f' ({lot})' * bool(lot)}" if one["bin"] else f"{said} of {lot}"


def money(amount_minor: int | None, currency: str | None) -> str:
    """`1,234.50 GBP`; nothing where either is not known."""
    if amount_minor is None or currency is None:
        return ""
    from babel.numbers import get_currency_precision  # late: no other command needs it

    digits = get_currency_precision(currency)
    whole, part = divmod(abs(amount_minor), 10**digits)
    decimals = f".{part:0{digits}d}" if digits else ""
    return f"{'-' if amount_minor < 0 else ''}{whole:,}{decimals} {currency}"


def reference(order: Order) -> str:
    """What names the order on a command line: CHANNEL/EXTERNAL_ID, or its id."""
    if not order["channel"] or "/" in order["channel"]:
        return str(order["order_id"])
    return quote(f"{order['channel']}/{order['external_id']}")


def _head(order: Order, blocked: Iterable[str]) -> None:
    tell(f"{order['channel']}/{order['external_id']}  {order['status'].replace('_', ' ')}", "bold")
    where = order["destination"]
    drawn = Table.grid(padding=(0, 2))
    add_row(drawn, "id", order["order_id"])
    add_row(drawn, "placed", f"{utc(order['ordered_at'])} UTC, {order['payment'] or 'payment unknown'}")
    add_row(
        drawn, "total", f"{money(order['total_minor'], order['currency'])}, {count(order['units'], 'unit')}"
    )
    add_row(drawn, "ships to", " ".join(part for part in (where["country"], where["postcode_area"]) if part))
    add_row(drawn, "subject", order["data_subject"])
    for reason in order["reasons"]:
        add_row(drawn, "rejected", reason["message"], style="red")
    for sentence in blocked:
        add_row(drawn, "waits", sentence, style="yellow")
    console.print(drawn)


def _short(order: Order, id_: str) -> str:
    """An id of the order's without the order's own, which stands above."""
    return id_.removeprefix(f"{order['order_id']}-")


def _lines(order: Order) -> Table:
    drawn = table("line#", "SKU", "ordered#", "where its units are")
    for line in order["lines"]:
        add_row(drawn, line["line"], line["sku"], f"{line['ordered']:,}", _where(line))
        for part in order.get("parts", ()):
            if part["of_line"] == line["line"]:
                name = f"part of {line['line']}: {part['sku']}"
                add_row(drawn, part["line"], name, f"{part['quantity']:,}", _where(part))
    return drawn


def _where(line: Mapping[str, Any]) -> str:
    units = ", ".join(f"{number:,} {name.replace('_', ' ')}" for name, number in line["units"].items())
    return units + (f"; {line['returned']:,} came back" if line["returned"] else "")


def _milestones(order: Order) -> Table:
    drawn = table("milestone", "when (UTC)")
    for name in MILESTONES:
        add_row(drawn, name.replace("_", " "), utc(order["milestones"][name]) or "–")
    return drawn


def _shipments(order: Order) -> Table:
    drawn = table("shipment", "from", "carrier", "tracking", "state")
    for one in order["shipments"]:
        tracking = ", ".join(parcel["tracking_number"] or "" for parcel in one["packages"])
        state = "delivered" if one["delivered_at"] else one["carrier_status"] or "dispatched"
        state = "lost" if one["lost_at"] else state
        name = _short(order, one["shipment_id"])
        add_row(drawn, name, one["node"], one["carrier"], tracking, state.replace("_", " "))
    return drawn


def _returns(order: Order) -> Table:
    drawn = table("return", "authorised (UTC)", "received#", "state")
    for one in order["returns"]:
        back = sum(unit["quantity"] for unit in one["received"])
        state = "closed" if one["closed_at"] else "open"
        add_row(drawn, _short(order, one["rma_id"]), utc(one["authorised_at"]), back, state)
    return drawn


def _timeline(order: Order) -> Table:
    """The order's own id is left out of its sentences: it stands above."""
    drawn = table("when (UTC)", "stage", "what happened", "actor")
    drawn.columns[0].no_wrap = drawn.columns[1].no_wrap = True
    drawn.columns[3].max_width = 14
    day = ""
    for entry in order["timeline"]:
        if (today := utc(entry["at"], "%Y-%m-%d")) != day:
            add_row(drawn, today, style="dim")
            day = today
        said = plain(entry["sentence"]).replace(f"{order['order_id']}-", "")
        add_row(drawn, utc(entry["at"], "%H:%M:%S"), entry["stage"], said, entry["actor"])
    return drawn
