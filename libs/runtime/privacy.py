"""How personal data is sealed into a contract, given a key. Pure cryptography: no storage, no clock.

Five keys, each with one job:

    master key   32 bytes, held by the deployment; wraps subject keys, never touches personal data
    link key     HKDF-Expand of the master key; signs the links by which customers see their order
    index key    HKDF-Expand of the master key and a tenant; hashes parts of words for the console's search
    subject key  32 random bytes per (tenant, subject, generation); destroyed on erasure
    derived      HKDF-Expand (RFC 5869) of the subject key: one key encrypts, another makes nonces

The nonce is not drawn but derived: the first 12 bytes of HMAC-SHA256(nonce key, associated data and
plaintext). So the same data in the same order seals to the same bytes, and an order that is submitted
twice is recognised as the same. This is the synthetic-IV idea of deterministic authenticated encryption
(RFC 5297, section 1; AES-GCM-SIV, RFC 8452, section 9), with AES-GCM's own tag kept. It is safe because:

- GCM breaks when one key meets a nonce twice with *different* input. A nonce that is a pseudorandom
  function of the whole input repeats only by a collision in 96 bits: after n seals of one subject with
  probability about n²/2⁹⁷, which is 2⁻⁵⁷ for a million orders of one person.
- Equal input gives equal output, so an observer learns that the same data was sealed again *in the same
  order of the same subject*, and nothing across orders, subjects or tenants: their keys or their
  associated data differ.

Associated data binds a seal to `tenant|order id|subject|generation`; it opens nowhere else. Only the
tenant may hold a `|` itself, and as it comes first the text still reads in one way.
"""

import binascii
import hashlib
import hmac
import re
import secrets
from base64 import b64decode, b64encode
from collections.abc import Mapping
from typing import Any

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from libs.events.order import Sealed

KEY_BYTES = 32
NONCE_BYTES = 12
TAG_BYTES = 16
PLAINTEXT_BYTES_MAX = 16384 // 4 * 3 - TAG_BYTES
"""What fits into `Sealed.ciphertext` as base64."""

TEXT_FIELDS = frozenset({"name", "city", "postcode", "phone", "email", "note"})
LINES_FIELD = "address_lines"
PERSONAL_FIELDS = TEXT_FIELDS | {LINES_FIELD}
"""All that may be sealed; anything else is a mistake of the caller."""

_SUBJECT = re.compile(r"[A-Za-z0-9_.:-]{1,128}")
_ORDER_ID = re.compile(r"[A-Za-z0-9-]{1,64}")


class PersonalDataRefused(ValueError):
    """It cannot be sealed. The text names the field and what to change, never a value."""


class Unopenable(Exception):
    """Sealed under another key, moved from another order, or altered: not the same as erased."""


class SubjectKey:
    """One generation of one data subject's key, ready to use."""

    __slots__ = ("_cipher", "_nonce_key")

    def __init__(self, key: bytes) -> None:
        assert len(key) == KEY_BYTES
        self._cipher = AESGCM(_derive(key, b"orderlog seal v1"))
        self._nonce_key = _derive(key, b"orderlog nonce v1")

    def encrypt(self, plaintext: bytes, associated: bytes) -> tuple[bytes, bytes]:
        """(nonce, ciphertext with tag); the same for the same input."""
        framed = len(associated).to_bytes(4, "big") + associated + plaintext
        nonce = hmac.digest(self._nonce_key, framed, "sha256")[:NONCE_BYTES]
        return nonce, self._cipher.encrypt(nonce, plaintext, associated)

    def decrypt(self, nonce: bytes, ciphertext: bytes, associated: bytes) -> bytes:
        """Unopenable: wrong key, wrong place, or altered."""
        try:
            return self._cipher.decrypt(nonce, ciphertext, associated)
        except InvalidTag:
            raise Unopenable("the seal does not belong to this tenant, order and subject") from None


def new_key() -> bytes:
    """A fresh subject key."""
    return secrets.token_bytes(KEY_BYTES)


def index_key(master: bytes, tenant: str) -> bytes:
    """The key that hashes a tenant's personal data for a search index. It opens nothing."""
    return _derive(master, b"orderlog search v1|" + tenant.encode())


def link_key(master: bytes) -> bytes:
    """The key that signs links for customers. It opens nothing."""
    return _derive(master, b"orderlog customer link v1")


