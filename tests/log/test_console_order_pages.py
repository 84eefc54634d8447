"""The pages of orders over a real PostgreSQL: what a person sees of them, by role, and what they can do."""

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import httpx2
import pytest_asyncio
from fastapi import FastAPI

from libs.events.changes import NoteAdded
from libs.events.contract import Command, Event
from libs.events.envelope import Envelope
from libs.events.intake import CancelOrder, Hold, OrderAccepted, OrderHeld, ReleaseHold
from libs.events.order import OrderLine
from libs.events.returns import AuthoriseReturn
from libs.runtime import problems
from libs.runtime.keyring import MemoryKeyring
from libs.runtime.links import Link, write_link
from libs.runtime.routers import add_routes
from libs.runtime.settings import Settings
from libs.runtime.wire import Record
from services.console.contacts import Contacts
from services.console.history import History, ReadFrom
from services.console.queries import Queries
from services.console.saved_views import SavedViews
from services.console.search.entries import entries
from services.console.search.index import SearchIndex
from services.console.store import Projector
from services.console.web import errors
from services.console.web.actions import Outcome
from services.console.web.looks import Looks
from services.console.web.sessions import Session
from services.console.web.shell import Shell
from services.console.web.site import AboutOrders, Site
from services.console.website import add_pages, open_site
from tests.console_changes import changed_by_support
from tests.console_database import by_stage, console_dsn
from tests.console_lives import LIVES, delivered, terms
from tests.console_parts import envelopes
from tests.console_site import ASSETS
from tests.log.test_console_rebuild import record
from tests.log.test_console_store import feed

__all__ = ["console_dsn"]
HOSTILE = "<script>alert(1)</script>\u202e'; DROP TABLE orders;--"
PEOPLE = {"o-0": {"name": "Zoë Müller-Ostow", "email": "zoe@example.org"}, "held": {"name": HOSTILE}}


@dataclass
class Sent:
    """Stands where commands leave for the stages: keeps them, and answers as it is told."""

    outcome: Outcome = field(default_factory=lambda: Outcome(True, "Done.", shown=True))
    commands: list[tuple[str, Command, str]] = field(default_factory=list)

    calls: list[tuple[str, str, object]] = field(default_factory=list)
    ids: list[UUID | None] = field(default_factory=list)

    async def send(
        self, session: Session, command: Command, *, reason: str = "", id_: UUID | None = None
    ) -> Outcome:
        self.commands.append((session.actor, command, reason))
        self.ids.append(id_)
        return self.outcome

    async def call(
        self,
        session: Session,
        stage: str,
        method: str,
        path: str,
        *,
        body: object = None,
        reason: str = "",
    ) -> Outcome:
        self.calls.append((session.actor, path, body))
        return self.outcome


class Browser:
    """One person's browser without a screen."""

    def __init__(self, client: httpx2.AsyncClient, csrf: str) -> None:
        self.client, self.csrf = client, csrf

    async def see(self, path: str, answered: int = 200) -> str:
        answer = await self.client.get(path, headers={"Accept": "text/html"})
        assert answer.status_code == answered, (answer.status_code, answer.text[:500])
        assert "<script>alert" not in answer.text
        assert "\x00" not in answer.text
        return str(answer.text)

    async def post(self, path: str, answered: int = 303, **fields: Any) -> Any:
        answer = await self.client.post(
            path, data={"csrf": self.csrf} | fields, headers={"Accept": "text/html"}
        )
        assert answer.status_code == answered, (answer.status_code, answer.text[:500])
        return answer


@dataclass
class World:
    site: Site
    sent: Sent
    pool: asyncpg.Pool
    transport: httpx2.ASGITransport

    async def browser(
        self,
        role: str = "operator",
        tenant: str = "acme",
        actor: str = "ann",
        nodes: Sequence[str] | None = None,
    ) -> Browser:
        secret = await self.site.guard.sessions.start(tenant, actor, actor.title(), role, nodes)
        found = await self.site.guard.sessions.find(secret)
        assert found is not None
        client = httpx2.AsyncClient(
            transport=self.transport, base_url=self.site.guard.url, cookies={self.site.guard.cookie: secret}
        )
        return Browser(client, found.csrf)


