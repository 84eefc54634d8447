"""Each figure of Measures and Delays, computed again with pandas from the events alone."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

import asyncpg
import numpy as np
import pandas as pd
import pytest

from libs.events.contract import Event
from libs.events.envelope import Envelope
from libs.events.fulfillment import CarrierCharge, ShipmentDispatched
from services.console.measures import (
    Period,
    read_dearest,
    read_delays,
    read_measures,
    read_piles,
    read_slowest,
)
from services.console.queries import Queries
from services.console.segments import SEGMENTS
from services.console.store import Projector
from tests.console_counts import stocktaking
from tests.console_database import by_stage, console_dsn, pool
from tests.console_lives import LIVES, Life
from tests.console_parts import T0
from tests.console_promises import dated, promised
from tests.log.test_console_store import feed

__all__ = ["console_dsn", "pool"]

NOW = T0 + timedelta(days=20)
DATES = (
    (date(2026, 3, 1), "Europe/London"),
    (date(2026, 3, 2), "Europe/London"),
    (date(2026, 3, 2), "Pacific/Auckland"),
    (date(2026, 3, 3), "Pacific/Auckland"),
    (date(2026, 3, 2), "America/Los_Angeles"),
    (date(2026, 3, 4), "Pacific/Chatham"),
)
"""What was promised of orders that are all delivered on 2 March, 12:20 UTC. The last leaves after 10:15 UTC,
which is midnight there."""
POUND, EURO = CarrierCharge(amount_minor=310, currency="GBP"), CarrierCharge(amount_minor=499, currency="EUR")
CHARGES: tuple[Sequence[CarrierCharge | None], ...] = (
    (POUND,), (POUND, POUND), (EURO,), (POUND, None), (POUND, EURO), (None,),
)  # fmt: skip
"""What their carriers asked: known of the first three, of one part only, in two currencies, and not known."""
PERIOD = Period(T0 - timedelta(days=1), T0 + timedelta(days=10))


def published() -> dict[str, list[Envelope[Event]]]:
    """Three of each life, one after the other; some that were promised for a day; and counts of stock."""
    lives = [life(f"o-{name.replace('_', '-')}-{n}") for n in range(3) for name, life in LIVES.items()]
    asked = [charged(dated(f"d-{n}", *told), CHARGES[n]) for n, told in enumerate(DATES)]
    return by_stage(*lives, *asked, {"inventory": stocktaking()})


def charged(life: Life, charges: Sequence[CarrierCharge | None]) -> Life:
    """With what the carrier asks for the shipment; where there is another charge, of a second one."""
    told = list(life["fulfillment"])
    [(place, sent)] = [(n, one) for n, one in enumerate(told) if isinstance(one, ShipmentDispatched)]
    again = [
        sent.model_copy(update={"charge": charge, "shipment_id": f"{sent.order_id}-S{n}"})
        for n, charge in enumerate(charges, 1)
    ]
    return {**life, "fulfillment": [*told[:place], *again, *told[place + 1 :]]}


@pytest.fixture
def events() -> pd.DataFrame:
    """What an export of the stages' logs has: order, type, time, and the payload."""
    rows = [
        {"order": one.stream, "type": one.body.TYPE.rpartition(".")[2], "at": one.at}
        | {"data": one.body.model_dump(mode="json")}
        for told in published().values()
        for one in told
    ]
    return pd.DataFrame(rows)


def firsts(events: pd.DataFrame, type_: str) -> pd.Series:
    return events[events.type == type_].groupby("order")["at"].min()


def broken(events: pd.DataFrame) -> Mapping[str, set[str]]:
    """Orders by what went wrong with them."""

    def having(*types: str) -> set[str]:
        return set(events[events.type.isin(types)].order)

    shipments = events[events.type == "shipment_dispatched"].groupby("order").size()
    return {
        "held": having("order_held"),
        "backordered": having("stock_backordered"),
        "short_picked": having("pick_shorted"),
        "split": set(shipments[shipments > 1].index),
        "carrier": having("shipment_lost"),
        "not_delivered": having("fulfillment_cancelled", "order_unroutable"),
        "late": {order for order, one in dates(events).items() if one.delivered_at >= one.ends_at},
        "failed_message": having("message_failed"),
        "returned": having("return_received"),
    }