def wrap(master: bytes, key: bytes, tenant: str, subject: str, generation: int) -> bytes:
    """The subject key under the master key: nonce (random) and AES-GCM ciphertext with tag, 60 bytes.

    One master key may wrap 2³² keys with random nonces (NIST SP 800-38D, section 8.3).
    """
    nonce = secrets.token_bytes(NONCE_BYTES)
    return nonce + AESGCM(master).encrypt(nonce, key, _wrap_associated(tenant, subject, generation))


def unwrap(master: bytes, wrapped: bytes, tenant: str, subject: str, generation: int) -> bytes:
    """Unopenable: another master key wrapped it, or it was stored for somebody else."""
    nonce, ciphertext = wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:]
    try:
        return AESGCM(master).decrypt(nonce, ciphertext, _wrap_associated(tenant, subject, generation))
    except InvalidTag:
        raise Unopenable(f"this master key did not wrap generation {generation} of {subject}") from None


def seal(
    key: SubjectKey,
    tenant: str,
    order_id: str,
    subject: str,
    generation: int,
    personal: Mapping[str, Any],
) -> Sealed:
    """PersonalDataRefused: a field is unknown, has the wrong type, or all of it is too long."""
    check_place(order_id, subject)
    associated = _seal_associated(tenant, order_id, subject, generation)
    nonce, ciphertext = key.encrypt(canonical(personal), associated)
    return Sealed(
        subject=subject,
        generation=generation,
        nonce=b64encode(nonce).decode(),
        ciphertext=b64encode(ciphertext).decode(),
    )


def unseal(key: SubjectKey, tenant: str, order_id: str, sealed: Sealed) -> dict[str, Any]:
    """The personal data. Unopenable: it was not sealed by this key for this place."""
    associated = _seal_associated(tenant, order_id, sealed.subject, sealed.generation)
    try:
        nonce, ciphertext = b64decode(sealed.nonce), b64decode(sealed.ciphertext, validate=True)
    except binascii.Error:
        raise Unopenable("the ciphertext is not base64") from None
    if len(ciphertext) < TAG_BYTES:
        raise Unopenable("the ciphertext is cut short")
    personal: dict[str, Any] = orjson.loads(key.decrypt(nonce, ciphertext, associated))
    return personal


def canonical(personal: Mapping[str, Any]) -> bytes:
    """One byte string per meaning: fields sorted, absent and empty ones left out."""
    kept: dict[str, Any] = {}
    for field, value in personal.items():
        if field not in PERSONAL_FIELDS:
            raise PersonalDataRefused(f"{field}: unknown; use {', '.join(sorted(PERSONAL_FIELDS))}")
        if value is None or value in ("", [], ()):
            continue
        if field == LINES_FIELD:
            if not isinstance(value, list | tuple) or not all(isinstance(line, str) for line in value):
                raise PersonalDataRefused(f"{field}: must be a list of texts")
        elif not isinstance(value, str):
            raise PersonalDataRefused(f"{field}: must be a text")
        kept[field] = value
    try:
        plaintext = orjson.dumps(kept, option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError:
        raise PersonalDataRefused("a text is not valid Unicode (a lone surrogate)") from None
    if len(plaintext) > PLAINTEXT_BYTES_MAX:
        raise PersonalDataRefused(
            f"personal data takes {len(plaintext)} bytes; at most {PLAINTEXT_BYTES_MAX} can be sealed"
        )
    return plaintext


def digest(sealed: Sealed) -> str:
    """SHA-256 (hex) of a seal. It needs no key, so it is the same before and after an erasure."""
    parts = f"{sealed.subject}|{sealed.generation}|{sealed.nonce}|{sealed.ciphertext}"
    return hashlib.sha256(parts.encode()).hexdigest()


def check_place(order_id: str, subject: str) -> None:
    """PersonalDataRefused: not a subject or not an order id, so the associated data would be ambiguous."""
    if not _SUBJECT.fullmatch(subject):
        raise PersonalDataRefused("subject: letters, digits and _.:- only, 1 to 128 of them")
    if not _ORDER_ID.fullmatch(order_id):
        raise PersonalDataRefused("order_id: letters, digits and - only, 1 to 64 of them")


def _seal_associated(tenant: str, order_id: str, subject: str, generation: int) -> bytes:
    return f"{tenant}|{order_id}|{subject}|{generation}".encode()


def _wrap_associated(tenant: str, subject: str, generation: int) -> bytes:
    return f"{tenant}|{subject}|{generation}".encode()


def _derive(key: bytes, purpose: bytes) -> bytes:
    """HKDF-Expand to one block (RFC 5869, section 2.3); the subject key is uniform, so no Extract."""
    return hmac.digest(key, purpose + b"\x01", "sha256")