def published() -> dict[str, list[Envelope[Event]]]:
    topics = by_stage(*(life(f"o-{n}") for n, life in enumerate(LIVES.values())))
    line = OrderLine(line=1, sku="A", quantity=1, unit_price_minor=1, description=HOSTILE)
    held: list[Event] = [
        OrderHeld(
            **{**terms("held"), "external_id": "HELD-1", "channel": HOSTILE, "lines": (line,)},
            holds=(Hold(name="payment", message=HOSTILE), Hold(name="address", message="Where is it?")),
        )
    ]
    topics["intake"] += envelopes("intake", held, first=len(topics["intake"]) + 1)
    changed = changed_by_support("changed")
    for stage, events in (
        ("intake", changed["intake"][:9]),
        ("inventory", changed["inventory"]),
        ("fulfillment", changed["fulfillment"][:4]),
    ):
        topics[stage] += envelopes(stage, events, first=len(topics[stage]) + 1)
    back = delivered("sent-back")
    for stage in ("intake", "fulfillment", "returns"):
        events = back[stage][:2] if stage == "returns" else back[stage]
        topics[stage] += envelopes(stage, events, first=len(topics[stage]) + 1)
    return topics


def reading(topics: Mapping[str, Sequence[Envelope[Event]]]) -> ReadFrom:
    async def from_topics(topic: str, partition: int, offset: int) -> Sequence[Record]:
        events = topics[topic.split(".")[1]]
        return [record(event, topic, n) for n, event in enumerate(events)][offset : offset + 5]

    return from_topics


async def sealed(keyring: MemoryKeyring, event: Envelope[Event]) -> Envelope[Event]:
    body = event.body
    if isinstance(body, NoteAdded):
        note = await keyring.seal(event.tenant, "c:17850", event.stream, {"note": f"Rang. {HOSTILE}"})
        return replace(event, body=body.model_copy(update={"note": note}))
    if event.stream not in PEOPLE or not isinstance(body, OrderAccepted | OrderHeld):
        return event
    contact = await keyring.seal(event.tenant, f"o:{event.stream}", event.stream, PEOPLE[event.stream])
    return replace(event, body=body.model_copy(update={"contact": contact}))


@pytest_asyncio.fixture(scope="module")
async def world(console_dsn: str) -> AsyncIterator[World]:
    config = Settings(database_url=console_dsn)
    async with AsyncExitStack() as stack:
        pool = await stack.enter_async_context(asyncpg.create_pool(console_dsn, min_size=1, max_size=6))
        keyring = MemoryKeyring()
        topics = {
            stage: [await sealed(keyring, event) for event in events] for stage, events in published().items()
        }
        await feed(Projector(pool), topics)
        found = [entries(event.tenant, event.body) for events in topics.values() for event in events]
        await SearchIndex(pool, keyring).apply(
            [part for parts, _ in found for part in parts], [one for _, more in found for one in more], {}
        )

        async def ends() -> Mapping[tuple[str, int], int]:
            return {(f"oms.{stage}.events", 0): len(events) for stage, events in topics.items()}

        queries = Queries(pool)
        about = AboutOrders(
            Contacts(queries, keyring), History(reading(topics)), SavedViews(pool), Looks(pool)
        )
        shell = Shell(config, ASSETS)
        site = await open_site(config, pool, queries, ends, about, shell, stack)
        sent = Sent()
        site = replace(site, actions=sent)  # type: ignore[arg-type]
        app = FastAPI()
        problems.install(app)
        errors.install(app, shell)
        add_routes(app, ASSETS.routes())
        add_pages(app, site)
        yield World(site, sent, pool, httpx2.ASGITransport(app=app, raise_app_exceptions=False))


