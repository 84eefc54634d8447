"""Money of an order that was cancelled while it was held: what is let go stands where refunds do."""

import asyncpg

from libs.events.contract import Event
from libs.events.intake import Hold, OrderClosed, OrderHeld
from libs.events.returns import VoidRequested
from services.console.documents import order_document
from services.console.queries import Queries
from services.console.store import Projector
from tests.console_database import by_stage, console_dsn, pool
from tests.console_lives import delivered, terms
from tests.console_site import People, people
from tests.log.test_console_store import feed

__all__ = ["console_dsn", "people", "pool"]


async def test_a_payment_that_is_let_go_stands_with_the_refunds(people: People, pool: asyncpg.Pool) -> None:
    intake: list[Event] = [
        OrderHeld(**terms("o-1"), holds=(Hold(name="payment", message="Payment is pending."),)),
        OrderClosed(order_id="o-1", outcome="cancelled"),
    ]
    void = VoidRequested(order_id="o-1", void_id="o-1-void", amount_minor=4895, currency="GBP")
    await feed(Projector(pool), by_stage({"intake": intake, "returns": [void]}, delivered("o-2")))
    person = await people.sign_in("support")
    assert "Payment of £48.95 let go, never charged; requested" in await person.get("/orders/o-1")
    assert "let go" not in await person.get("/orders/o-2")
    found = await Queries(pool).order("acme", "o-1", 1)
    assert found is not None
    [told] = order_document(found[0])["voids"]
    assert (told["void_id"], told["amount_minor"], told["currency"]) == ("o-1-void", 4895, "GBP")