def costs(events: pd.DataFrame) -> list[dict[str, Any]]:
    """By currency, the mean of what was asked for orders that have arrived, all of it known."""
    sent = events[events.type == "shipment_dispatched"]
    asked = pd.DataFrame(
        {
            "order": sent.order,
            "minor": sent.data.map(lambda d: (d.get("charge") or {}).get("amount_minor")),
            "currency": sent.data.map(lambda d: (d.get("charge") or {}).get("currency")),
        }
    )
    whole = asked.groupby("order").filter(
        lambda rows: bool(rows.minor.notna().all()) and rows.currency.nunique() == 1
    )
    orders = whole.groupby(["currency", "order"]).minor.sum()
    return [
        {"currency": currency, "orders": len(sums), "mean_minor": pytest.approx(sums.mean())}
        for currency, sums in orders.groupby("currency")
    ]


def dates(events: pd.DataFrame) -> Mapping[str, Any]:
    """Of orders that were promised for a day and have arrived, what their events say of it."""
    columns = (list(events[name]) for name in ("order", "type", "data", "at"))
    found = promised((order, (type_, data, at)) for order, type_, data, at in zip(*columns, strict=True))
    return {order: one for order, one in found.items() if one.dates and one.delivered_at}


def missing(events: pd.DataFrame, orders: set[str]) -> int:
    """Units that were not there at first, or at the pick."""
    mine = events[events.order.isin(orders)]
    waited = mine[mine.type == "stock_backordered"].data.map(lambda d: sum(s["quantity"] for s in d["short"]))
    short = mine[mine.type == "pick_shorted"].data.map(lambda d: sum(s["quantity"] for s in d["lines"]))
    return int(waited.sum() + short.sum())


def picked(events: pd.DataFrame) -> pd.DataFrame:
    """Units asked for and units that lacked, of each line of each node's work that was picked."""
    told = events[events.type.isin(["pick_confirmed", "pick_shorted"])]
    lines = [
        {"work": data["fulfillment_order_id"], "node": data["node"], "line": line["line"]}
        | {"units": line["quantity"], "short": line["quantity"] * (type_ == "pick_shorted")}
        for type_, data in zip(told.type, told.data, strict=True)
        for line in data["lines"]
    ]
    return pd.DataFrame(lines).groupby(["work", "node", "line"]).sum().reset_index()


def days_to_ship(events: pd.DataFrame) -> pd.Series:
    """Midnights between acceptance and the first shipment, where the node is, or in UTC."""
    moments = pd.DataFrame(
        {"accepted": firsts(events, "order_accepted"), "shipped": firsts(events, "shipment_dispatched")}
    ).dropna()
    zones = {order: one.dates[1]["time_zone"] for order, one in dates(events).items()}

    def day(at: pd.Timestamp, order: Any) -> date:
        return at.tz_convert(zones.get(order, "UTC")).date()

    return pd.Series({o: (day(one.shipped, o) - day(one.accepted, o)).days for o, one in moments.iterrows()})


def exceptions(events: pd.DataFrame, orders: set[str]) -> int:
    mine = events[events.order.isin(orders)]
    held = mine[mine.type == "order_held"].data.map(lambda d: len(d["holds"])).sum()
    kinds = ["stock_backordered", "pick_shorted", "order_unroutable", "shipment_lost", "message_failed"]
    return int(held + mine.type.isin(kinds).sum())


def cycles(events: pd.DataFrame) -> pd.Series:
    """Seconds from capture to the last delivery."""
    arrived = events[events.type == "shipment_delivered"]
    last = pd.to_datetime(arrived.data.map(lambda d: d["occurred_at"])).groupby(arrived.order).max()
    captured = events[events.type.isin(["order_accepted", "order_held"])].groupby("order")["at"].min()
    return (last - captured).dropna().dt.total_seconds()


