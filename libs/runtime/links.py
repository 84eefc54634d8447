"""Links by which a customer sees one order without signing in: signed, and good for a while.

    token = base64url(tenant | order id | last second, since 1970) . base64url(HMAC-SHA256, 24 bytes)

The key is derived from the master key (`Keyring.link_key`), and a link opens nothing but this page of this
order.
"""

import base64
import binascii
import hmac
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

GOOD_FOR = timedelta(days=30)
TOKEN_LENGTH_MAX = 400
_SIGNATURE_BYTES = 24


class Link(NamedTuple):
    """Whose order, and until when the link is good."""

    tenant: str
    order_id: str
    until: datetime


class NotALink(Exception):
    """It was never signed here; `expired` if it was, and is over."""

    def __init__(self, *, expired: bool = False) -> None:
        super().__init__("expired" if expired else "not signed here")
        self.expired = expired


def write_link(key: bytes, link: Link) -> str:
    """The token of a link."""
    body = f"{link.tenant}|{link.order_id}|{int(link.until.timestamp())}".encode()
    return f"{_encode(body)}.{_encode(_signature(key, body))}"


def read_link(key: bytes, token: str, now: datetime) -> Link:
    """What a token says. Raises NotALink."""
    try:
        body, signature = (_decode(part) for part in token[:TOKEN_LENGTH_MAX].split("."))
    except (ValueError, binascii.Error):
        raise NotALink from None
    if not hmac.compare_digest(signature, _signature(key, body)):
        raise NotALink
    tenant, order_id, until = body.decode().rsplit("|", 2)
    link = Link(tenant, order_id, datetime.fromtimestamp(int(until), UTC))
    if now >= link.until:
        raise NotALink(expired=True)
    return link


def _signature(key: bytes, body: bytes) -> bytes:
    return hmac.digest(key, body, "sha256")[:_SIGNATURE_BYTES]


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
