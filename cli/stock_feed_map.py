"""`orderlog stock feed-map`: which SKUs of ours a feed's are, from a file of any size; and what it lacks."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import TextColumn

from cli.client import DEFAULT_TENANT, Edges, TenantOption, connect
from cli.mapfile import PAGE_ROWS, MapFile, pages, path, posting, write
from cli.output import JsonOption, bar, console, emit, table
from cli.rowfile import checked, writable
from cli.sending import Loaded, as_json, load, senders_for, surveyed, tell_loaded
from cli.stock_feed import FeedArgument
from cli.text import add_row, count, tell, utc
from libs.runtime.complaint import Complaint

SHOWN_MAX = 50


def feed_map(
    feed: FeedArgument,
    file: Annotated[
        Path | None, typer.Argument(help="CSV or NDJSON: theirs, sku and perhaps pack_size, per.")
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="What the file lacks is none of our SKUs any more.")
    ] = False,
    drop: Annotated[
        list[str] | None, typer.Option("--drop", help="A SKU of theirs that is none of ours any more.")
    ] = None,
    theirs: Annotated[str | None, typer.Option(help="Show this SKU of theirs alone.")] = None,
    unmapped: Annotated[
        bool, typer.Option("--unmapped", help="Show what rows of the feed named and the map lacks.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option(help="Write all of what would be shown there, as CSV to be sent back.")
    ] = None,
    tenant: TenantOption = DEFAULT_TENANT,
    json: JsonOption = False,
) -> None:
    """Say which of our SKUs a feed's are, or show it. What a file does not name stays, unless --replace.

    `pack_size` units of ours are `per` of theirs (1, if left out): 12 for a case of twelve; 1 per 12 where
    they count pieces of what we keep by the dozen. Several of theirs may be one of ours: they are summed. The
    feed uses its map once it is so defined: `orderlog stock amend-feed FEED --mapped`. Ends with 1 when an
    entry was not taken; --replace then drops nothing.

    Example: orderlog stock feed-map acme acme-skus.csv

    Example: orderlog stock feed-map acme --unmapped --out to-do.csv
    """
    asked = [file is not None, bool(drop), theirs is not None or unmapped or out is not None]
    if sum(asked) > 1 or (replace and file is None) or (theirs is not None and (unmapped or out)):
        raise Complaint(
            "A file, --drop, and what is to be shown do not go together.", "Ask for one.", exit_code=2
        )
    with connect(tenant) as edges:
        if file is not None:
            _put(edges, feed, file, tenant, replace=replace, json=json)
        elif drop:
            _dropped(edges, feed, [{"theirs": one, "sku": None} for one in drop], tenant, json=json)
        elif out is not None:
            rows = write(writable(out), pages(edges, feed, "unmapped" if unmapped else "map"))
            tell(f"{count(rows, 'row')} written to {out}.")
            if json:
                emit({"ok": True, "tenant": tenant, "feed": feed, "rows": rows})
        else:
            _show(edges, feed, theirs, tenant, unmapped=unmapped, json=json)


def register(parent: typer.Typer) -> None:
    """Add `feed-map`."""
    parent.command("feed-map")(feed_map)


def _put(edges: Edges, feed: str, file: Path, tenant: str, *, replace: bool, json: bool) -> None:
    it, began = MapFile(checked(file)), time.monotonic()
    found = surveyed(it.rows(), lambda row: 0)
    with ExitStack() as more, bar(TextColumn("{task.completed:,} rows")) as bars:
        task = bars.add_task("loading", total=found.rows)
        doors = [edges, *(more.enter_context(connect(tenant)) for _ in range(senders_for(found.rows) - 1))]
        done = load(doors, it.rows(), posting(feed), lambda rows: bars.update(task, completed=rows))
    dropped = 0
    if replace and not done.kinds:
        dropped = _drop_others(edges, feed, it, done)
        tell(f"{count(dropped, 'SKU')} of theirs dropped, which the file lacks.")
    tell_loaded(file.name, done, round(time.monotonic() - began, 2))
    if json:
        emit({"ok": not done.kinds, "tenant": tenant, "feed": feed, "dropped": dropped, **as_json(done)})
    if done.kinds:
        raise typer.Exit(1)


def _drop_others(edges: Edges, feed: str, it: MapFile, done: Loaded) -> int:
    """Drop the entries that the file lacks; how many. Those that are not taken are told with line 0."""
    dropped = 0
    for page in pages(edges, feed, "map"):
        gone: list[dict[str, Any]] = [
            {"theirs": one["theirs"], "sku": None} for one in page if not it.has(one["theirs"])
        ]
        if gone:
            more = load([edges], ((0, row) for row in gone), posting(feed))
            dropped += more.taken
            done.kinds += more.kinds
            done.failures += more.failures
    return dropped


def _dropped(edges: Edges, feed: str, rows: list[dict[str, Any]], tenant: str, *, json: bool) -> None:
    done = load([edges], ((number, row) for number, row in enumerate(rows, 1)), posting(feed))
    tell_loaded("--drop", done, 0.0)
    if json:
        emit({"ok": not done.kinds, "tenant": tenant, "feed": feed, **as_json(done)})
    if done.kinds:
        raise typer.Exit(1)


def _show(edges: Edges, feed: str, theirs: str | None, tenant: str, *, unmapped: bool, json: bool) -> None:
    query = {"theirs": theirs} if theirs is not None else {"limit": PAGE_ROWS}
    found = edges.get("inventory", path(feed, "unmapped" if unmapped else "map"), **query)
    rows = found["unmapped" if unmapped else "skus"]
    if theirs is not None and not rows:
        raise Complaint(
            f"{theirs} is not in the map of feed {feed}.",
            f"Check its spelling (case matters); `orderlog stock feed-map {feed} --unmapped` shows what the "
            "feed named and its map lacks.",
        )
    drawn = table(
        *(("theirs", "rows#", "last") if unmapped else ("theirs", "sku", "units", "told last#", "of"))
    )
    for one in rows[:SHOWN_MAX]:
        add_row(drawn, *(_lacking(one) if unmapped else _entry(one)))
    console.print(drawn)
    if len(rows) > SHOWN_MAX or found["next"] is not None:
        tell("… and more: --out FILE writes all, --theirs SKU shows one.")
    if not rows:
        tell(_nothing(feed, unmapped=unmapped))
    if json:
        emit({"ok": True, "tenant": tenant, **found})


def _nothing(feed: str, *, unmapped: bool) -> str:
    if unmapped:
        return f"The map of feed {feed} lacks nothing that its rows named."
    return f"The map of feed {feed} is empty. A file fills it: orderlog stock feed-map {feed} FILE"


def _lacking(one: dict[str, Any]) -> Iterator[str]:
    yield from (one["theirs"], f"{one['rows']:,}", utc(one["last_at"]))


def _entry(one: dict[str, Any]) -> Iterator[str]:
    told = one["told"]
    size = f"{one['pack_size']:,}" if one["per"] == 1 else f"{one['pack_size']:,} per {one['per']:,}"
    yield from (one["theirs"], one["sku"], size)
    yield from ("–", "–") if told is None else (f"{told['units']:,}", utc(told["stated_at"]))
