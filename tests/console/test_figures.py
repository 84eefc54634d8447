"""Every figure on Today against the stages' logs, added up anew: no read model, none of its code."""

import asyncio
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import orjson
import pytest
from playwright.async_api import Page

from cli.client import connect
from libs.runtime.settings import STAGES, settings
from services.console.standing import OPEN
from tests.console.browser import Desk
from tests.console.orders import Orders
from tests.console_promises import Promised, promised

pytestmark = pytest.mark.e2e

_LOG = """SELECT type, stream, payload::text AS payload, at FROM log WHERE tenant = $1 AND origin = 'decided'
    ORDER BY stream, stream_version"""
Log = dict[str, list[tuple[str, str, dict[str, Any], datetime]]]
"""Stage → (event without its stage, stream, payload, when), in order of each stream."""


async def read(tenant: str) -> Log:
    """What the stages decided for a tenant."""
    log: Log = {}
    for stage in STAGES:
        connection = await asyncpg.connect(settings().dsn(stage))
        rows = await connection.fetch(_LOG, tenant)
        await connection.close()
        log[stage] = [
            (row["type"].rpartition(".")[2], row["stream"], orjson.loads(row["payload"]), row["at"])
            for row in rows
        ]
    return log


@dataclass
class Counted:
    """What the logs say."""

    status: Counter[str] = field(default_factory=Counter)
    reached: dict[str, list[datetime]] = field(default_factory=lambda: defaultdict(list))
    missing: Counter[str] = field(default_factory=Counter)
    promises: dict[str, Promised] = field(default_factory=dict)

    def late(self, now: datetime) -> dict[str, int]:
        """Open orders whose promise is late, or at risk."""
        all_ = self.promises.values()
        return {"late": sum(one.late(now) for one in all_), "at_risk": sum(one.at_risk(now) for one in all_)}


def count(log: Log) -> Counted:
    """By order: what has happened to it, and what not yet. Orders that are open are in one piece."""
    found = Counted()
    seen: dict[str, set[str]] = defaultdict(set)
    waits: dict[str, dict[str, int]] = {}
    carried: dict[str, datetime] = {}
    at_nodes: set[str] = set()
    found.promises = promised(
        (event["order_id"], (what, event, at))
        for stage in STAGES
        for what, _, event, at in log[stage]
        if "order_id" in event
    )
    for stage in STAGES:
        for what, _, event, at in log[stage]:
            order = event.get("order_id")
            if order is None:
                continue
            seen[order].add(what)
            if what == "order_accepted":
                found.reached["confirmed"].append(at)
            if what == "fulfillment_released" and order not in at_nodes:
                at_nodes.add(order)
                found.reached["released_to_nodes"].append(at)
            if what == "shipment_dispatched" and order not in carried:
                carried[order] = datetime.min
                found.reached["shipped"].append(at)
            if what == "shipment_delivered":
                at_door = datetime.fromisoformat(event["occurred_at"])
                carried[order] = max(at_door, carried[order].replace(tzinfo=at_door.tzinfo))
            if what == "stock_backordered":
                waits[order] = {short["sku"]: short["quantity"] for short in event["short"]}
            if what == "stock_reserved":
                waits.pop(order, None)
    for order, events in seen.items():
        if "fulfillment_completed" in events and "shipment_delivered" in events:
            found.reached["delivered"].append(carried[order])
        if not events & {"order_closed", "order_rejected"}:
            found.status[_stands(events)] += 1
            for sku, units in waits.get(order, {}).items():
                found.missing[sku] += units
    return found


def _stands(events: set[str]) -> str:
    """Where an open order stands, all units of which move together: the last gate that it has passed."""
    if "order_accepted" not in events:
        return "held"
    gates = (
        ("carrier_event_recorded", "in_transit"),
        ("shipment_dispatched", "shipped"),
        ("pack_confirmed", "packed"),
        ("pick_confirmed", "picking"),
        ("fulfillment_released", "released"),
        ("stock_allocated", "allocated"),
        ("order_routed", "routed"),
        ("stock_reserved", "reserved"),
        ("stock_backordered", "backordered"),
    )
    return next((status for event, status in gates if event in events), "accepted")


async def shown(page: Page) -> dict[str, int]:
    """Figures on the page, by their label."""
    found: dict[str, str] = await page.evaluate(
        "() => Object.fromEntries([...document.querySelectorAll('[data-figure]')]"
        ".map((one) => [one.dataset.figure, one.textContent]))"
    )
    return {name.replace(" ", "_"): int(text.replace(",", "")) for name, text in found.items()}


def told(tenant: str) -> dict[str, int]:
    """The same figures, as the query API tells them."""
    with connect(tenant) as edges:
        today = edges.get("console", "/v1/metrics")["today"]
    counts = {name: standing["orders"] for name, standing in today["by_status"].items()}
    flow = dict.fromkeys(("held", *OPEN), 0) | {name: n for name, n in counts.items() if name != "incoming"}
    through: dict[str, int] = today["through"]
    promises = {name: today["promises"][name] for name in ("late", "at_risk")}
    return flow | through | promises | {"missing_SKUs": today["out_of_stock"]["skus"]}


async def test_every_figure_on_today_is_what_the_logs_say(desk: Desk, orders: Orders) -> None:
    orders.submit(sku="URN", quantity=5)
    orders.submit(sku="URN", quantity=2)
    orders.until(lambda standing: list(standing.values()).count("backordered") >= 3)
    async with asyncio.timeout(60):
        while True:  # the page may be a moment behind the logs
            log = await read(desk.tenant)
            async with desk.person("viewer") as page:
                figures = await shown(page)
                table = await page.locator("section", has_text="Out of stock").inner_text()
                since = await page.locator("[data-figure=confirmed]").get_attribute("href") or ""
            said = count(log)
            at = datetime.fromisoformat(
                since.partition("reached_from=")[2].replace("%3A", ":").replace("%2B", "+")
            )
            through = {name: sum(one >= at for one in times) for name, times in said.reached.items()}
            late = said.late(datetime.now(UTC))
            others = ("missing_SKUs", *through, *late)
            wanted = {name: said.status.get(name, 0) for name in figures if name not in others}
            wanted |= late | through | {"missing_SKUs": len(said.missing)}
            if figures == wanted and await asyncio.to_thread(told, desk.tenant) == wanted:
                break
            await asyncio.sleep(0.5)
    assert figures["held"] >= 1
    assert figures["backordered"] >= 3
    assert figures["confirmed"] > 100, "the month is in it"
    for sku, units in said.missing.items():
        assert f"{sku}\t{units}\t" in table
    assert at < datetime.now(at.tzinfo) - timedelta(hours=23)