async def test_an_order_is_found_by_part_of_its_customers_name_by_who_may(world: World) -> None:
    page = await (await world.browser("support")).see("/orders?q=ostow")
    assert "X-o-0" in page
    assert "Z••• M•••" in page
    assert "HELD-1" not in page
    page = await (await world.browser("viewer")).see("/orders?q=ostow")
    assert "X-o-0" not in page
    assert "does not see personal data" in page
    assert "M•••" not in await (await world.browser("viewer")).see("/orders")


async def test_filters_live_in_the_address_and_a_wrong_one_says_so(world: World) -> None:
    browser = await world.browser()
    page = await browser.see("/orders?status=held&from=2026-03-01&to=2026-03-02")
    assert "HELD-1" in page
    assert "X-o-0" not in page
    assert 'value="2026-03-01"' in page
    for wrong in ("status=nonsense", "from=yesterday", "to=0001-01-01", "after=x", "channel=%00"):
        page = await browser.see(f"/orders?{wrong}", 400 if "after" in wrong else 422)
        assert "Traceback" not in page
    for odd in ("q=%00", "q=%27%3B--", "q=" + "x" * 200, "q=%E2%80%AE", "sku=%3Cscript%3Ealert(1)"):
        await browser.see(f"/orders?{odd}")
    await browser.see("/orders?q=" + "x" * 10_000, 422)


async def test_a_page_has_a_next_and_the_export_has_all(world: World) -> None:
    browser = await world.browser()
    answer = await browser.client.get("/orders.csv")
    lines = answer.text.splitlines()
    assert answer.headers["content-type"].startswith("text/csv")
    assert len(lines) == 1 + 8
    assert lines[0].startswith("order_id,status,channel")
    held = await browser.client.get("/orders.csv?status=held")
    assert "HELD-1" in held.text
    assert len(held.text.splitlines()) == 2


async def test_the_page_says_what_blocks_the_order_and_shows_hostile_text_as_text(world: World) -> None:
    page = await (await world.browser()).see("/orders/held")
    assert "Hold payment: &lt;script&gt;alert(1)" in page
    assert "Acts next: Support." in page
    assert "/orders/held/holds/payment/release" in page
    assert "Placed" in page
    viewer = await (await world.browser("viewer")).see("/orders/held")
    assert "Hold payment" in viewer
    assert not re.search(r"release|cancel", "".join(re.findall(r'href="[^"]*"|action="[^"]*"', viewer)))


async def test_an_order_that_is_over_shows_its_whole_life(world: World) -> None:
    page = await (await world.browser()).see("/orders/o-0")
    for told in ("Delivered 12 units", "RM1", "nearest that has all", "£48.95", "came back", "svg", "£12.50"):
        assert told in page, told
    assert page.count('id="e-') >= 24
    assert "a command of ann" in page
    assert "a command or a timer" not in page
    document = await (await world.browser()).see("/orders/o-0/events/intake/0/1")
    assert "order_accepted" in document
    assert "&#34;external_id&#34;: &#34;X-o-0&#34;" in document
    await (await world.browser()).see("/orders/o-0/events/intake/0/999", 404)
    await (await world.browser()).see("/orders/o-1/events/intake/0/1", 404)


async def test_the_order_as_it_stood_at_any_moment(world: World) -> None:
    browser = await world.browser()
    before = await browser.see("/orders/o-0?step=0")
    assert "before anything was known" in before
    early = await browser.see("/orders/o-0?step=4")
    assert "As it is now" in early
    assert "badge delivered" not in early
    assert "badge delivered" in await browser.see("/orders/o-0?step=9999")
    await browser.see("/orders/o-0?step=-1", 422)


