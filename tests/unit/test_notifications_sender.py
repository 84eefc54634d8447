"""The mail sender against a real SMTP server: what is delivered, what is tried again, what is given up."""

import asyncio
import re
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any, Literal

import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session

from libs.events.contract import Event
from libs.events.notifications import MessageSent, RecordMessageOutcome
from libs.events.order import Sealed
from libs.runtime.links import read_link
from libs.runtime.privacy import Unopenable
from libs.runtime.sender import TryAgain
from libs.runtime.settings import Settings
from services.notifications import domain
from services.notifications.domain import State
from services.notifications.sender import MailSender
from tests.spec import given as spec_given
from tests.unit import test_notifications_domain as lives

ORDER = lives.ORDER
PAID, CONFIRMED = f"{ORDER}-paid", f"{ORDER}-confirmed"


@dataclass
class Postbox:
    """What the SMTP server was told; `replies` answer recipients or contents in its own way, once each."""

    mails: list[Envelope] = field(default_factory=list)
    connections: int = 0
    open: list[SMTP] = field(default_factory=list)
    to_recipient: list[str] = field(default_factory=list)
    to_content: list[str] = field(default_factory=list)
    hang_up: int = 0
    """How many contents to answer by closing the connection."""

    async def handle_EHLO(
        self, server: SMTP, session: Session, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        self.connections += 1
        self.open.append(server)
        session.host_name = hostname
        return responses

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.to_recipient:
            return self.to_recipient.pop(0)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        if self.to_content:
            return self.to_content.pop(0)
        self.mails.append(envelope)
        if self.hang_up:
            self.hang_up -= 1
            assert server.transport is not None
            server.transport.close()
        return "250 kept"

    def close_all(self) -> None:
        """Close every connection, as a server does with idle ones."""
        for server in self.open:
            assert server.transport is not None
            server.transport.close()

    @property
    def parsed(self) -> list[EmailMessage]:
        found = []
        for envelope in self.mails:
            assert isinstance(envelope.content, bytes)
            mail = message_from_bytes(envelope.content, policy=default)
            assert isinstance(mail, EmailMessage)
            found.append(mail)
        return found


@pytest.fixture
async def postbox() -> AsyncIterator[tuple[Postbox, Settings]]:
    """A real SMTP server (aiosmtpd) on a free port, and settings that name it."""
    box = Postbox()
    server = await asyncio.get_running_loop().create_server(lambda: SMTP(box), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        yield box, Settings(smtp_host="127.0.0.1", smtp_port=port, mail_from="Shop <orders@shop.example>")


Opening = Callable[[str, str, Sealed], Awaitable[dict[str, Any] | None]]


def opens(personal: dict[str, Any] | None) -> Opening:
    async def open_sealed(tenant: str, order_id: str, sealed: Sealed) -> dict[str, Any] | None:
        assert (tenant, order_id, sealed) == ("acme", ORDER, lives.CONTACT)
        return personal

    return open_sealed


LINK_KEY = b"k" * 32
ANNA = opens({"name": "Anna Keller", "email": "anna@example.org"})


@asynccontextmanager
async def sending(settings: Settings, open_sealed: Opening = ANNA) -> AsyncIterator[MailSender]:
    sender = MailSender(settings, open_sealed, LINK_KEY)
    try:
        yield sender
    finally:
        await sender.close()


def order(*heard: Event) -> State:
    state = lives.known().heard(*heard).parts[ORDER]
    assert isinstance(state, State)
    return state


def report(message_id: str, outcome: Literal["sent", "failed"], detail: str = "") -> RecordMessageOutcome:
    return RecordMessageOutcome(order_id=ORDER, message_id=message_id, outcome=outcome, detail=detail)


async def test_a_mail_arrives_as_it_should(postbox: tuple[Postbox, Settings]) -> None:
    box, settings = postbox
    async with sending(settings) as sender:
        assert await sender.perform("acme", PAID, order()) == report(PAID, "sent")
    [envelope], [mail] = box.mails, box.parsed
    assert envelope.mail_from == "orders@shop.example"
    assert envelope.rcpt_tos == ["anna@example.org"]
    assert mail["From"] == "Shop <orders@shop.example>"
    assert mail["To"] == "Anna Keller <anna@example.org>"
    assert mail["Subject"] == "Payment received for order 1001"
    assert mail["Message-ID"] == f"<{PAID}@shop.example>"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Date"]
    assert "your payment of £13.50" in mail.get_content()


async def test_a_mail_leads_to_the_customers_own_page(postbox: tuple[Postbox, Settings]) -> None:
    box, settings = postbox
    reached = settings.model_copy(update={"console_url": "https://orders.example/"})
    for chosen in (reached, settings):
        async with sending(chosen) as sender:
            await sender.perform("acme", PAID, order())
    told, untold = (mail.get_content() for mail in box.parsed)
    [token] = re.findall(r"^https://orders\.example/o/(\S+)\r?$", told, re.MULTILINE)
    now = datetime.now(UTC)
    link = read_link(LINK_KEY, token, now)
    assert (link.tenant, link.order_id) == ("acme", ORDER)
    assert timedelta(days=29) < link.until - now <= timedelta(days=30)
    assert "://" not in untold
    assert "send something back" not in untold


async def test_many_mails_share_one_connection(postbox: tuple[Postbox, Settings]) -> None:
    box, settings = postbox
    state = order(lives.routed(), lives.shipped())
    async with sending(settings) as sender:
        for message_id in state.letters:
            await sender.perform("acme", message_id, state)
    assert len(box.mails) == len(state.letters) == 4
    assert box.connections == 1


async def test_long_ids_and_foreign_names_stay_in_their_headers(postbox: tuple[Postbox, Settings]) -> None:
    box, settings = postbox
    long_id = "0123456789abcdef" * 4
    accepted = lives.accepted().model_copy(update={"order_id": long_id})
    state = spec_given(domain).heard(accepted).parts[long_id]

    async def zoe(tenant: str, order_id: str, sealed: Sealed) -> dict[str, Any]:
        return {
            "name": 'Zoë "Z", <x@evil.example>\r\nBcc: all@evil.example ' + "é" * 200,
            "email": "zoe@exämple.org",
        }

    async with sending(settings, zoe) as sender:
        outcome = await sender.perform("acme", f"{long_id}-confirmed", state)
        assert outcome.outcome == "sent", outcome.detail
    [envelope], [mail] = box.mails, box.parsed
    assert envelope.rcpt_tos == ["zoe@xn--exmple-cua.org"]
    assert mail["Message-ID"].strip() == f"<{long_id}-confirmed@shop.example>"
    assert "Bcc" not in mail
    [to] = mail["To"].addresses
    assert to.display_name.startswith('Zoë "Z", <x@evil.example> Bcc:')


async def test_a_mail_sent_before_is_not_sent_again(postbox: tuple[Postbox, Settings]) -> None:
    box, settings = postbox
    state = order()
    async with sending(settings) as sender:
        await sender.perform("acme", PAID, state)
        assert await sender.perform("acme", PAID, state) == report(PAID, "sent")
    settled = domain.evolve(state, MessageSent(order_id=ORDER, message_id=PAID, milestone="paid"))
    async with sending(settings) as sender:
        assert await sender.perform("acme", PAID, settled) == report(PAID, "sent")
    assert len(box.mails) == 1


async def test_a_permanent_refusal_is_the_outcome_and_names_nobody(postbox: tuple[Postbox, Settings]) -> None:
    box, settings = postbox
    box.to_recipient = ["550 5.1.1 <anna@example.org> no such mailbox"]
    box.to_content = ["554 5.7.1 rejected as spam"]
    state = order()
    async with sending(settings) as sender:
        first = await sender.perform("acme", PAID, state)
        assert first == report(PAID, "failed", "550 5.1.1 (address) no such mailbox")
        second = await sender.perform("acme", PAID, state)
        assert second == report(PAID, "failed", "554 5.7.1 rejected as spam")
        assert (await sender.perform("acme", CONFIRMED, state)).outcome == "sent"
    assert box.connections == 1


async def test_a_temporary_refusal_is_tried_again(postbox: tuple[Postbox, Settings]) -> None:
    box, settings = postbox
    box.to_recipient = ["450 4.2.1 mailbox busy", "530 5.7.0 authentication required"]
    box.to_content = ["452 4.3.1 no room"]
    state = order()
    async with sending(settings) as sender:
        for words in ("450 4.2.1 mailbox busy", "530 5.7.0 authentication required", "452 4.3.1 no room"):
            with pytest.raises(TryAgain, match=words):
                await sender.perform("acme", PAID, state)
        assert await sender.perform("acme", PAID, state) == report(PAID, "sent")
    assert len(box.mails) == 1


async def test_a_connection_closed_meanwhile_is_opened_again(
    postbox: tuple[Postbox, Settings],
) -> None:
    box, settings = postbox
    state = order()
    async with sending(settings) as sender:
        await sender.perform("acme", CONFIRMED, state)
        box.close_all()
        assert await sender.perform("acme", PAID, state) == report(PAID, "sent")
    assert len(box.mails) == box.connections == 2


async def test_a_server_that_hangs_up_is_tried_again_later(postbox: tuple[Postbox, Settings]) -> None:
    box, settings = postbox
    box.hang_up = 1
    async with sending(settings) as sender:
        with pytest.raises(TryAgain):
            await sender.perform("acme", PAID, order())
        assert await sender.perform("acme", PAID, order()) == report(PAID, "sent")
    ids = {mail["Message-ID"] for mail in box.parsed}
    assert ids == {f"<{PAID}@shop.example>"}


async def test_no_server_is_tried_again_later() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    async with sending(Settings(smtp_port=port)) as sender:
        with pytest.raises(TryAgain):
            await sender.perform("acme", PAID, order())


async def test_an_erased_recipient_is_not_written_to(postbox: tuple[Postbox, Settings]) -> None:
    box, settings = postbox
    async with sending(settings, opens(None)) as sender:
        assert await sender.perform("acme", PAID, order()) == report(PAID, "failed", "recipient erased")
    assert not box.mails


async def test_a_contact_that_does_not_open_fails(
    postbox: tuple[Postbox, Settings],
) -> None:
    _, settings = postbox

    async def unopenable(tenant: str, order_id: str, sealed: Sealed) -> dict[str, Any]:
        raise Unopenable("the seal does not belong to this tenant, order and subject")

    async def down(tenant: str, order_id: str, sealed: Sealed) -> dict[str, Any]:
        raise ConnectionRefusedError

    async with sending(settings, unopenable) as sender:
        assert (await sender.perform("acme", PAID, order())).outcome == "failed"
    async with sending(settings, opens({"name": "Anna"})) as sender:
        outcome = await sender.perform("acme", PAID, order())
        assert outcome == report(PAID, "failed", "the contact has no mail address")
    async with sending(settings, opens({"email": "zoë@example.org"})) as sender:
        outcome = await sender.perform("acme", PAID, order())
        assert outcome.outcome == "failed"
        assert outcome.detail.startswith("the mail server cannot take it")
    async with sending(settings, down) as sender:
        with pytest.raises(TryAgain, match="keyring"):
            await sender.perform("acme", PAID, order())
