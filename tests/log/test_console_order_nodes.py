"""The table behind a list of a node's orders says what the orders themselves say, whatever was read when."""

import asyncpg
import pytest

from libs.events.routing import OrderRouted
from services.console.store import Projector
from tests.console_database import by_stage, console_dsn, pool
from tests.console_lives import LIVES, Life, delivered
from tests.log.test_console_store import feed, rows

__all__ = ["console_dsn", "pool"]

_SAID = """SELECT node, order_id FROM orders, unnest(string_to_array(nodes, ',')) AS node
    WHERE nodes <> '' ORDER BY node, order_id"""
_KEPT = "SELECT node, order_id FROM order_nodes ORDER BY node, order_id"


def moved_away(order_id: str) -> Life:
    """Routed to LEE first, and before anything happened there to LON."""
    life = delivered(order_id)
    [routed] = life["routing"]
    assert isinstance(routed, OrderRouted)
    [plan] = routed.nodes
    first = routed.model_copy(update={"nodes": (plan.model_copy(update={"node": "LEE"}),)})
    return {**life, "routing": [first, routed.model_copy(update={"round": 2})]}


@pytest.mark.parametrize("seed", range(4))
async def test_each_order_has_a_row_for_each_of_its_nodes(pool: asyncpg.Pool, seed: int) -> None:
    lives = [life(f"o-{number}") for number, life in enumerate(LIVES.values())]
    await feed(Projector(pool), by_stage(*lives, moved_away("o-moved")), seed)
    kept = [tuple(row) for row in await rows(pool, _KEPT)]
    assert kept == [tuple(row) for row in await rows(pool, _SAID)]
    assert {("LON", "o-1"), ("MAN", "o-1"), ("LON", "o-moved")} <= set(kept)
    assert ("LEE", "o-moved") not in kept
    assert await rows(pool, _KEPT, "rival") == []
