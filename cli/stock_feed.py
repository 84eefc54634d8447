"""`orderlog stock feed`: what vendors, 3PLs and stores have, from a file of any size."""

import time
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import TextColumn

from cli.client import DEFAULT_TENANT, TenantOption, connect
from cli.feedfile import FeedFile, Mode, announce, map_changes, posting, run_id, survey
from cli.moments import moment
from cli.output import JsonOption, bar, emit
from cli.rowfile import checked
from cli.sending import UNREADABLE, as_json, load, senders_for, tell_loaded
from cli.text import count, tell
from libs.runtime.complaint import Complaint

FeedArgument = Annotated[str, typer.Argument(metavar="FEED", help="The feed's name.")]


def define_feed(
    feed: FeedArgument,
    node: Annotated[str, typer.Option(help="The node whose stock it tells.")],
    kind: Annotated[str, typer.Option(help="vendor, 3pl or store.")] = "vendor",
    buffer: Annotated[int, typer.Option(help="Units of each SKU that are never promised.")] = 0,
    buffer_percent: Annotated[int, typer.Option(help="Share of each SKU that is never promised.")] = 0,
    stale_minutes: Annotated[int, typer.Option(help="How old it may be and still be promised.")] = 1440,
    sellable_only: Annotated[
        bool, typer.Option("--sellable-only", help="Its figures leave out quarantined and broken units.")
    ] = False,
    mapped: Annotated[
        bool, typer.Option("--mapped", help="Its rows name their SKUs, which its map brings to ours.")
    ] = False,
    tenant: TenantOption = DEFAULT_TENANT,
    json: JsonOption = False,
) -> None:
    """Say how a feed is read, or change it: the whole of it is replaced.

    Example: orderlog stock define-feed acme --node ACME --kind vendor --buffer 5 --stale-minutes 120
    """
    body = {
        "node": node,
        "kind": kind,
        "buffer_units": buffer,
        "buffer_percent": buffer_percent,
        "stale_minutes": stale_minutes,
        "sellable_only": sellable_only,
        "mapped": mapped,
    }
    with connect(tenant) as edges:
        answer = edges.decided("inventory", f"/v1/stock/feeds/{feed}", body, method="PUT")
    changed = bool(answer["events"])
    tell(f"Feed {feed} tells of {node}." if changed else f"Feed {feed} was that already.")
    if json:
        emit({"ok": True, "tenant": tenant, "feed": feed, **body, "changed": changed})


def amend_feed(
    feed: FeedArgument,
    node: Annotated[str | None, typer.Option(help="The node whose stock it tells.")] = None,
    kind: Annotated[str | None, typer.Option(help="vendor, 3pl or store.")] = None,
    buffer: Annotated[int | None, typer.Option(help="Units of each SKU that are never promised.")] = None,
    buffer_percent: Annotated[
        int | None, typer.Option(help="Share of each SKU that is never promised.")
    ] = None,
    stale_minutes: Annotated[
        int | None, typer.Option(help="How old it may be and still be promised.")
    ] = None,
    sellable_only: Annotated[
        bool | None,
        typer.Option(
            "--sellable-only/--all-units", help="Whether its figures leave out quarantined and broken units."
        ),
    ] = None,
    mapped: Annotated[
        bool | None,
        typer.Option("--mapped/--not-mapped", help="Whether its rows name their SKUs, for its map."),
    ] = None,
    tenant: TenantOption = DEFAULT_TENANT,
    json: JsonOption = False,
) -> None:
    """Change of a feed what is named; the rest of it stays.

    Example: orderlog stock amend-feed acme --buffer 8
    """
    told = {
        "node": node,
        "kind": kind,
        "buffer_units": buffer,
        "buffer_percent": buffer_percent,
        "stale_minutes": stale_minutes,
        "sellable_only": sellable_only,
        "mapped": mapped,
    }
    body = {name: value for name, value in told.items() if value is not None}
    if not body:
        raise Complaint("Nothing of the feed is named.", "Name what changes: --buffer, --stale-minutes, …")
    with connect(tenant) as edges:
        answer = edges.decided("inventory", f"/v1/stock/feeds/{feed}", body, method="PATCH")
    changed = bool(answer["events"])
    named = ", ".join(name.replace("_", " ") for name in body)
    tell(f"Feed {feed} is changed: {named}." if changed else f"Feed {feed} was that already.")
    if json:
        emit({"ok": True, "tenant": tenant, "feed": feed, **body, "changed": changed})


