"""`orderlog stock promise terms`: what of a SKU may be promised to whom; what is not named stays as it is."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any
from urllib.parse import quote

import typer

from cli.client import DEFAULT_TENANT, Edges, Refused, TenantOption, connect
from cli.output import JsonOption, emit
from cli.promises import read_wanted
from cli.text import count, tell
from libs.events.record import record
from libs.runtime.complaint import Complaint

ClearOption = Annotated[
    bool, typer.Option("--clear", help="Begin from nothing: what is not named is dropped.")
]


def _each(metavar: str, of: str) -> Any:
    """An option that stands once for each of several."""
    return typer.Option(metavar=metavar, help=f"{of} Can be repeated.")


Buffers = Annotated[list[str] | None, _each("CHANNEL=QTY", "Units that a channel is not promised.")]
SoldOut = Annotated[list[str] | None, _each("CHANNEL=QTY", "A channel shows none with so few.")]
ShownMax = Annotated[list[str] | None, _each("CHANNEL=QTY", "A channel shows no more than these.")]
ShelfDays = Annotated[list[str] | None, _each("CHANNEL=DAYS", "Days that its lots must have left.")]
Shares = Annotated[list[str] | None, _each("CHANNEL=QTY", "Units kept for a channel; 0, none.")]
Lends = Annotated[list[str] | None, _each("OWNER:BORROWER", "Who may take from a share.")]


def terms(
    sku: Annotated[str, typer.Argument(metavar="SKU", help="The stock keeping unit; case matters.")],
    safety: Annotated[int | None, typer.Option(min=0, help="Units that nobody is promised.")] = None,
    share: Shares = None,
    lend: Lends = None,
    buffer: Buffers = None,
    sold_out_at: SoldOut = None,
    shown_max: ShownMax = None,
    shelf_days: ShelfDays = None,
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
        bool | None,
        typer.Option(
            "--backorders-inbound/--backorders-any", help="May no more be waited for than is to come?"
        ),
    ] = None,
    backorders_from: Annotated[
        str | None, typer.Option(metavar="TIME", help="Nobody may wait for it before; ISO 8601 with a zone.")
    ] = None,
    backorders_until: Annotated[
        str | None, typer.Option(metavar="TIME", help="Nobody may begin to wait for it from then on.")
    ] = None,
    clear: ClearOption = False,
    tenant: TenantOption = DEFAULT_TENANT,
    json: JsonOption = False,
) -> None:
    """Change what of a SKU may be promised to whom, and shown where; without any option, show it.

    What is not named stays as it is. A channel's value of 0 ends it; --clear begins from nothing.

    Example: orderlog stock promise terms MUG --safety 2 --share web=10 --lend web:pos --low-at 20
    """
    ways = {"buffer": buffer, "sold_out_at": sold_out_at, "shown_max": shown_max}
    ways["shelf_days_min"] = shelf_days
    plain: dict[str, Any] = {"safety_stock": safety, "low_at": low_at, "recovered_at": recovered_at}
    plain["reorder"] = None if reorder is None else _reorder(reorder)
    capped: dict[str, Any] = {"units_max": backorders_max, "inbound": backorders_inbound}
    capped |= {"opens_at": backorders_from, "closes_at": backorders_until}
    named = _Named(plain, capped, ways, share, lend, backorders)
    with connect(tenant) as edges:
        told = _known(edges, sku, may_be_new=clear or named.anything)
        if clear or named.anything:
            told = _change(edges, sku, named.on({} if clear else told))
        else:
            tell(_of_terms(sku, told) if told["terms_version"] else f"{sku} has no terms.")
    if json:
        emit({"ok": True, "tenant": tenant, **told})


@record
class _Named:
    """What was named on the command line."""

    plain: dict[str, Any]
    capped: dict[str, Any]
    ways: dict[str, list[str] | None]
    shares: list[str] | None
    lends: list[str] | None
    backorders: list[str] | None

    @property
    def anything(self) -> bool:
        """Whether it was more than the SKU."""
        values = (*self.plain.values(), *self.capped.values(), *self.ways.values())
        return any(one is not None for one in (*values, self.shares, self.lends, self.backorders))

    def on(self, known: Mapping[str, Any]) -> dict[str, Any]:
        """The terms as known, changed by it. Complaint: something that cannot be read."""
        body = {name: known.get(name) for name in self.plain}
        if self.plain["low_at"] is not None:
            body["recovered_at"] = None  # that was of the old level
        body |= {name: value for name, value in self.plain.items() if value is not None}
        body["channels"] = _channels(known.get("channels", ()), self.ways) or None
        body["backorders"] = _backorders(known.get("backorders") or {}, self.capped, self.backorders or ())
        said = {name: value for name, value in body.items() if value is not None}
        shares = _shares(known.get("shares", ()), self.shares or (), self.lends or ())
        return {"safety_stock": 0, **said, "shares": shares}


def _known(edges: Edges, sku: str, *, may_be_new: bool) -> dict[str, Any]:
    """The SKU's terms; none of one that is yet to come, where it may be new. Raises Refused."""
    try:
        return edges.get("inventory", _path(sku))
    except Refused as refused:
        if may_be_new and refused.code == "unknown_sku":
            return {}
        raise


