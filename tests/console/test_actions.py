"""What a person does from a page, on the real stages: in their name, with their reason, and shown at once."""

import asyncpg
import httpx2
import pytest

from libs.events.ids import order_id
from libs.events.intake import CancelOrder, ReleaseHold
from libs.runtime.settings import settings
from services.console.queries import Queries
from services.console.web.actions import Actions
from services.console.web.sessions import Session
from tests.console.orders import Orders

pytestmark = pytest.mark.e2e


async def test_a_change_is_the_persons_and_shows_at_once(orders: Orders) -> None:
    external = orders.submit(payment="pending")
    orders.until(lambda standing: standing.get(external) == "held")
    order = order_id(orders.tenant, "web", external)
    olga = Session(orders.tenant, "olga", "Olga", "operator", "")
    async with (
        asyncpg.create_pool(settings().dsn("console"), min_size=1, max_size=2) as pool,
        httpx2.AsyncClient(timeout=30, trust_env=False) as http,
    ):
        queries = Queries(pool)
        actions = Actions(settings(), queries, http)
        done = await actions.send(
            olga, ReleaseHold(order_id=order, hold="payment", note="seen"), reason="Überweisung ist da"
        )
        assert (done.ok, done.shown) == (True, True), done
        entries = await queries.timeline(orders.tenant, order, None, 100)
        [released] = [entry for entry in entries if entry["type"].endswith("hold_released")]
        assert (released["actor"], released["reason"]) == ("olga", "Überweisung ist da")

        refused = await actions.send(olga, ReleaseHold(order_id=order, hold="payment", note="again"))
        assert not refused.ok
        assert refused.sentence
        assert refused.next_step
        rival = Session("rival", "eve", "Eve", "operator", "")
        stolen = await actions.send(rival, CancelOrder(order_id=order, reason="theirs"))
        assert not stolen.ok
        elsewhere = settings().model_copy(update={"stage_url": "http://127.0.0.1:9"})
        silent = await Actions(elsewhere, queries, http).send(olga, CancelOrder(order_id=order, reason=""))
        assert silent.sentence == "Intake does not answer. Nothing was changed."
