"""Bearer tokens of the HTTP edge: signed JWTs that name tenant, actor and role.

The algorithm is pinned by the key, never by the token (RFC 8725, section 3.1).
"""

import math
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import orjson
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from libs.events.ids import TENANT
from libs.events.parked import NOBODY

ISSUER = "orderlog-local"
AUDIENCE = "orderlog"
LEEWAY_SECONDS = 30
TOKEN_BYTES_MAX = 4096
CLAIM_LENGTH_MAX = 200

SigningKey = OctKey | ECKey | OKPKey | RSAKey

_CLAIMS = jwt.JWTClaimsRegistry(
    leeway=LEEWAY_SECONDS,
    iss={"essential": True, "value": ISSUER},
    aud={"essential": True, "value": AUDIENCE},
    exp={"essential": True},
    iat={"essential": True},
    sub={"essential": True},
    tenant={"essential": True},
    role={"essential": True},
)


@dataclass(frozen=True, slots=True)
class Claims:
    """Who asks: `actor` is a person or a system, acting for `tenant` in `role`."""

    tenant: str
    actor: str
    role: str
    good_until: float = field(default=math.inf, compare=False)
    """Seconds since 1970, after which the token is not taken any more."""


async def while_good(lines: AsyncGenerator[bytes, None], claims: Claims) -> AsyncIterator[bytes]:
    """What is told to a bearer bit by bit, for as long as the token is good."""
    async with aclosing(lines):
        async for line in lines:
            if time.time() > claims.good_until:
                return
            yield line


class TokenRejected(Exception):
    """The token does not prove who asks; `reason` may be shown to the bearer."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def new_signing_key() -> bytes:
    """A fresh Ed25519 private key as a JWK, in JSON."""
    key = OKPKey.generate_key("Ed25519", {"use": "sig", "alg": "Ed25519"}, private=True)
    key.ensure_kid()
    return orjson.dumps(key.as_dict(private=True))


def mint(key_file: Path, tenant: str, actor: str, role: str, ttl_seconds: int) -> str:
    """A compact JWT that is good for `ttl_seconds` from now.

    ValueError: a claim that `verify` would refuse. OSError: no such key file.
    """
    for name, text in (("tenant", tenant), ("actor", actor), ("role", role)):
        if reason := _unfit(name, text):
            raise ValueError(reason)
    if ttl_seconds <= 0:
        raise ValueError("a token must live for a second at least")
    key, algorithm = _key(key_file, key_file.stat().st_mtime_ns)
    now = int(time.time())
    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": actor,
        "tenant": tenant,
        "role": role,
        "iat": now,
        "exp": now + ttl_seconds,
    }
    header = {"alg": algorithm, "typ": "JWT"}
    return jwt.encode(header, claims, key, algorithms=[algorithm])


def verify(key_file: Path, token: str) -> Claims:
    """The token's claims, after signature, issuer, audience and expiry were checked.

    TokenRejected says why not. OSError: no such key file, which is a fault of the deployment.
    """
    if len(token) > TOKEN_BYTES_MAX:
        raise TokenRejected("the token is too long")
    claims, expires_at = _verified(key_file, key_file.stat().st_mtime_ns, token)
    if time.time() > expires_at + LEEWAY_SECONDS:
        raise TokenRejected("the token is not valid: expired_token")
    return claims


@lru_cache(maxsize=1024)
def _verified(key_file: Path, modified_ns: int, token: str) -> tuple[Claims, int]:
    """Claims and expiry of a good token. Kept, since a signature takes 0.3 ms and a client sends the same
    token with every request; whether it has expired is asked anew each time."""
    key, algorithm = _key(key_file, modified_ns)
    try:
        claims = jwt.decode(token, key, algorithms=[algorithm]).claims
        _CLAIMS.validate(claims)
    except JoseError as refused:
        raise TokenRejected(f"the token is not valid: {refused.error}") from None
    except (ValueError, TypeError):
        raise TokenRejected("the token is not a JWT") from None
    named = {"tenant": claims["tenant"], "actor": claims["sub"], "role": claims["role"]}
    for name, text in named.items():
        if reason := _unfit(name, text):
            raise TokenRejected(reason)
    return Claims(**named, good_until=claims["exp"] + LEEWAY_SECONDS), claims["exp"]


@lru_cache(maxsize=8)
def _key(key_file: Path, _modified_ns: int) -> tuple[SigningKey, str]:
    """Key and its one algorithm; read again only when the file has changed (a rotated mount)."""
    jwk = orjson.loads(key_file.read_bytes())
    match jwk.get("kty"), jwk.get("crv"):
        case "OKP", "Ed25519":
            return OKPKey.import_key(jwk), "Ed25519"
        case "EC", "P-256":
            return ECKey.import_key(jwk), "ES256"
        case "RSA", _:
            return RSAKey.import_key(jwk), "RS256"
        case "oct", _:
            return OctKey.import_key(jwk), "HS256"
        case kind:
            raise ValueError(f"{key_file}: no algorithm is known for a key of kind {kind}")


def _unfit(name: str, text: object) -> str:
    """Why `text` cannot be that claim, or nothing. A tenant is as on every record, or commands are parked."""
    if not isinstance(text, str) or not text.strip():
        return f"{name} must be a text that is not empty"
    if len(text) > CLAIM_LENGTH_MAX or not text.isprintable():
        return f"{name} must be printable and at most {CLAIM_LENGTH_MAX} characters long"
    if name == "tenant" and not TENANT.fullmatch(text):
        return "tenant must be 1 to 32 of a-z, 0-9 and -, the first no -"
    if name == "tenant" and text == NOBODY:
        return f"tenant must be another than {NOBODY}, which is kept for what belongs to no tenant"
    return ""
