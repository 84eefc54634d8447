"""`orderlog stock` as of then: what there was at a moment, as was known at another; and its snapshots."""

from collections.abc import Sequence
from itertools import islice
from typing import Annotated, Any
from urllib.parse import quote

import typer

from cli.client import DEFAULT_TENANT, Edges, Refused, TenantOption, connect
from cli.output import JsonOption, bar, console, emit, table
from cli.text import add_row, count, tell, utc
from libs.runtime.complaint import Complaint
from libs.runtime.settings import settings

ROWS_SHOWN_MAX = 200
AtOption = Annotated[
    str | None, typer.Option("--at", help="The moment asked about, RFC 3339; UTC unless said.")
]
KnownAtOption = Annotated[
    str | None,
    typer.Option("--known-at", help="Only what was known by then counts; else also what was told since."),
]


def ask(edges: Edges, sku: str, at: str | None, known_at: str | None) -> dict[str, Any]:
    """What inventory says of a SKU as of then. Refused."""
    return edges.get("inventory", f"/v1/stock/{quote(sku, safe='')}", at=at, known_at=known_at)


def must_be_node(edges: Edges, node: str) -> None:
    """Refused: nobody ever told of the node."""
    edges.get("inventory", "/v1/stock", node=node, limit=1)


def channels(edges: Edges, sku: str) -> list[dict[str, Any]]:
    """What each channel that the SKU's terms name could be promised now; none of a SKU that never moved."""
    try:
        found: list[dict[str, Any]] = ask(edges, sku, None, None)["channels"]
    except Refused as refused:
        if refused.code != "unknown_sku":
            raise
        return []
    return found


def tell_channels(found: Sequence[dict[str, Any]]) -> None:
    """A line a channel; of one that asks for days left, from which last day on lots are given to it."""
    if not found:
        return
    by_age = any("shelf_life" in one for one in found)
    drawn = table(
        "channel", "available#", "shown#", *(("lots last until", "of these on hand#") if by_age else ())
    )
    for one in found:
        asked = one.get("shelf_life", {"expires_from": "–", "on_hand": None})
        there = "–" if asked["on_hand"] is None else f"{asked['on_hand']:,}"
        aged = (asked["expires_from"], there) if by_age else ()
        add_row(drawn, one["channel"], f"{one['available']:,}", f"{one['shown']:,}", *aged)
    console.print(drawn)


def tell_when(found: dict[str, Any]) -> None:
    """Of which moment the figures are, and what was known."""
    known = f"as known at {utc(found['known_at'])}" if found["known_at"] else "as corrected since"
    tell(f"At {utc(found['at'])} UTC, {known}.")
    if found["late"]:
        tell(f"{count(found['late'], 'movement')} of it was told later.")
    if found["short"]:
        tell(f"Promised units that, as it turned out, were not there: {found['short']:,}.", "yellow")


def register(stock: typer.Typer) -> None:
    """Add what `orderlog stock` says of the past."""
    stock.command("list")(list_skus)
    stock.command("series")(series)
    stock.command("snapshots")(snapshots)


def list_skus(
    at: AtOption = None,
    known_at: KnownAtOption = None,
    node: Annotated[str | None, typer.Option(help="Only SKUs of this node, and its buckets.")] = None,
    limit: Annotated[int, typer.Option("-n", min=1, help="SKUs at most.")] = ROWS_SHOWN_MAX,
    tenant: TenantOption = DEFAULT_TENANT,
    json: JsonOption = False,
) -> None:
    """Every SKU as of then, of a node or of all.

    Example: orderlog stock list --at 2026-03-02T09:00:00Z --node LON
    """
    with connect(tenant) as edges:
        found = list(islice(_pages(edges, at, known_at, node), limit + 1))
    shown, more = found[:limit], len(found) > limit
    if shown:
        tell_when(shown[0] | {"late": 0, "short": 0})
    drawn = table(
        "SKU", "on hand#", "reserved#", "available#", "allocated#", *(("at the node#",) if node else ())
    )
    for one in shown:
        figures = [one[name] for name in ("on_hand", "reserved", "available", "allocated")]
        figures += [sum(place["buckets"].get("on_hand", 0) for place in one["nodes"])] if node else []
        add_row(drawn, one["sku"], *(f"{figure:,}" for figure in figures))
    if shown:
        console.print(drawn)
    else:
        where = f" at {node}" if node else ""
        tell(f"Nothing ever moved{where}. What arrives: orderlog stock receive SKU {node or 'NODE'} QTY")
    if more:
        tell(f"… and more; the first {limit:,} are shown (-n).")
    if json:
        emit({"ok": True, "tenant": tenant, "stock": shown, "more": more})