def retire_feed(
    feed: FeedArgument,
    reason: Annotated[str, typer.Option(help="In a sentence.")] = "",
    tenant: TenantOption = DEFAULT_TENANT,
    json: JsonOption = False,
) -> None:
    """Hear no more of a feed: what it told is not promised any more. What it was stays known.

    What orders were promised of it stays theirs.

    Example: orderlog stock retire-feed acme --reason "The contract has ended."
    """
    with connect(tenant) as edges:
        answer = edges.decided("inventory", f"/v1/stock/feeds/{feed}/retirement", {"reason": reason})
    changed = bool(answer["events"])
    tell(f"Feed {feed} is retired." if changed else f"Feed {feed} was retired before.")
    if json:
        emit({"ok": True, "tenant": tenant, "feed": feed, "changed": changed})


def approve_feed(
    feed: FeedArgument,
    run: Annotated[str, typer.Argument(metavar="RUN", help="The run that was held.")],
    tenant: TenantOption = DEFAULT_TENANT,
    json: JsonOption = False,
) -> None:
    """Take a run that was held for being so small; then load its file again.

    Example: orderlog stock approve-feed acme stock.csv-0f1e2d3c4b5a6978
    """
    with connect(tenant) as edges:
        edges.decided("inventory", f"/v1/stock/feeds/{feed}/runs/{run}/approval", {})
    tell(f"Run {run} of feed {feed} is taken; load its file again.")
    if json:
        emit({"ok": True, "tenant": tenant, "feed": feed, "run_id": run})


def feed_file(
    file: Annotated[Path, typer.Argument(help="CSV or NDJSON with sku, quantity and perhaps pack_size.")],
    feed: Annotated[str, typer.Option(help="The feed that it is of.")],
    at: Annotated[str | None, typer.Option(help="As of when; else the file's own time.")] = None,
    delta: Annotated[bool, typer.Option("--delta", help="Differences, not all that is there.")] = False,
    tenant: TenantOption = DEFAULT_TENANT,
    json: JsonOption = False,
) -> None:
    """Load a feed's file; the same file again does nothing twice.

    Of a feed that is mapped (`orderlog stock feed-map`), `sku` (or `theirs`) is their SKU, and what the map
    lacks is refused (`unmapped_sku`). A full feed with a tenth of the units that the one before told is held
    for a person. Ends with 1 when it is held, or a row was not taken.

    Example: orderlog stock feed stock.csv --feed acme
    """
    own = datetime.fromtimestamp(checked(file).stat().st_mtime, UTC)
    stated = moment(at) if at else own
    began = time.monotonic()
    with connect(tenant) as edges:
        mode: Mode = "delta" if delta else "full"
        it = FeedFile(feed, file, mode, stated, map_changes(edges, feed), moment_named=at is not None)
        surveyed = survey(it)
        readable = surveyed.rows > surveyed.kinds[UNREADABLE]
        if it.mode == "full" and readable and announce(edges, it, surveyed):
            raise Complaint(
                f"{file.name} tells {count(surveyed.units, 'unit')}, so much less than the feed before that "
                "it is held. Nothing was taken.",
                f"Check the file; if it is right, `orderlog stock approve-feed {feed} {run_id(it)}`, then "
                "load it again.",
            )
        with bar(TextColumn("{task.completed:,} rows")) as bars:
            task = bars.add_task("loading", total=surveyed.rows)
            with ExitStack() as more:
                others = range(senders_for(surveyed.rows) - 1)
                doors = [edges, *(more.enter_context(connect(tenant)) for _ in others)]
                done = load(doors, it.rows(), posting(it), lambda rows: bars.update(task, completed=rows))
    seconds = round(time.monotonic() - began, 2)
    tell_loaded(file.name, done, seconds)
    if done.kinds["unmapped_sku"]:
        tell(
            f"`orderlog stock feed-map {feed} --unmapped` lists what the map lacks; then load the file again."
        )
    if delta and done.kinds["command_id_reused"]:
        tell(
            "A file of the same differences was told before. If these are others, --at says of when they are."
        )
    if json:
        emit({"ok": not done.kinds, "tenant": tenant, "feed": feed, "run_id": run_id(it), **as_json(done)})
    if done.kinds:
        raise typer.Exit(1)


def register(parent: typer.Typer) -> None:
    """Add the commands about feeds."""
    parent.command("feed")(feed_file)
    parent.command("define-feed")(define_feed)
    parent.command("amend-feed")(amend_feed)
    parent.command("retire-feed")(retire_feed)
    parent.command("approve-feed")(approve_feed)