async def test_a_hold_is_released_after_a_preview(world: World) -> None:
    browser = await world.browser()
    page = await browser.see("/orders/held/holds/payment/release")
    assert "1 still block: address" in page
    world.sent.commands.clear()
    await browser.post("/orders/held/holds/payment/release", note="paid\nby wire")
    actor, command, reason = world.sent.commands[0]
    assert (actor, reason) == ("ann", "paid by wire")
    assert command == ReleaseHold(order_id="held", hold="payment", note="paid by wire")
    assert "No open hold" in await browser.see("/orders/held/holds/nonsense/release")


async def test_a_cancellation_is_shown_before_it_is_asked_for(world: World) -> None:
    browser = await world.browser("support")
    assert "closed as cancelled" in await browser.see("/orders/held/cancel")
    assert "nothing of it can be cancelled" in await browser.see("/orders/o-0/cancel")
    world.sent.commands.clear()
    await browser.post("/orders/held/cancel", note="asked to")
    assert world.sent.commands[0][1] == CancelOrder(order_id="held", reason="asked to")
    world.sent.outcome = Outcome(False, "Intake does not answer. Nothing was changed.", "Try again.")
    page = await browser.post("/orders/held/cancel", 409, note="asked to")
    assert "Intake does not answer" in page.text
    world.sent.outcome = Outcome(True, "Done.", shown=True)


async def test_a_viewer_changes_nothing(world: World) -> None:
    browser = await world.browser("viewer")
    world.sent.commands.clear()
    for path, fields in (
        ("/orders/held/cancel", {}),
        ("/orders/held/holds/payment/release", {}),
        ("/orders/held/contact", {"why": "curious"}),
        ("/orders/held/link", {}),
        ("/orders/bulk/cancel", {"order_id": "held", "confirmed": "true"}),
        ("/orders/bulk/release", {"order_id": "held"}),
    ):
        await browser.post(path, 403, **fields)
    await browser.see("/orders/held/cancel", 403)
    assert world.sent.commands == []


async def test_a_change_that_did_not_come_from_our_page_is_refused(world: World) -> None:
    browser = await world.browser()
    browser.csrf = "guessed"
    await browser.post("/orders/held/cancel", 403)
    await browser.post("/orders/views", 403, name="mine")


async def test_another_tenant_sees_and_does_nothing_with_it(world: World) -> None:
    browser = await world.browser("admin", tenant="other")
    assert "HELD-1" not in await browser.see("/orders")
    assert "X-o-0" not in await browser.see("/orders?q=ostow")
    for path in (
        "/orders/held",
        "/orders/held/cancel",
        "/orders/held/events/intake/0/1",
        "/parts/orders/held",
    ):
        await browser.see(path, 404)
    world.sent.commands.clear()
    await browser.post("/orders/held/cancel", 404, note="asked to")
    page = await browser.post("/orders/bulk/cancel", 200, order_id="held", confirmed="true", note="asked to")
    assert "No such order" in page.text
    assert world.sent.commands == []


async def test_many_orders_at_once_are_shown_first_then_done_each_with_its_result(world: World) -> None:
    browser = await world.browser()
    world.sent.commands.clear()
    chosen = ["held", "o-0", "nobody"]
    page = (await browser.post("/orders/bulk/release", 200, order_id=chosen)).text
    assert "1 still block" in page
    assert "No hold blocks it" in page
    assert "No such order" in page
    assert world.sent.commands == []
    done = {"order_id": chosen, "confirmed": "true", "note": "paid"}
    page = (await browser.post("/orders/bulk/release", 200, **done)).text
    assert [command for _, command, _ in world.sent.commands] == [
        ReleaseHold(order_id="held", hold=hold, note="paid") for hold in ("payment", "address")
    ]
    assert page.count("Done.") == 2
    await browser.post("/orders/bulk/release", 422, order_id=[f"o-{n}" for n in range(200)])