async def figures(pool: asyncpg.Pool, by: Any) -> list[Mapping[str, Any]]:
    await feed(Projector(pool), published())
    async with Queries(pool).reading("acme") as connection:
        return list(await read_measures(connection, "acme", PERIOD, by, NOW))


@pytest.mark.parametrize("by", ["all", "channel"])
async def test_measures_are_what_the_log_says(pool: asyncpg.Pool, events: pd.DataFrame, by: str) -> None:
    [found] = await figures(pool, by)
    accepted, shipped = firsts(events, "order_accepted"), firsts(events, "shipment_dispatched")
    waited = (shipped - accepted).dropna()
    trouble, orders = broken(events), set(accepted.index)
    arrived = set(events[events.type == "shipment_delivered"].order)
    ordered = events[events.type == "order_accepted"].data.map(
        lambda d: sum(line["quantity"] for line in d["lines"])
    )
    perfect = arrived - set().union(*trouble.values())
    assert found["slice"] == ("all" if by == "all" else "web")
    assert found["accepted"] == len(orders)
    assert found["fill_rate"] == pytest.approx(1 - missing(events, orders) / ordered.sum())
    assert found["exceptions_per_thousand"] == pytest.approx(1000 * exceptions(events, orders) / len(orders))
    lines = picked(events)
    assert found["picked_lines"] == len(lines)
    assert found["pick_accuracy"] == pytest.approx((lines.short == 0).mean())
    assert found["unit_pick_accuracy"] == pytest.approx(1 - lines.short.sum() / lines.units.sum())
    assert found["shipped"] == len(shipped)
    days = days_to_ship(events)
    assert found["same_day_rate"] == pytest.approx((days == 0).mean())
    assert found["next_day_rate"] == pytest.approx((days == 1).mean())
    assert (days == 1).sum() == 1
    assert found["order_to_ship_minutes"] == pytest.approx(waited.dt.total_seconds().mean() / 60)
    nine_of_ten = np.quantile(waited.dt.total_seconds() / 60, 0.9, method="inverted_cdf")
    assert found["order_to_ship_p90_minutes"] == pytest.approx(nine_of_ten)
    assert found["split_rate"] == pytest.approx(len(trouble["split"]) / len(shipped))
    assert found["delivered"] == len(arrived)
    assert found["cycle_minutes"] == pytest.approx(cycles(events).mean() / 60)
    assert found["cost"] == costs(events)
    assert [(one["currency"], one["orders"]) for one in found["cost"]] == [("EUR", 1), ("GBP", 2)]
    assert found["promised"] == len(dates(events)) == len(DATES)
    assert found["on_time_rate"] == pytest.approx(1 - len(trouble["late"]) / len(DATES))
    assert len(trouble["late"]) == 2
    assert found["perfect_rate"] == pytest.approx(len(perfect) / len(arrived))
    assert found["broken_by"] == {word: len(arrived & these) for word, these in trouble.items()}
    assert found["return_rate"] == pytest.approx(len(arrived & trouble["returned"]) / len(arrived))
    began = firsts(events, "stock_backordered")
    filled = events[(events.type == "stock_reserved") & (events.data.map(lambda d: d.get("round") == 4))]
    ages = filled.groupby("order")["at"].min() - began
    assert found["backorders"] == len(began)
    assert found["backorder_hours"] == pytest.approx(ages.dt.total_seconds().mean() / 3600)


async def test_what_left_in_parts_is_of_what_left_then(pool: asyncpg.Pool, events: pd.DataFrame) -> None:
    """Not of what was delivered then: those in several shipments came later."""
    await feed(Projector(pool), published())
    async with Queries(pool).reading("acme") as connection:
        until = Period(PERIOD.since, T0 + timedelta(hours=4))
        [found] = await read_measures(connection, "acme", until, "all", NOW)
    assert found["delivered"] > 0
    assert found["broken_by"]["split"] < len(broken(events)["split"])
    shipped = firsts(events, "shipment_dispatched")
    assert found["split_rate"] == pytest.approx(len(broken(events)["split"]) / len(shipped))


