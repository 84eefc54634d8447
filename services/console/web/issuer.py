"""A development issuer inside the console: everybody may sign in as anybody, with no password.

For the local stack and for tests, where `ORDERLOG_DEVELOPMENT_ISSUER` asks for it. It speaks OpenID Connect
as a real one does (authorisation code, PKCE, a signed ID token), so nothing else of the console knows the
difference. What it remembers is in memory: a code is good once, in this process, for a minute.
"""

import hashlib
import secrets
import time
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Form, Query, Request, Response
from fastapi.responses import JSONResponse, RedirectResponse
from joserfc import jwt
from joserfc.jwk import ECKey

from libs.events.ids import DEFAULT_TENANT, TENANT
from libs.events.parked import NOBODY
from libs.runtime.problems import Problem
from services.console.web.shell import Shell

PATH = "/development-issuer"
CODE_SECONDS = 60
_TOKEN_SECONDS = 300
_CODES_MAX = 1000

Text = Annotated[str, Query(max_length=2000, pattern=r"^[^\x00]*$")]
Field = Annotated[str, Form(max_length=2000, pattern=r"^[^\x00]*$")]


@dataclass(frozen=True, slots=True)
class User:
    """Somebody to sign in as."""

    sub: str
    name: str
    role: str


USERS = (
    User("vera", "Vera Viewer", "viewer"),
    User("sam", "Sam Support", "support"),
    User("olga", "Olga Operator", "operator"),
    User("rita", "Rita Rules", "rule_editor"),
    User("ada", "Ada Admin", "admin"),
    User("aude", "Aude Audit", "auditor"),
)


@dataclass(frozen=True, slots=True)
class _Grant:
    """What a code stands for."""

    claims: dict[str, Any]
    challenge: str
    redirect_uri: str
    good_until: float


class DevelopmentIssuer:
    """The issuer at `url`, for one client that is sent back to `redirect_uri`."""

    def __init__(self, url: str, client_id: str, redirect_uri: str, shell: Shell) -> None:
        self._url, self._client_id, self._redirect_uri, self._shell = url, client_id, redirect_uri, shell
        self._key = ECKey.generate_key("P-256", {"use": "sig", "alg": "ES256"}, private=True)
        self._key.ensure_kid()
        self._grants: dict[str, _Grant] = {}

    def routes(self) -> APIRouter:
        """All of it, under PATH."""
        router = APIRouter(prefix=PATH, include_in_schema=False)

        @router.get("/.well-known/openid-configuration")
        async def metadata() -> Response:
            return JSONResponse(
                {
                    "issuer": self._url,
                    "authorization_endpoint": f"{self._url}/authorize",
                    "token_endpoint": f"{self._url}/token",
                    "jwks_uri": f"{self._url}/jwks",
                    "response_types_supported": ["code"],
                    "subject_types_supported": ["public"],
                    "id_token_signing_alg_values_supported": ["ES256"],
                    "code_challenge_methods_supported": ["S256"],
                    "token_endpoint_auth_methods_supported": ["none"],
                }
            )

        @router.get("/jwks")
        async def jwks() -> Response:
            return JSONResponse({"keys": [self._key.as_dict(private=False)]})

        @router.get("/authorize")
        async def authorize(
            request: Request,
            client_id: Text,
            redirect_uri: Text,
            state: Text,
            code_challenge: Text,
            code_challenge_method: Text,
            nonce: Text = "",
            login_hint: Text = "",
            user: Text = "",
            tenant: Text = "",
            nodes: Text = "",
        ) -> Response:
            if (client_id, redirect_uri) != (self._client_id, self._redirect_uri):
                raise _refused("It was asked for another client, or to send people elsewhere.")
            if code_challenge_method != "S256":
                raise _refused("PKCE takes the method S256.")
            hinted, _, of_tenant = login_hint.partition("@")
            chosen = _user(user or hinted)
            tenant = tenant or of_tenant or DEFAULT_TENANT
            if chosen is None:
                asked = dict(request.query_params.items()) | {"login_hint": ""}
                return self._shell.page(
                    request, None, "issuer.html", users=USERS, tenant=tenant, asked=asked, wrong=""
                )
            if not TENANT.fullmatch(tenant):
                raise _refused(f"{tenant!r} is no tenant: 1 to 32 of a-z, 0-9 and -, the first no -.")
            if tenant == NOBODY:
                raise _refused(f"{tenant!r} is no tenant: it is kept for what belongs to none.")
            code = self._grant(chosen, tenant, nodes, nonce, code_challenge)
            return RedirectResponse(f"{redirect_uri}?{urlencode({'code': code, 'state': state})}", 303)

        self._token_route(router)
        return router

    def _token_route(self, router: APIRouter) -> None:
        @router.post("/token")
        async def token(
            grant_type: Field, code: Field, code_verifier: Field, redirect_uri: Field
        ) -> Response:
            grant = self._grants.pop(code, None)
            digest = hashlib.sha256(code_verifier.encode()).digest()
            challenge = urlsafe_b64encode(digest).rstrip(b"=").decode()
            if (
                grant is None
                or grant_type != "authorization_code"
                or time.time() > grant.good_until
                or (challenge, redirect_uri) != (grant.challenge, grant.redirect_uri)
            ):
                return JSONResponse({"error": "invalid_grant"}, 400)
            header = {"alg": "ES256", "kid": self._key.kid, "typ": "JWT"}
            id_token = jwt.encode(header, grant.claims, self._key, algorithms=["ES256"])
            return JSONResponse(
                {"access_token": secrets.token_urlsafe(), "token_type": "Bearer", "id_token": id_token},
                headers={"Cache-Control": "no-store"},
            )

    def _grant(self, user: User, tenant: str, nodes: str, nonce: str, challenge: str) -> str:
        now = int(time.time())
        claims: dict[str, Any] = {
            "iss": self._url,
            "aud": self._client_id,
            "sub": user.sub,
            "name": user.name,
            "role": user.role,
            "tenant": tenant,
            "nonce": nonce,
            "iat": now,
            "exp": now + _TOKEN_SECONDS,
        }
        if nodes.strip():
            claims["nodes"] = [node.strip() for node in nodes.split(",") if node.strip()]
        while len(self._grants) >= _CODES_MAX:
            del self._grants[next(iter(self._grants))]
        code = secrets.token_urlsafe(24)
        self._grants[code] = _Grant(claims, challenge, self._redirect_uri, now + CODE_SECONDS)
        return code


def _user(name: str) -> User | None:
    """By name or role."""
    return next((user for user in USERS if name in (user.sub, user.role)), None)


def _refused(why: str) -> Problem:
    return Problem(
        400,
        "login_refused",
        "The development issuer refuses this",
        why,
        "Go to the console and sign in from there.",
    )
