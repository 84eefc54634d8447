"""Ids that are derived, never drawn: the same input has the same id on every replay."""

import hashlib
import re
from datetime import datetime
from uuid import UUID, uuid5

_ORDERS = UUID("6f1c2a0e-5d0b-5c59-9a52-0b6b0b7a1d10")
_ORDERS_BYTES = _ORDERS.bytes
_TIMERS_BYTES = UUID("3e9f6f0c-8f5a-5a43-9a57-3c6a1b7f5b11").bytes
TENANT = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
"""What a tenant may be called."""
DEFAULT_TENANT = "main"
"""Whose things they are where nobody says it: of who has one brand."""
_SUBJECT = re.compile(r"[A-Za-z0-9_.:-]{1,128}")


def order_id(tenant: str, channel: str, external_id: str) -> str:
    """The order's id, so that the same order entering twice meets its twin in one lane."""
    return derived_text(_ORDERS_BYTES, f"{tenant}\x1f{channel}\x1f{external_id}")


def event_id(cause: UUID, stage: str, index: int) -> UUID:
    """Id of the `index`-th event that one input caused in a stage.

    The stage is part of it: several stages answer the same event, and their answers may meet in another.
    """
    return UUID(bytes=event_id_bytes(cause, stage, index))


def event_id_bytes(cause: UUID, stage: str, index: int) -> bytes:
    """Bytes of `event_id`, for who has a cheaper class for it."""
    return derived(cause.bytes, f"{stage}/{index}")


def timer_id(key: str, name: str, due_at: datetime) -> UUID:
    """Id of a reminder as it was asked for; asked again for the very same instant, it is the same."""
    return UUID(bytes=derived(_TIMERS_BYTES, f"{key}\x1f{name}\x1f{due_at.isoformat()}"))


def ring_id(timer: UUID, stage: str, lane: int, sequence: int) -> UUID:
    """Id of a reminder's ring, and so the cause of the events that answer it, the first of which takes this
    place in the stage's log: no two rings that are answered have one place, however often one is asked for.
    """
    return UUID(bytes=derived(timer.bytes, f"{stage}/{lane}/{sequence}"))


def derived(space: bytes, name: str) -> bytes:
    """Bytes of the UUID of version 5 of a name in a space, as `uuid.uuid5` makes it, at a third of its cost.

    Source: RFC 9562, section 5.5.
    """
    found = bytearray(hashlib.sha1(space + name.encode(), usedforsecurity=False).digest()[:16])
    found[6] = found[6] & 0x0F | 0x50
    found[8] = found[8] & 0x3F | 0x80
    return bytes(found)


def derived_text(space: bytes, name: str) -> str:
    """`derived` as text, for who needs nothing else of it."""
    id_ = derived(space, name).hex()
    return f"{id_[:8]}-{id_[8:12]}-{id_[12:16]}-{id_[16:20]}-{id_[20:]}"


def command_id(tenant: str, key: str) -> UUID:
    """Command id of a request that came with an `Idempotency-Key`."""
    return uuid5(_ORDERS, f"{tenant}\x1fcommand\x1f{key}")


def partition_key(tenant: str, stream: str) -> str:
    """Kafka record key of a stream; with the default (murmur2) partitioner it decides the lane."""
    return f"{tenant}/{stream}"


def subject_of(order_id: str, customer_id: str | None) -> str:
    """The data subject's pseudonym: `c:<customer id>`, or `o:<order id>` for a guest.

    A customer id that a subject cannot hold (blanks, accents, too long) is replaced by its SHA-256.
    """
    if not customer_id:
        return f"o:{order_id}"
    subject = f"c:{customer_id}"
    if _SUBJECT.fullmatch(subject) and not customer_id.startswith("sha256-"):
        return subject
    return f"c:sha256-{hashlib.sha256(customer_id.encode()).hexdigest()}"
