"""Wires the inventory stage: `python -m services.inventory.app`."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter

from libs.events.availability import AVAILABILITY_TOPIC, SkuAvailability
from libs.events.bundles import BUNDLE_COMMANDS
from libs.events.feed_maps import FEED_MAP_COMMANDS
from libs.runtime.edge import Edge
from libs.runtime.routers import joined
from libs.runtime.service import run
from libs.runtime.settings import settings
from libs.runtime.stage import Composed, StateTopic, many_streams
from services.inventory import domain, ledger
from services.inventory.api import routes
from services.inventory.availability import bundle_state, made_of, state, told_with, touched
from services.inventory.backdating import dated
from services.inventory.basket_api import basket_routes
from services.inventory.bundle_api import bundle_routes
from services.inventory.bundles import PLANNED
from services.inventory.channel_days_api import channel_days_routes
from services.inventory.defined_api import defined_routes
from services.inventory.hears import HEARS, PASSES_OVER
from services.inventory.node_reminders import remind_of_days, remind_of_retired, remind_of_switched
from services.inventory.old_parts import stored
from services.inventory.places import CONFIGURED
from services.inventory.policies import POLICIES
from services.inventory.policy_api import policy_routes
from services.inventory.stock import HOLDER
from services.inventory.store import make_snapshots
from services.inventory.substitute_api import substitute_routes
from services.inventory.supply_api import supply_routes


def _now(stream: str, version: int, part: bytes) -> tuple[SkuAvailability, tuple[str, ...]] | None:
    """What channels are told of a SKU, at this moment."""
    return state(stream, version, part, datetime.now(UTC))


def _bundle_now(stream: str, parts: Mapping[str, tuple[int, bytes]]) -> tuple[SkuAvailability, int] | None:
    """What channels are told of a bundle, at this moment, and its version."""
    told = bundle_state(stream, parts, datetime.now(UTC))
    return None if told is None else (told, told.version)


STAGE = many_streams(
    "inventory",
    hears_types=HEARS,
    finishes=("routing", "fulfillment", "returns"),
    passes_over=PASSES_OVER,
    part_type=lambda stream: stored(type(domain.empty(stream))),
    empty=domain.empty,
    more_streams=domain.more_streams,
    compose=domain.compose,
    decompose=domain.decompose,
    decide=dated(domain.decide, lambda: settings().backdate_days_max),
    evolve=domain.evolve,
    timers=domain.timers,
    rows=ledger.ledger_rows,
    sums=ledger.add_balances,
    row_tables=ledger.ROW_TABLES,
    sum_tables=ledger.SUM_TABLES,
    tables_call=ledger.TABLES_CALL,
    positions=ledger.positions,
    shared=CONFIGURED | POLICIES,
    beside=POLICIES,
    leads_on=HOLDER,
    states=StateTopic(
        AVAILABILITY_TOPIC,
        "sku/",
        read=_now,
        touched=touched,
        composed=Composed(told_with, made_of, _bundle_now),
    ),
    leads_on_for=frozenset({*BUNDLE_COMMANDS, *FEED_MAP_COMMANDS}),
    leads_on_timers=frozenset({PLANNED}),
)


def all_routes(edge: Edge) -> APIRouter:
    """Everything that inventory answers. Baskets come first: they are many, and routes are tried in order.
    What has a name of its own, as /v1/stock/needs, comes before the SKU that might have that name."""
    return joined(
        basket_routes(edge),
        defined_routes(edge),
        policy_routes(edge),
        channel_days_routes(edge),
        supply_routes(edge),
        bundle_routes(edge),
        substitute_routes(edge),
        routes(edge),
    )


async def keep_up(connection: Any) -> bool:
    """What is done in the background; whether more may be."""
    await remind_of_switched(connection)
    await remind_of_retired(connection)
    await remind_of_days(connection)
    return await make_snapshots(connection)


if __name__ == "__main__":
    run(STAGE, all_routes, upkeep=keep_up)
