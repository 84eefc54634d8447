"""What led to what in an order's life, as a picture: a lane a stage, to the right what came of it.

Plain SVG without script or inline style, as the strictest policy has it; each event is a link to its row.
"""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from libs.runtime.settings import STAGES

Row = Mapping[str, Any]

_WIDTH, _HEIGHT = 148, 22
_GAP_X, _GAP_Y = 36, 6
_LEFT, _TOP = 104, 10
TIMER_ACTOR, TIMER_REASON = "orderlog", "timer "
"""As events that a timer led to carry them."""
EVENTS_MAX = 200
"""More would be no picture; the timeline has them all."""


def cause_of(row: Row) -> str:
    """What an event came of that came of no event of its order: a timer of its stage, which says so in place
    of a person and a reason; or else a command, whose it was."""
    actor, reason = row["actor"], row["reason"]
    if actor == TIMER_ACTOR and reason.startswith(TIMER_REASON):
        return f"the timer {reason.removeprefix(TIMER_REASON)}"
    return f"a command of {actor}" if actor else "a command"


def picture(timeline: Sequence[Row]) -> str:
    """An SVG of at most `EVENTS_MAX` events, in the order of the timeline; empty without events."""
    rows = list(timeline[:EVENTS_MAX])
    if not rows:
        return ""
    columns = _columns(rows)
    places, lanes, height = _places(rows, columns)
    width = _LEFT + (max(columns.values()) + 1) * (_WIDTH + _GAP_X)
    drawn = [
        f'<text class="stage" x="4" y="{y + 15}">{escape(stage)}</text>'
        f'<line class="lane" x1="0" x2="{width}" y1="{y - _GAP_Y}" y2="{y - _GAP_Y}"/>'
        for stage, y in lanes.items()
    ]
    drawn += [
        _edge(places[row["causation_id"]], places[row["event_id"]])
        for row in rows
        if row["causation_id"] in places
    ]
    drawn += [_event(row, *places[row["event_id"]]) for row in rows]
    title = f"What led to what: {len(rows)} events in {len(lanes)} stages"
    return (
        f'<svg class="causes" role="group" aria-label="{title}" width="{width}" height="{height}"'
        f' viewBox="0 0 {width} {height}">{"".join(drawn)}</svg>'
    )


def _columns(rows: Sequence[Row]) -> dict[Any, int]:
    """By event: how many events of the order led to it, one after the other."""
    cause = {row["event_id"]: row["causation_id"] for row in rows}
    columns: dict[Any, int] = {}
    for event in cause:
        chain = []
        at = event
        while at in cause and at not in columns and at not in chain:
            chain.append(at)
            at = cause[at]
        depth = columns.get(at, -1)
        for one in reversed(chain):
            depth += 1
            columns[one] = depth
    return columns


def _places(
    rows: Sequence[Row], columns: Mapping[Any, int]
) -> tuple[dict[Any, tuple[int, int]], dict[str, int], int]:
    """Where each event is drawn, where each stage's lane begins, and the height of it all."""
    places: dict[Any, tuple[int, int]] = {}
    lanes: dict[str, int] = {}
    y = _TOP
    for stage in STAGES:
        mine = [row for row in rows if row["stage"] == stage]
        if not mine:
            continue
        lanes[stage] = y
        used: dict[int, int] = {}
        for row in mine:
            column = columns[row["event_id"]]
            depth = used[column] = used.get(column, -1) + 1
            places[row["event_id"]] = (_LEFT + column * (_WIDTH + _GAP_X), y + depth * (_HEIGHT + _GAP_Y))
        y += (max(used.values()) + 1) * (_HEIGHT + _GAP_Y) + 2 * _GAP_Y
    return places, lanes, y


def _edge(source: tuple[int, int], target: tuple[int, int]) -> str:
    x1, y1 = source[0] + _WIDTH, source[1] + _HEIGHT // 2
    x2, y2 = target[0], target[1] + _HEIGHT // 2
    middle = x2 - _GAP_X // 2
    return f'<path class="edge" d="M{x1} {y1} C{middle} {y1} {middle} {y2} {x2} {y2}"/>'


def _event(row: Row, x: int, y: int) -> str:
    name = row["type"].rpartition(".")[2].replace("_", " ")
    return (
        f'<a href="#e-{row["event_id"]}"><title>{escape(row["sentence"])}</title>'
        f'<rect class="event" x="{x}" y="{y}" width="{_WIDTH}" height="{_HEIGHT}" rx="4"/>'
        f'<text x="{x + 6}" y="{y + 15}">{escape(name)}</text></a>'
    )
