"""Bearer tokens: what is minted is known again, and nothing else is."""

import base64
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from joserfc import jwt
from joserfc.jwk import OctKey, OKPKey

from libs.runtime import tokens
from libs.runtime.tokens import AUDIENCE, ISSUER, Claims, TokenRejected, mint, new_signing_key, verify


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    file = tmp_path / "jwt.json"
    file.write_bytes(new_signing_key())
    return file


def signed(key_file: Path, **changed: Any) -> str:
    """A token of the right key whose claims differ from a good one's; None leaves a claim out."""
    now = int(time.time())
    claims: dict[str, Any] = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "kim",
        "tenant": "acme",
        "role": "operator",
        "iat": now,
        "exp": now + 60,
    }
    claims = {name: value for name, value in {**claims, **changed}.items() if value is not None}
    key = OKPKey.import_key(orjson.loads(key_file.read_bytes()))
    return jwt.encode({"alg": "Ed25519"}, claims, key, algorithms=["Ed25519"])


def test_what_is_minted_is_known_again(key_file: Path) -> None:
    token = mint(key_file, "acme", "kim", "operator", 60)
    assert verify(key_file, token) == Claims(tenant="acme", actor="kim", role="operator")


@pytest.mark.parametrize(
    "changed",
    [
        {"exp": int(time.time()) - 3600},
        {"exp": None},
        {"exp": "soon"},
        {"iss": "somebody-else"},
        {"iss": None},
        {"aud": "another-product"},
        {"aud": None},
        {"tenant": None},
        {"tenant": ""},
        {"tenant": "acme/1"},
        {"tenant": "Acme"},
        {"tenant": "acme\n"},
        {"tenant": "a" * 33},
        {"tenant": 7},
        {"tenant": "orderlog"},
        {"sub": "kim\nadmin"},
        {"sub": None},
        {"role": None},
        {"role": ["operator"]},
        {"iat": int(time.time()) + 3600},
    ],
    ids=str,
)
def test_a_token_with_wrong_claims_is_rejected(key_file: Path, changed: dict[str, Any]) -> None:
    assert verify(key_file, signed(key_file))  # the same token without the change is good
    with pytest.raises(TokenRejected) as rejected:
        verify(key_file, signed(key_file, **changed))
    assert rejected.value.reason


def without_signature(key_file: Path) -> str:
    head = base64.urlsafe_b64encode(b'{"alg":"none"}').decode().rstrip("=")
    return f"{head}.{signed(key_file).split('.')[1]}."


def signed_with_the_public_key_as_secret(key_file: Path) -> str:
    """The classic confusion: a verifier that believes the header would take this HMAC."""
    public = OKPKey.import_key(orjson.loads(key_file.read_bytes())).as_dict(private=False)
    secret = OctKey.import_key(orjson.dumps(public))
    claims = jwt.decode(
        signed(key_file), OKPKey.import_key(orjson.loads(key_file.read_bytes())), algorithms=["Ed25519"]
    ).claims
    return jwt.encode({"alg": "HS256"}, claims, secret, algorithms=["HS256"])


def altered(key_file: Path) -> str:
    head, claims, signature = signed(key_file).split(".")
    text = base64.urlsafe_b64decode(claims + "==").replace(b"acme", b"evil")
    return f"{head}.{base64.urlsafe_b64encode(text).decode().rstrip('=')}.{signature}"


@pytest.mark.parametrize(
    "forge",
    [
        without_signature,
        signed_with_the_public_key_as_secret,
        altered,
        lambda _: "",
        lambda _: "not a token",
        lambda _: "a.b.c",
        lambda _: "x" * 5000,
        lambda _: "ü.ü.ü",
        lambda _: "bnVsbA.bnVsbA.bnVsbA",
    ],
)
def test_a_forged_token_is_rejected(key_file: Path, forge: Callable[[Path], str]) -> None:
    with pytest.raises(TokenRejected):
        verify(key_file, forge(key_file))


def test_a_token_of_another_key_is_rejected(key_file: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.json"
    other.write_bytes(new_signing_key())
    with pytest.raises(TokenRejected):
        verify(key_file, mint(other, "acme", "kim", "operator", 60))


def test_a_known_token_expires_all_the_same(key_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    token = mint(key_file, "acme", "kim", "operator", 60)
    verify(key_file, token)
    later = time.time() + 60 + tokens.LEEWAY_SECONDS + 1
    monkeypatch.setattr("time.time", lambda: later)
    with pytest.raises(TokenRejected, match="expired"):
        verify(key_file, token)


@pytest.mark.parametrize(
    ("tenant", "actor"),
    [("", "kim"), ("acme", " "), ("a/b", "kim"), ("Acme", "kim"), ("acme", "k\x00"), ("orderlog", "kim")],
)
def test_a_claim_that_would_be_refused_is_not_minted(key_file: Path, tenant: str, actor: str) -> None:
    with pytest.raises(ValueError, match="must"):
        mint(key_file, tenant, actor, "operator", 60)