async def test_the_contact_is_shown_to_who_may_and_each_look_is_kept(world: World) -> None:
    browser = await world.browser("support", actor="sue")
    assert "zoe@example.org" not in await browser.see("/orders/o-0")
    page = (await browser.post("/orders/o-0/contact", 200, why="asked for her address")).text
    assert "zoe@example.org" in page
    rows = await world.pool.fetch("SELECT actor, role, order_id, reason FROM access.unmaskings")
    assert ("sue", "support", "o-0", "asked for her address") in [tuple(row) for row in rows]
    page = (await browser.post("/orders/held/contact", 200, why="?")).text
    assert "&lt;script&gt;alert(1)" in page


async def test_views_are_kept_by_their_owner_alone(world: World) -> None:
    ann, sue = await world.browser(), await world.browser(actor="sue")
    await ann.post("/orders/views", name=f"held {HOSTILE}"[:60], query="status=held")
    await ann.post("/orders/views", 422, name=" ", query="")
    assert "/orders?status=held" in await ann.see("/orders")
    assert "held &lt;script" in await ann.see("/orders")
    assert "held &lt;script" not in await sue.see("/orders")
    await sue.post("/orders/views/delete", name=f"held {HOSTILE}"[:60])
    assert "held &lt;script" in await ann.see("/orders")
    await ann.post("/orders/views/delete", name=f"held {HOSTILE}"[:60])
    assert "held &lt;script" not in await ann.see("/orders")


async def customers_link(world: World, order_id: str) -> str:
    page = (await (await world.browser("support")).post(f"/orders/{order_id}/link", 200)).text
    found = re.search(r"http://[^/]+(/o/[\w.-]+)", page)
    assert found, page
    return found[1]


async def test_a_customer_sees_their_order_and_nothing_else(world: World) -> None:
    path = await customers_link(world, "o-0")
    customer = Browser(httpx2.AsyncClient(transport=world.transport, base_url=world.site.guard.url), "")
    page = await customer.see(path)
    assert "X-o-0" in page
    assert "Delivered" in page
    assert "RM1" in page
    for secret in ("ann", "LON", "zoe@example.org", "Müller", "17850", "nearest", "48.95", "/orders"):
        assert secret not in re.sub(r"/assets/[^\"]+", "", page), secret
    assert "Ihre Bestellung" in await customer.see(f"{path}?lang=de")
    assert "Votre commande" in await customer.see(f"{path}?lang=fr")
    await customer.see(path[:-2] + "xx", 404)
    await customer.see("/o/nonsense", 404)
    old = write_link(
        world.site.about.contacts.link_key(), Link("acme", "o-0", datetime.now(UTC) - timedelta(seconds=1))
    )
    assert "no longer valid" in await customer.see(f"/o/{old}", 410)
    assert "no longer valid" not in await customer.see(path.replace("/o/", "/o/x"), 404)


async def test_a_customer_asks_for_a_return(world: World) -> None:
    path = await customers_link(world, "o-0")
    customer = Browser(httpx2.AsyncClient(transport=world.transport, base_url=world.site.guard.url), "")
    page = await customer.see(path)
    assert 'name="units-2"' in page
    world.sent.commands.clear()
    await customer.post(path, 422, **{"units-2": "0"})
    await customer.post(path, 422, **{"units-99": "1", "units-2": "-1"})
    assert world.sent.commands == []
    event = {"type": "oms.returns.return_authorised", "data": {"rma_id": "o-0-R1"}}
    world.sent.outcome = Outcome(True, "Done.", events=(event,), shown=True)
    answer = await customer.post(path, 303, **{"units-2": "99", "reason": f"broken\x00 {HOSTILE}"})
    actor, command, _ = world.sent.commands[0]
    assert actor == "customer"
    assert isinstance(command, AuthoriseReturn)
    assert [(line.line, line.quantity) for line in command.lines] == [(2, 2)]
    assert "o-0-R1" in await customer.see(answer.headers["location"])
    world.sent.outcome = Outcome(False, "internal reason", "secret", "stage_unavailable")
    refused = await customer.post(path, 409, **{"units-2": "1"})
    assert "internal reason" not in refused.text
    assert "in a few minutes" in refused.text
    world.sent.outcome = Outcome(True, "Done.", shown=True)
