"""`orderlog stock feeds`: which feeds there are, when each was last heard, and whether it is believed."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer

from cli.client import DEFAULT_TENANT, TenantOption, connect
from cli.output import JsonOption, console, emit, table
from cli.text import add_row, count, tell, utc

_UNITS = ((172_800, 86_400, "d"), (7_200, 3_600, "h"), (0, 60, "min"))
"""From how many seconds on it is told in which unit, and the seconds of one."""


def feeds(
    all_: Annotated[bool, typer.Option("--all", help="Also those that were retired.")] = False,
    tenant: TenantOption = DEFAULT_TENANT,
    json: JsonOption = False,
) -> None:
    """List the feeds: the node that each tells of, when it was last heard, whether what it told is sold, and
    its last whole file.

    Trust is `fresh`; `silent`, when what it told is too old, so that no more of it is promised; `never
    heard`, when no row of it was taken yet; or `retired`. A last run that is `held` waits for somebody to
    approve it.

    Example: orderlog stock feeds --json
    """
    with connect(tenant) as edges:
        found = edges.get("inventory", "/v1/stock/feeds")["feeds"]
        heard = {one["feed"]: one for one in edges.get("console", "/v1/feeds")["feeds"]}
    rows = [_joined(one, heard.get(one["feed"], {})) for one in found]
    shown = [one for one in rows if all_ or not one["retired"]]
    _tell(shown, len(rows) - len(shown))
    if json:
        emit({"ok": True, "tenant": tenant, "feeds": shown})


def register(parent: typer.Typer) -> None:
    """Add `feeds`."""
    parent.command("feeds")(feeds)


def _joined(defined: Mapping[str, Any], heard: Mapping[str, Any]) -> dict[str, Any]:
    """A feed as inventory has it, with when the console heard it last."""
    run, retired = defined["last_run"], bool(defined.get("retired"))
    heard_at, silent_since = (None if retired else heard.get(name) for name in ("heard_at", "silent_since"))
    trust = "silent" if silent_since else "fresh" if heard_at else "never heard"
    return {
        **defined,
        "retired": retired,
        "heard_at": heard_at,
        "silent_since": silent_since,
        "held_run": run["run_id"] if run is not None and run["held"] else None,
        "trust": "retired" if retired else trust,
    }


def _tell(rows: list[dict[str, Any]], retired: int) -> None:
    if rows:
        now = datetime.now(UTC)
        drawn = table("feed", "node", "kind", "last heard (UTC)", "age#", "trust", "last run", "units#", "")
        for one in rows:
            add_row(drawn, *_row(one, now))
        console.print(drawn)
    else:
        tell("No feed tells anything. Define one: orderlog stock define-feed FEED --node NODE")
    for one in rows:
        _tell_next(one)
    if retired:
        tell(f"{count(retired, 'retired feed')}: --all shows them too.")


def _row(one: Mapping[str, Any], now: datetime) -> Iterator[str]:
    heard, run = one["heard_at"], one["last_run"]
    yield from (one["feed"], one["node"], one["kind"])
    yield from (
        (utc(heard, "%Y-%m-%d %H:%M"), _age(now - datetime.fromisoformat(heard))) if heard else ("–", "–")
    )
    yield one["trust"]
    yield from ("–", "–") if run is None else (run["run_id"], f"{run['units']:,}")
    yield "held" if one["held_run"] else ""


def _tell_next(one: Mapping[str, Any]) -> None:
    """What is to be done about a feed, where anything is."""
    feed, run = one["feed"], one["held_run"]
    if one["retired"]:
        return
    if run:
        tell(
            f"{feed}: its last file is so small that it is held. If it is right: "
            f"orderlog stock approve-feed {feed} {run}, then load it again."
        )
    elif one["trust"] == "silent":
        tell(
            f"{feed}: no more of what it told is promised, since {utc(one['silent_since'])}. "
            f"Load its next file: orderlog stock feed FILE --feed {feed}"
        )
    elif one["trust"] == "never heard":
        tell(f"{feed}: nothing of it was taken yet. Load its file: orderlog stock feed FILE --feed {feed}")


def _age(lasted: timedelta) -> str:
    """`0 min`, `35 min`, `5 h`, `3 d`: whole ones of the largest unit of which there are two."""
    seconds = max(0, int(lasted.total_seconds()))
    each, name = next((each, name) for least, each, name in _UNITS if seconds >= least)
    return f"{seconds // each:,} {name}"
