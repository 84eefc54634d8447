"""`orderlog stock reconcile`: another system's snapshot against the ledger as of its moment."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.client import DEFAULT_TENANT, Edges, TenantOption, connect
from cli.moments import moment
from cli.output import JsonOption, console, emit, table
from cli.rowfile import checked, read_rows, whole
from cli.snapshot import NO_LINE, ROWS_AT_ONCE, Row, check, compare, parts
from cli.text import add_row, count, tell

SHOWN_MAX = 50
KEPT_MAX = 10_000
COLUMNS = ("sku", "node", "quantity")
_OUTCOMES = ("matched", "in_flight", "corrected", "pinned", "unexplained", "unreadable", "refused")


def reconcile(
    file: Annotated[Path, typer.Argument(help="CSV or NDJSON with sku, node and quantity.")],
    system: Annotated[str, typer.Option(help="Whose snapshot it is: wms, erp, …")],
    at: Annotated[str, typer.Option(help="As of when: 2026-03-02T09:00:00Z.")],
    complete: Annotated[
        bool,
        typer.Option("--complete", help="The file is all that --node has: what it leaves out is 0 there."),
    ] = False,
    node: Annotated[str, typer.Option(help="With --complete: whose snapshot it is.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Propose nothing.")] = False,
    tenant: TenantOption = DEFAULT_TENANT,
    json: JsonOption = False,
) -> None:
    """Compare a snapshot with the ledger as of its moment, and explain each difference.

    What is in flight, or pinned to the event that caused it, is told. What nothing explains is proposed as an
    adjustment, which changes nothing before a person approves it (`orderlog stock settle`), and takes the
    place of what waits of its shelf; where the snapshot agrees, that is closed. Ends with 1 when something is
    unexplained, or a row is unreadable or its proposal refused; the other rows are done with all the same.

    With --complete the file claims to be all of a node: each SKU with units there that it does not name
    counts as 0. Such a file is refused where a row cannot be read, is of another node or names a SKU twice,
    and where it has a tenth of the units of the books or fewer.

    Example: orderlog stock reconcile wms.csv --system wms --at 2026-03-02T09:00:00Z

    Example: orderlog stock reconcile lon.csv --system wms --at 2026-03-02T09:00:00Z --complete --node LON
    """
    check(complete, node)
    as_of = moment(at).astimezone(UTC).isoformat()
    counts: Counter[str] = Counter()
    told: list[dict[str, Any]] = []
    with connect(tenant) as edges:
        rows = _rows(checked(file), counts, told)
        whole_node = list(rows) if complete else []
        for batch, claim in parts(whole_node, node, counts["unreadable"]) if complete else _batches(rows):
            results, left_out = compare(edges, as_of, batch, claim)
            told_of = []
            for (line, row), found in [
                *zip(batch, results, strict=True),
                *((NO_LINE, one) for one in left_out),
            ]:
                if "problem" in found:
                    counts["unreadable"] += 1
                    _keep(told, {"line": line, "outcome": "unreadable", **row, "explanation": _why(found)})
                    continue
                counts[found["outcome"]] += 1
                if found["outcome"] != "matched":
                    _keep(told, {"line": line, **found})
                if found["outcome"] == "unexplained" or (found["outcome"] == "matched" and found["waiting"]):
                    told_of.append((line, found))
            if told_of and not dry_run:
                _propose(edges, system, as_of, told_of, counts, told)
    _tell(file.name, counts, told)
    bad = counts["unexplained"] + counts["unreadable"] + counts["refused"]
    if json:
        emit(
            {"ok": not bad, "tenant": tenant, "system": system, "as_of": as_of, **counts, "differences": told}
        )
    if bad:
        raise typer.Exit(1)


def register(parent: typer.Typer) -> None:
    """Add `reconcile`."""
    parent.command("reconcile")(reconcile)


def _rows(file: Path, counts: Counter[str], told: list[dict[str, Any]]) -> Iterator[Row]:
    """Each readable row with its line."""
    for line, row in read_rows(file, COLUMNS, COLUMNS):
        try:
            if isinstance(row, str):
                raise ValueError(row)
            quantity = whole(row["quantity"], "quantity", 0, 10**9)
        except ValueError as wrong:
            counts["unreadable"] += 1
            _keep(told, {"line": line, "outcome": "unreadable", "explanation": str(wrong)})
            continue
        yield line, {"sku": str(row["sku"]), "node": str(row["node"]), "quantity": quantity}


def _batches(rows: Iterator[Row]) -> Iterator[tuple[list[Row], None]]:
    while batch := list(islice(rows, ROWS_AT_ONCE)):
        yield batch, None


def _propose(
    edges: Edges,
    system: str,
    as_of: str,
    found: list[tuple[int, dict[str, Any]]],
    counts: Counter[str],
    told: list[dict[str, Any]],
) -> None:
    """Ask a person about what nothing explains, and no more about what agrees now; each with its line. The
    same snapshot again asks nothing new."""
    items = [
        {
            "sku": one["sku"],
            "proposal_id": f"{system}-{datetime.fromisoformat(as_of):%y%m%dT%H%M%S}-{one['node']}",
            "node": one["node"],
            "variance": one["variance"],
            "as_of": as_of,
            "system": system,
            "explanation": one["explanation"],
            "position": one["position"],
        }
        for _, one in found
    ]
    answer = edges.send("inventory", "/v1/stock/proposals", {"items": items}, wait_seconds=30)
    for (line, one), result in zip(found, answer["results"], strict=True):
        problem = result.get("problem")
        code = str(problem.get("type", "")).rpartition(":")[2] if problem else ""
        if not problem:
            counts["proposed" if one["variance"] else "closed"] += 1
        elif code not in ("already_proposed", "no_change"):
            counts["refused"] += 1
            _keep(told, {**one, "line": line, "outcome": "refused", "explanation": _why(result)})


def _why(result: dict[str, Any]) -> str:
    """What was wrong with a row, and what to do."""
    problem = result["problem"]
    wrong = [f"{one['where']}: {one['what']}." for one in problem.get("errors", ())]
    return " ".join([problem["detail"], *wrong, problem.get("next_step", "")]).strip()


def _keep(told: list[dict[str, Any]], one: dict[str, Any]) -> None:
    if len(told) < KEPT_MAX:
        told.append(one)


def _tell(name: str, counts: Counter[str], told: list[dict[str, Any]]) -> None:
    for one in sorted(told, key=lambda one: int(one["line"]))[:SHOWN_MAX]:
        line = f"{name}:{one['line']}" if one["line"] else f"{name}, left out"
        where = f"{line}: {one['outcome'].replace('_', ' ')}"
        if "variance" in one:
            where += f": {one['sku']} at {one['node']}: {one['theirs']:,} there, {one['book']:,} here"
        tell(f"{where}. {one['explanation']}")
    if len(told) > SHOWN_MAX:
        tell(f"… and {len(told) - SHOWN_MAX:,} more; --json has them.")
    drawn = table(*(f"{outcome.replace('_', ' ')}#" for outcome in _OUTCOMES))
    add_row(drawn, *(f"{counts[outcome]:,}" for outcome in _OUTCOMES))
    console.print(drawn)
    if counts["proposed"]:
        tell(f"{count(counts['proposed'], 'adjustment')} proposed: orderlog stock differences.")
    if counts["closed"]:
        tell(f"{count(counts['closed'], 'difference')} closed, of shelves that agree now.")
