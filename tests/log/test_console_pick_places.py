"""Whoever looks at an order sees from which bins and lots its node has yet to take what it picks."""

import asyncpg
import pytest

from libs.events.contract import Event
from libs.events.fulfillment import FulfillmentReleased, PickConfirmed
from libs.events.order import PickFrom
from services.console.documents import order_document
from services.console.queries import Queries
from services.console.store import Projector
from tests.console_database import by_stage, console_dsn, pool
from tests.console_lives import delivered
from tests.console_site import People, people
from tests.log.test_console_store import feed

__all__ = ["console_dsn", "people", "pool"]
PICKS = (
    PickFrom(node="LON", sku="A", quantity=4, bin="A-12-3", lot="L-1"),
    PickFrom(node="LON", sku="A", quantity=6, bin="R-7-2", put_away=True),
    PickFrom(node="LON", sku="B", quantity=1, lot="L-2"),
    PickFrom(node="LON", sku="B", quantity=1, serialised=True),
)
SAID = "4 A from A-12-3 (lot L-1), 6 A from R-7-2, 1 B of lot L-2"


def life(upto: type[Event]) -> dict[str, list[Event]]:
    """An order's life until its node was asked to pick, or has picked."""
    whole = delivered("o-0")
    work = whole["fulfillment"]
    last = next(place for place, event in enumerate(work) if isinstance(event, upto))
    released = work[0]
    assert isinstance(released, FulfillmentReleased)
    asked: list[Event] = [released.model_copy(update={"picks": PICKS}), *work[1:]]
    before = {stage: list(whole[stage]) for stage in ("intake", "inventory", "routing")}
    return {**before, "fulfillment": asked[: last + 1]}


@pytest.mark.parametrize(("upto", "shown"), [(FulfillmentReleased, True), (PickConfirmed, False)])
async def test_what_is_to_be_picked_is_shown_with_its_bins_until_it_is(
    people: People, pool: asyncpg.Pool, upto: type[Event], shown: bool
) -> None:
    await feed(Projector(pool), by_stage(life(upto)))
    page = await (await people.sign_in("support")).get("/orders/o-0")
    assert (SAID in page) is shown
    assert ("To be picked" in page) is shown
    found = await Queries(pool).order("acme", "o-0", 1)
    assert found is not None
    [work] = order_document(found[0])["fulfillment_orders"]
    assert [tuple(place.values()) for place in work["places"]] == [
        ("A", 4, "A-12-3", "L-1"),
        ("A", 6, "R-7-2", None),
        ("B", 1, None, "L-2"),
    ]
