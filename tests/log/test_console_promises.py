"""Late and at-risk promises, and what nodes have in hand: computed again from the events alone."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from libs.events.contract import Event
from libs.events.envelope import Envelope
from libs.events.routing import OrderRouted
from services.console.digest import live_digest
from services.console.finder import Finder
from services.console.queries import OrderFilter, Queries
from services.console.store import Projector
from services.console.today import PROMISES, Today, read_today
from tests.console_bundles import boxed
from tests.console_changes import changed_by_support
from tests.console_database import by_stage, console_dsn, pool
from tests.console_lives import LIVES, Life
from tests.console_promises import cut, dated, delivery, in_sequence, promised, trouble
from tests.log.test_console_store import feed, rows

__all__ = ["console_dsn", "pool"]
MARCH = date(2026, 3, 1)


def again(life: Life, by: date) -> Life:
    """Planned once more, for another day."""
    [plan] = life["routing"]
    assert isinstance(plan, OrderRouted)
    return {
        **life,
        "routing": [plan, plan.model_copy(update={"round": 2, "promised": delivery(by)})],
    }


def published() -> dict[str, list[Envelope[Event]]]:
    """Orders at every step, promised for days of March, in zones on both sides of the date line."""
    lives: list[Life] = []
    for day in range(0, 12, 2):
        for zone in ("Europe/London", "Pacific/Auckland", "America/Los_Angeles"):
            for upto in (0, 1, 3, 4, 6, 8):
                life = dated(f"o-{day}-{zone[:2]}-{upto}".lower(), MARCH + timedelta(days=day), zone)
                lives.append(cut(life, upto))
    for n in range(12):
        by = MARCH + timedelta(days=n)
        lives.append(again(cut(dated(f"p-{n}", by), 1), MARCH.replace(day=9)))
        lives.append(trouble(cut(dated(f"q-{n}", by), 5), f"q-{n}"))
    return by_stage(*lives, *(life(f"r-{n}") for n, life in enumerate(LIVES.values())))


async def today(pool: asyncpg.Pool, now: datetime) -> Today:
    async with Queries(pool).reading("acme") as connection:
        return await read_today(connection, "acme", now - timedelta(days=1), now)


@pytest.mark.parametrize("hours", [0, 45, 115, 250])
async def test_late_and_at_risk_are_what_the_log_says_and_what_the_list_shows(
    pool: asyncpg.Pool, hours: int
) -> None:
    stages = published()
    await feed(Projector(pool), stages, seed=hours)
    now = datetime(2026, 3, 2, 20, tzinfo=UTC) + timedelta(hours=hours)
    said = promised(in_sequence(stages))
    late = {order for order, one in said.items() if one.late(now)}
    at_risk = {order for order, one in said.items() if one.at_risk(now)}
    found = (await today(pool, now)).promises
    assert (found["late"], found["at_risk"]) == (len(late), len(at_risk))
    assert found["promised"] == sum(one.dates is not None and not one.over for one in said.values())
    assert found["latest_at"] == min((said[order].ends_at for order in late), default=None)
    waiting = {order for order, one in said.items() if one.dates is not None and not one.over}
    lists: dict[str, set[str]] = {"late": late, "at_risk": at_risk, "promised": waiting}
    assert lists.keys() == set(PROMISES)
    for promise, orders in lists.items():
        listed = await pages(pool, OrderFilter(promise=promise, promise_at=now))
        assert listed == sorted(orders, key=lambda order: (said[order].ends_at, order))


async def pages(pool: asyncpg.Pool, asked: OrderFilter) -> list[str]:
    """A list to its end, seven orders a page."""
    finder, after, found = Finder(Queries(pool), None), None, list[str]()  # type: ignore[arg-type]
    while True:
        page = await finder.page("acme", asked, None, after, 7, personal=False)
        found += [row["order_id"] for row in page.rows]
        if page.following is None:
            return found
        after = page.following


def in_hand(stages: Mapping[str, Sequence[Envelope[Event]]]) -> Counter[tuple[str, str, str]]:
    """Units by (node, SKU, step), from what fulfillment's events say of each fulfillment order's units."""
    work: dict[str, dict[str, Any]] = {}
    for _, (what, data, _at) in in_sequence({"fulfillment": stages.get("fulfillment", [])}):
        one = work.get(data.get("fulfillment_order_id") or "")
        units = Counter[tuple[int, str]]()
        if what in ("fulfillment_released", "pick_confirmed", "pick_shorted"):
            for line in data["lines"]:
                units[line["line"], line["sku"]] += line["quantity"]
        match what:
            case "fulfillment_released":
                work[data["fulfillment_order_id"]] = {
                    "node": data["node"],
                    "to_pick": units,
                    "picked": Counter(),
                }
            case "pick_confirmed" if one:
                one["to_pick"], one["picked"] = one["to_pick"] - units, one["picked"] + units
            case "pick_shorted" if one:
                one["to_pick"] = one["to_pick"] - units
            case "pack_confirmed" if one:
                one["packed"], one["picked"] = one["picked"], Counter()
            case "shipment_dispatched":
                work.pop(data["fulfillment_order_id"], None)
            case "fulfillment_cancelled":
                for name in data["fulfillment_order_ids"]:
                    work.pop(name, None)
            case "lines_cancelled":
                for stopped in data["work"]:
                    off = Counter(
                        {(line["line"], line["sku"]): line["quantity"] for line in stopped["lines"]}
                    )
                    work[stopped["fulfillment_order_id"]]["to_pick"] -= off
    found = Counter[tuple[str, str, str]]()
    for one in work.values():
        for step in ("to_pick", "picked", "packed"):
            for (_, sku), units_ in one.get(step, {}).items():
                found[one["node"], sku, step] += units_
    return +found


@pytest.mark.parametrize("seed", range(3))
async def test_what_nodes_have_in_hand_is_what_fulfillment_said(pool: asyncpg.Pool, seed: int) -> None:
    cuts: list[Life] = []
    for kind, begun in enumerate([*LIVES.values(), changed_by_support, boxed]):
        for upto in range(len(begun("o").get("fulfillment", ())) + 1):
            life = begun(f"o-{kind}-{upto}")
            cuts.append({**life, "fulfillment": list(life.get("fulfillment", ()))[:upto]})
    stages = by_stage(*cuts)
    await feed(Projector(pool), stages, seed)
    said, steps = in_hand(stages), ("to_pick", "picked", "packed")
    kept, shown = Counter[tuple[str, str, str]](), Counter[tuple[str, str, str]]()
    for row in await rows(pool, "SELECT * FROM at_work"):
        kept.update({(row["node"], row["sku"], step): row[step] for step in steps})
    assert +kept == said
    allocated = set()
    for balance in await Queries(pool).stock("acme", None, None, None, 1000):
        if balance["bucket"] == "allocated":
            allocated.add((balance["node"], balance["sku"]))
        shown.update({(balance["node"], balance["sku"], step): balance[step] or 0 for step in steps})
    assert +shown == {place: units for place, units in said.items() if place[:2] in allocated}
    assert not await rows(pool, "SELECT FROM at_work WHERE to_pick + picked + packed = 0")
    await pool.execute("SELECT create_read_models('rebuild')")
    ends = {(f"oms.{stage}.events", 0): (0, len(events)) for stage, events in stages.items()}
    straight = Projector(pool, "rebuild")
    await straight.positions(ends)
    await straight.apply([event for events in stages.values() for event in events], ends)
    assert await live_digest(pool) == await live_digest(pool, "rebuild")