async def test_days_and_nodes_divide_the_whole(pool: asyncpg.Pool, events: pd.DataFrame) -> None:
    [whole] = await figures(pool, "all")
    async with Queries(pool).reading("acme") as connection:
        days = await read_measures(connection, "acme", PERIOD, "day", NOW)
        nodes = await read_measures(connection, "acme", PERIOD, "node", NOW)
    counted = ("picked_lines", "counted_lines")
    for name in ("accepted", "shipped", "delivered", "promised", "backorders", *counted):
        assert sum(row[name] for row in days) == whole[name]
    dispatched = events[events.type == "shipment_dispatched"]
    at_node = dispatched.groupby(dispatched.data.map(lambda d: d["node"])).order.nunique()
    shipped = {row["slice"]: row["shipped"] for row in nodes}
    assert shipped["MAN"] == at_node["MAN"]
    assert shipped["LON"] == at_node["LON"]
    lines = picked(events).groupby("node")
    for row in nodes:
        at_its = lines.get_group(row["slice"]) if row["slice"] in lines.groups else None
        assert row["picked_lines"] == (0 if at_its is None else len(at_its)), row["slice"]
        if at_its is not None:
            assert row["pick_accuracy"] == pytest.approx((at_its.short == 0).mean())


async def test_the_dearest_orders_lead_to_what_carriers_asked_most_for(pool: asyncpg.Pool) -> None:
    await feed(Projector(pool), published())
    async with Queries(pool).reading("acme") as connection:
        rows = await read_dearest(connection, "acme", PERIOD, 9)
    asked = [(row["order_id"], row["carriage_currency"], row["carriage_minor"]) for row in rows]
    assert asked == [("d-2", "EUR", 499), ("d-1", "GBP", 620), ("d-0", "GBP", 310)]


async def test_nobody_knows_a_cost_that_nobody_stated(pool: asyncpg.Pool) -> None:
    await feed(Projector(pool), by_stage(LIVES["delivered"]("o-1")))
    async with Queries(pool).reading("acme") as connection:
        [found] = await read_measures(connection, "acme", PERIOD, "all", NOW)
    assert (found["delivered"], found["cost"]) == (1, [])


async def test_a_period_without_orders_has_no_figures(pool: asyncpg.Pool) -> None:
    await feed(Projector(pool), published())
    later = Period(T0 + timedelta(days=30), T0 + timedelta(days=40))
    async with Queries(pool).reading("acme") as connection:
        assert await read_measures(connection, "acme", later, "day", NOW) == []
        assert await read_delays(connection, "acme", later, "carrier", NOW) == []


async def test_delays_add_up_to_the_time_between_capture_and_delivery(
    pool: asyncpg.Pool, events: pd.DataFrame
) -> None:
    await feed(Projector(pool), published())
    whole = cycles(events).mul(1_000_000).astype(int)
    async with Queries(pool).reading("acme") as connection:
        for by in ("all", "day", "channel", "node", "carrier"):
            rows = await read_delays(connection, "acme", PERIOD, by, NOW)
            assert sum(row["orders"] for row in rows) == len(whole)
            assert sum(row["whole"] for row in rows) == whole.sum()
            assert all(sum(row[name] for name in SEGMENTS) == row["whole"] for row in rows)
        slowest = await read_slowest(connection, "acme", PERIOD, "carrier", "royal", None, 50)
        longest = await read_slowest(connection, "acme", PERIOD, "all", None, "pick", 1)
    assert {row["order_id"]: row["whole"] for row in slowest} == whole.to_dict()
    assert [row["whole"] for row in slowest] == sorted(whole, reverse=True)
    assert longest[0]["segments"]["pick"] == max(row["segments"]["pick"] for row in slowest)


async def test_open_orders_pile_up_where_they_stand(pool: asyncpg.Pool) -> None:
    stages = published()
    await feed(Projector(pool), {stage: told[:6] for stage, told in stages.items()})
    async with Queries(pool).reading("acme") as connection:
        piles = await read_piles(connection, "acme")
        open_ = await connection.fetchval("SELECT count(*) FROM orders WHERE waiting_in <> ''")
    assert sum(row["orders"] for row in piles) == open_ > 0
