"""A snapshot of another system as it is compared: in parts, which may claim to be all of a node."""

from collections.abc import Iterator, Sequence
from typing import Any

from cli.client import Edges
from cli.text import count
from libs.runtime.complaint import Complaint

ROWS_AT_ONCE = 500
Row = tuple[int, dict[str, Any]]
"""Its line, and its SKU, node and quantity."""
NO_LINE: Row = 0, {}
"""Of what the snapshot leaves out."""


def check(complete: bool, node: str) -> None:
    """Raises Complaint where only one of the two options is given."""
    if complete != bool(node):
        raise Complaint(
            "--complete and --node go together.",
            "Say --complete --node LON for a snapshot of all that LON has; for any other leave out both.",
        )


def parts(rows: Sequence[Row], node: str, unreadable: int) -> Iterator[tuple[list[Row], dict[str, Any]]]:
    """The rows in order of SKU, in parts, each with what it claims to be all of. Raises Complaint for rows
    that cannot be all of the node."""
    if unreadable:
        raise Complaint(
            f"{count(unreadable, 'row')} cannot be read, so nobody knows what the snapshot leaves out.",
            "Correct them, or compare without --complete what can be read.",
        )
    ordered = sorted(rows, key=lambda row: row[1]["sku"].encode())
    for before, (line, row) in zip([NO_LINE, *ordered], ordered, strict=False):
        if row["node"] != node:
            raise Complaint(
                f"Line {line} is of {row['node']}, and the snapshot claims to be all of {node}.",
                "Compare the rows of each node by themselves.",
            )
        if before[1].get("sku") == row["sku"]:
            raise Complaint(
                f"Lines {before[0]} and {line} both name {row['sku']}.",
                "Add up what the node has of it, in one row.",
            )
    units, after = sum(row["quantity"] for _, row in ordered), None
    for start in range(0, max(1, len(ordered)), ROWS_AT_ONCE):
        batch = ordered[start : start + ROWS_AT_ONCE]
        last = start + ROWS_AT_ONCE >= len(ordered)
        until = None if last else batch[-1][1]["sku"]
        yield batch, {"node": node, "units": units, "after": after, "until": until}
        after = until


def compare(
    edges: Edges, as_of: str, batch: Sequence[Row], claim: dict[str, Any] | None
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """What comes of each row, and of what a part that makes a claim leaves out."""
    body: dict[str, Any] = {"as_of": as_of, "rows": [row for _, row in batch]}
    answer = edges.send(
        "inventory", "/v1/stock/comparisons", body if claim is None else body | {"complete": claim}
    )
    results, left_out = answer["results"], list(answer.get("left_out", ()))
    while claim is not None and answer["next"] is not None:
        behind = answer["next"].encode()
        rows = [row for _, row in batch if row["sku"].encode() > behind]
        body = {"as_of": as_of, "rows": rows, "complete": claim | {"after": answer["next"]}}
        answer = edges.send("inventory", "/v1/stock/comparisons", body)
        left_out += answer["left_out"]
    return results, left_out
