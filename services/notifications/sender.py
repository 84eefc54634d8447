"""Sends mails by SMTP over one connection that is kept open, and tells what became of each.

An effect: nothing here decides. A mail that is tried again has the same Message-ID, so that a receiver can
recognise it.
"""

import asyncio
import re
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from email.charset import QP, Charset
from email.header import Header
from email.headerregistry import Address
from email.mime.text import MIMEText
from email.utils import format_datetime, formataddr, parseaddr
from typing import Any, Literal

import aiosmtplib

from libs.events.notifications import RecordMessageOutcome
from libs.events.order import Sealed
from libs.runtime.links import GOOD_FOR, Link, write_link
from libs.runtime.pool import DATABASE_FAULTS
from libs.runtime.privacy import Unopenable
from libs.runtime.sender import TryAgain
from libs.runtime.settings import Settings
from services.notifications.domain import State
from services.notifications.messages import Message, Unsendable, render

OpenSealed = Callable[[str, str, Sealed], Awaitable[dict[str, Any] | None]]
"""(tenant, order id, sealed contact) → personal data, or None once its subject was erased."""

REMEMBERED_MAX = 20_000
OURS_TO_MEND = frozenset({421, 530, 534, 535, 538})
"""Replies about the connection or our login, not about the mail: it is tried again."""

_UTF8 = Charset("utf-8")
_UTF8.body_encoding = QP


class MailRefused(Exception):
    """The mail server refused this mail for good."""


