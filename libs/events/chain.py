"""The hash chain of a lane: one head commits to every event up to it, in order, to the last byte.

    head(0) = SHA-256("orderlog/chain/1 <stage>/<lane>")
    head(n) = SHA-256(head(n-1) + fifteen lengths, four bytes each, big-endian + the fifteen fields)

The fields are the record's key, the headers of `CHAINED` as they are on the topic (one that is absent is
empty), and its value. docs/audit.md says the same for whoever writes it again in another language.
"""

import hashlib
import struct
from collections.abc import Iterable, Mapping
from operator import itemgetter

CHAINED = (
    "ce_id",
    "ce_source",
    "ce_type",
    "ce_typeversion",
    "ce_subject",
    "ce_tenant",
    "ce_time",
    "ce_causationid",
    "ce_correlationid",
    "ce_actor",
    "ce_reason",
    "ce_lane",
    "ce_sequence",
)
"""Not in the chain: `traceparent`, which is nobody's fact, and headers that follow from these."""
_ABSENT = dict.fromkeys(CHAINED, b"")
_fields = itemgetter(*CHAINED)
_lengths = struct.Struct(f">{len(CHAINED) + 2}I").pack


def beginning(stage: str, lane: int) -> bytes:
    """The head of a lane that has no events."""
    return hashlib.sha256(f"orderlog/chain/1 {stage}/{lane}".encode()).digest()


def link(
    head: bytes, key: bytes, headers: Mapping[str, bytes] | Iterable[tuple[str, bytes]], value: bytes
) -> bytes:
    """The head after one more event, from its Kafka record."""
    fields = (key, *_fields(_ABSENT | dict(headers)), value)
    return hashlib.sha256(b"".join((head, _lengths(*map(len, fields)), *fields))).digest()