def _change(edges: Edges, sku: str, body: dict[str, Any]) -> dict[str, Any]:
    """Send the whole of it, and say what holds then."""
    answer = edges.decided("inventory", _path(sku), body, method="PUT")
    of_terms = (event["data"] for event in answer["events"])
    version = next((one["terms_version"] for one in of_terms if "terms_version" in one), None)
    tell(_of_terms(sku, body) if version else f"The terms of {sku} were that already.")
    return {"sku": sku, **body, "terms_version": version}


def register(promise: typer.Typer) -> None:
    """Add `terms` to the commands about promises."""
    promise.command("terms")(terms)


def _path(sku: str) -> str:
    return f"/v1/promise-terms/{quote(sku, safe='')}"


def _shares(
    known: Sequence[Mapping[str, Any]], shares: Sequence[str], lends: Sequence[str]
) -> list[dict[str, Any]]:
    """The shares with `CHANNEL=QTY` and `OWNER:BORROWER` texts. Complaint: one that is none, or lends
    nothing."""
    found: dict[str, dict[str, Any]] = {one["channel"]: dict(one) for one in known}
    for one in read_wanted(shares):
        channel = str(one["sku"])
        before = found.pop(channel, {"lends_to": []})
        if one["quantity"]:
            found[channel] = {"channel": channel, "units": one["quantity"], "lends_to": before["lends_to"]}
    for text in lends:
        owner, _, borrower = text.partition(":")
        if not borrower or owner not in found:
            next_step = "Write OWNER:BORROWER, and give the owner a --share."
            raise Complaint(f"`{text}` lends from no share.", next_step, exit_code=2)
        borrowers = [one for one in found[owner]["lends_to"] if one != borrower]
        found[owner]["lends_to"] = [*borrowers, borrower]
    return list(found.values())


def _channels(
    known: Sequence[Mapping[str, Any]], ways: Mapping[str, Sequence[str] | None]
) -> list[dict[str, Any]]:
    """The ways of selling by channel with `CHANNEL=QTY` texts by what they say of it; 0 says nothing."""
    found: dict[str, dict[str, Any]] = {one["channel"]: dict(one) for one in known}
    for way, texts in ways.items():
        for one in read_wanted(texts or ()):
            channel = str(one["sku"])
            of_channel = found.setdefault(channel, {"channel": channel})
            of_channel[way] = one["quantity"]
            if not one["quantity"]:
                del of_channel[way]
    return [one for one in found.values() if len(one) > 1]


def _backorders(
    known: Mapping[str, Any], named: Mapping[str, Any], of_channels: Sequence[str]
) -> dict[str, Any] | None:
    """What may be waited for, as a document; None where nothing limits it. Complaint: a CHANNEL=QTY that is
    none."""
    found = {**known, **{name: value for name, value in named.items() if value is not None}}
    channels = {one["channel"]: dict(one) for one in found.get("channels") or ()}
    for one in read_wanted(of_channels):
        channels[str(one["sku"])] = {"channel": one["sku"], "units_max": one["quantity"]}
    found["channels"] = list(channels.values())
    return {name: value for name, value in found.items() if value not in (None, False, [])} or None


def _reorder(text: str) -> dict[str, int]:
    """`UNITS:RANK` as a document. Complaint: a text that is none."""
    point, _, rank = text.partition(":")
    if not (point.isdecimal() and rank.isdecimal()):
        raise Complaint(f"`{text}` is no UNITS:RANK.", "Write it like 24:20.")
    return {"point": int(point), "rank_max": int(rank)}


_WAYS = (
    ("buffer", "keeps {:,} back"),
    ("sold_out_at", "shows none with {:,}"),
    ("shown_max", "shows {:,} at most"),
    ("shelf_days_min", "asks lots for {:,} days"),
)


def _of_terms(sku: str, body: Mapping[str, Any]) -> str:
    """Whom the units of a SKU are kept from, for whom, and what else is said of it, as a sentence."""
    parts = [f"Of {sku}, {count(body['safety_stock'], 'unit')} are promised to nobody"]
    if body["shares"]:
        kept = (
            f"{one['units']:,} for {one['channel']}"
            + f" (lent to {', '.join(one['lends_to'])})" * bool(one["lends_to"])
            for one in body["shares"]
        )
        parts.append(f"kept: {', '.join(kept)}")
    for one in body.get("channels", ()):
        said = ", ".join(text.format(one[way]) for way, text in _WAYS if one.get(way))
        parts.append(f"{one['channel']} {said}")
    parts += [
        f"{one['channel']} asks lots for {one['shelf_days_min']:,} days, as of every SKU"
        for one in body.get("shelf_days_of_channels") or ()
    ]
    if body.get("low_at") is not None:
        parts.append(f"low at {body['low_at']:,}")
    if reorder := body.get("reorder"):
        parts.append(f"below {reorder['point']:,} for ranks up to {reorder['rank_max']} only")
    if capped := _waited(body.get("backorders") or {}):
        parts.append(capped)
    return f"{'; '.join(parts)}."


def _waited(capped: Mapping[str, Any]) -> str:
    """The caps as words."""
    said = list[str]()
    if capped.get("units_max") is not None:
        said.append(f"{count(capped['units_max'], 'unit')} may be waited for")
    if capped.get("inbound"):
        said.append("no more may be waited for than is to come")
    said += [f"{one['units_max']:,} by {one['channel']}" for one in capped.get("channels", ())]
    for name, word in (("opens_at", "from"), ("closes_at", "until")):
        if capped.get(name):
            said.append(f"{word} {capped[name]}")
    return ", ".join(said)