class MailSender:
    """Does the effects of `MessageRequested` over a few connections; `close` it when done."""

    def __init__(self, settings: Settings, open_sealed: OpenSealed, link_key: bytes) -> None:
        """`link_key` signs the customers' links (`Keyring.link_key`)."""
        self._settings, self._open_sealed, self._link_key = settings, open_sealed, link_key
        name, address = parseaddr(settings.mail_from)
        self._from = Address(name, addr_spec=address)
        self._idle: list[aiosmtplib.SMTP] = []
        self._places = asyncio.Semaphore(settings.smtp_connections_max)
        self._sent: OrderedDict[tuple[str, str], None] = OrderedDict()
        """Lately sent, lest one whose report is still on its way be sent again after its lease."""

    async def perform(self, tenant: str, effect_id: str, state: State) -> RecordMessageOutcome:
        """Send the message `effect_id` (its message id) and report. Raises TryAgain when it cannot be now."""
        letter = state.letters[effect_id]
        if letter.outcome == "sent" or (tenant, effect_id) in self._sent:
            return _report(state, effect_id, "sent")
        if letter.outcome != "owed" or state.contact is None:
            return _report(state, effect_id, "failed", f"the message is {letter.outcome}, not owed")
        try:
            personal = await self._open_sealed(tenant, state.order_id, state.contact)
        except Unopenable as error:
            return _report(state, effect_id, "failed", f"the contact cannot be opened: {error}")
        except DATABASE_FAULTS as error:
            raise TryAgain(f"the keyring cannot be read: {type(error).__name__}") from error
        if personal is None:
            return _report(state, effect_id, "failed", "recipient erased")
        try:
            await self.send(render(state, effect_id, personal, self._link(tenant, state.order_id)))
        except (Unsendable, MailRefused) as error:
            return _report(state, effect_id, "failed", str(error))
        self._sent[tenant, effect_id] = None
        if len(self._sent) > REMEMBERED_MAX:
            self._sent.popitem(last=False)
        return _report(state, effect_id, "sent")

    def _link(self, tenant: str, order_id: str) -> str:
        """Where the customer sees the order; empty where nobody said how the console is reached."""
        if not self._settings.console_url:
            return ""
        token = write_link(self._link_key, Link(tenant, order_id, datetime.now(UTC) + GOOD_FOR))
        return f"{self._settings.console_url.rstrip('/')}/o/{token}"

    async def send(self, message: Message) -> None:
        """Returns once the mail server has taken it. Raises MailRefused or TryAgain."""
        mail = self._mail(message)
        async with self._places:
            try:
                smtp, reused = await self._connection()
                try:
                    await self._hand_over(smtp, mail, message.to)
                except aiosmtplib.SMTPServerDisconnected:
                    smtp.close()
                    if not reused:
                        raise
                    # The server had closed the idle connection: that says nothing about this mail.
                    smtp = await self._connect()
                    await self._hand_over(smtp, mail, message.to)
            except (aiosmtplib.SMTPException, OSError) as error:
                raise TryAgain(f"mail server: {_without_addresses(str(error))}") from error
            self._idle.append(smtp)

    async def _connection(self) -> tuple[aiosmtplib.SMTP, bool]:
        """A connection of this mail's own for now; whether it was open before."""
        while self._idle:
            smtp = self._idle.pop()
            if smtp.is_connected:
                return smtp, True
        return await self._connect(), False

    async def _connect(self) -> aiosmtplib.SMTP:
        smtp = aiosmtplib.SMTP(
            hostname=self._settings.smtp_host,
            port=self._settings.smtp_port,
            local_hostname=self._from.domain,
            timeout=self._settings.smtp_timeout_seconds,
        )
        await smtp.connect()
        return smtp

    async def close(self) -> None:
        """Take leave of the mail server."""
        while self._idle:
            smtp = self._idle.pop()
            try:
                await smtp.quit()
            except (aiosmtplib.SMTPException, OSError):
                smtp.close()

    async def _hand_over(self, smtp: aiosmtplib.SMTP, mail: MIMEText, to: str) -> None:
        try:
            if to.isascii():
                await smtp.sendmail(self._from.addr_spec, [to], mail.as_bytes())
            else:  # SMTPUTF8, where the server offers it
                await smtp.send_message(mail)
        except aiosmtplib.SMTPRecipientsRefused as refused:
            reply = refused.recipients[0]
            self._refused(smtp, reply.code, reply.message)
        except aiosmtplib.SMTPServerDisconnected:
            raise
        except aiosmtplib.SMTPResponseException as reply:
            self._refused(smtp, reply.code, reply.message)
        except aiosmtplib.SMTPNotSupported as missing:
            self._idle.append(smtp)
            raise MailRefused(_without_addresses(f"the mail server cannot take it: {missing}")) from None

    def _refused(self, smtp: aiosmtplib.SMTP, code: int, reply: str) -> None:
        """The server answered, and no: the connection is as good as before, unless it is about us."""
        if code not in OURS_TO_MEND:
            self._idle.append(smtp)
        else:
            smtp.close()
        _raise_refused(code, reply)

    def _mail(self, message: Message) -> MIMEText:
        """The mail, in the email package's lean form: its newer policies cost five times as much a mail.

        That form takes header values as they are; `render` has left no line break in any of them.
        """
        mail = MIMEText(message.body, "plain", _UTF8)  # type: ignore[arg-type]
        mail["From"] = formataddr((self._from.display_name, self._from.addr_spec))
        mail["To"] = formataddr((message.to_name, message.to)) if message.to.isascii() else message.to
        mail["Subject"] = Header(message.subject, None if message.subject.isascii() else "utf-8").encode()
        mail["Date"] = format_datetime(datetime.now(UTC))
        local = re.sub(r"[^A-Za-z0-9._-]", "_", message.message_id)
        mail["Message-ID"] = f"<{local}@{self._from.domain}>"
        mail["Auto-Submitted"] = "auto-generated"
        return mail


def _raise_refused(code: int, reply: str) -> None:
    text = _without_addresses(f"{code} {reply}")
    if code >= 500 and code not in OURS_TO_MEND:
        raise MailRefused(text) from None
    raise TryAgain(f"mail server: {text}") from None


def _without_addresses(text: str) -> str:
    """A server's reply may name the recipient; what is recorded of it must not."""
    return re.sub(r"\S*@\S*", "(address)", " ".join(text.split()))[:400]


def _report(
    state: State, message_id: str, outcome: Literal["sent", "failed"], detail: str = ""
) -> RecordMessageOutcome:
    return RecordMessageOutcome(
        order_id=state.order_id, message_id=message_id, outcome=outcome, detail=detail[:500]
    )