def series(
    sku: Annotated[str, typer.Argument(metavar="SKU", help="The stock keeping unit; case matters.")],
    since: Annotated[str, typer.Option("--from", help="The first point, RFC 3339.")],
    until: Annotated[str | None, typer.Option("--to", help="The last; now if left out.")] = None,
    step: Annotated[str, typer.Option(help="hour, day or week.")] = "day",
    known_at: KnownAtOption = None,
    as_known_then: Annotated[
        bool, typer.Option("--as-known-then", help="Each point as known at its own moment.")
    ] = False,
    tenant: TenantOption = DEFAULT_TENANT,
    json: JsonOption = False,
) -> None:
    """A SKU from one moment to another, at equal steps: for a plot.

    Example: orderlog stock series 85123A --from 2026-03-01 --to 2026-03-31 --json
    """
    asked = {"from": since, "to": until, "step": step, "known_at": known_at}
    asked |= {"as_known_then": "true" if as_known_then else None}
    with connect(tenant) as edges:
        found = edges.get("inventory", f"/v1/stock/{quote(sku, safe='')}/series", **asked)
    drawn = table("at (UTC)", "on hand#", "reserved#", "available#", "allocated#", "short#")
    for point in found["points"]:
        names = ("on_hand", "reserved", "available", "allocated", "short")
        add_row(drawn, utc(point["at"], "%Y-%m-%d %H:%M"), *(f"{point[name]:,}" for name in names))
    console.print(drawn)
    if json:
        emit({"ok": True, "tenant": tenant, **found})


def snapshots(
    remake: Annotated[bool, typer.Option("--remake", help="Throw them away and make them again.")] = False,
    json: JsonOption = False,
) -> None:
    """Recount every snapshot from the ledger. Ends with 1 when one of them says something else.

    Example: orderlog stock snapshots --json
    """
    import asyncio

    with bar() as bars:
        bars.add_task("making the snapshots again" if remake else "recounting the snapshots", total=None)
        checked, wrong = asyncio.run(_recount(remake))
    if wrong:
        tell(f"{count(len(wrong), 'snapshot')} of {checked:,} is not what the ledger says:", "red")
        for one in wrong[:10]:
            tell(f"  {one['tenant']}/{one['sku']} at position {one['position']:,}")
        tell("Answers of the past that stand on them are wrong. Make them again: stock snapshots --remake")
    else:
        tell(f"{count(checked, 'snapshot')}, each what the ledger says.", "green")
    if json:
        emit({"ok": not wrong, "snapshots": checked, "wrong": wrong[:100]})
    if wrong:
        raise typer.Exit(1)


async def _recount(remake: bool) -> tuple[int, Sequence[dict[str, Any]]]:
    """How many snapshots there are, and which of them are wrong. Complaint: the database cannot be read."""
    from libs.runtime.log import Unavailable
    from libs.runtime.postgres_log import open_pool, reachable
    from services.inventory import store

    checked, wrong = 0, list[dict[str, Any]]()
    try:
        pool = await open_pool(settings().dsn("inventory"), settings(), "snapshots")
        with reachable():
            async with pool, pool.acquire() as connection:
                if remake:
                    await store.throw_snapshots_away(connection)
                    while await store.make_snapshots(connection):
                        pass
                async for found, holds in store.checked_snapshots(connection):
                    checked += 1
                    if not holds:
                        wrong.append({"tenant": found.tenant, "sku": found.sku, "position": found.position})
    except Unavailable as error:
        raise Complaint(
            f"Inventory's database cannot be read ({error}).",
            "Run `orderlog up`, or check ORDERLOG_DATABASE_URL.",
        ) from error
    return checked, wrong


def _pages(edges: Edges, at: str | None, known_at: str | None, node: str | None) -> Any:
    """Every SKU as of then. All of one moment: that of the first page, where none is asked for."""
    after = None
    while True:
        page = edges.get(
            "inventory", "/v1/stock", at=at, known_at=known_at, node=node, limit=ROWS_SHOWN_MAX, after=after
        )
        yield from page["stock"]
        after = page["next"]
        if after is None:
            return
        at = at or page["stock"][0]["at"]
