"""Signing in and out: OpenID Connect, authorisation code with PKCE, at whatever issuer the settings name."""

from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import urlencode

import httpx2
import structlog
from authlib.integrations.starlette_client import OAuth, OAuthError
from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import RedirectResponse
from joserfc.errors import JoseError

from libs.events.ids import TENANT
from libs.events.parked import NOBODY
from libs.runtime.problems import Problem
from libs.runtime.settings import Settings
from services.console.web.guard import LOGIN_COOKIE, Guard
from services.console.web.roles import NAMES, ROLES
from services.console.web.sessions import LOGIN_SECONDS, Login
from services.console.web.shell import Shell
from services.console.web.trust import trusted

logger = structlog.get_logger()

CALLBACK = "/login/callback"
_TEXT_MAX = 200
_NODES_MAX = 500
_FAULTS = (OAuthError, JoseError, httpx2.HTTPError, ValueError, KeyError, RuntimeError)

Text = Annotated[str, Query(max_length=2000, pattern=r"^[^\x00]*$")]


def routes(
    config: Settings,
    url: str,
    issuer: str,
    guard: Guard,
    shell: Shell,
    transport: httpx2.AsyncBaseTransport | None = None,
) -> APIRouter:
    """/login, its callback, /logout. `url` is the console's own; `transport` replaces the network."""
    router = APIRouter(include_in_schema=False)
    client = _client(config, issuer, transport) if issuer else None

    @router.get("/login")
    async def login(back: Text = "/", hint: Text = "") -> Response:
        if client is None:
            raise _no_issuer()
        hinted = {"login_hint": hint} if hint else {}
        try:
            made = await client.create_authorization_url(url + CALLBACK, **hinted)
        except _FAULTS as error:
            raise _silent(issuer, error) from error
        begun = Login(made["nonce"], made["code_verifier"], _own(back))
        browser = await guard.sessions.begin_login(made["state"], begun)
        answer = RedirectResponse(made["url"], 303)
        _set(answer, guard, LOGIN_COOKIE, browser, LOGIN_SECONDS)
        return answer

    @router.get(CALLBACK)
    async def callback(
        request: Request, code: Text = "", state: Text = "", error: Text = "", error_description: Text = ""
    ) -> Response:
        if client is None:
            raise _no_issuer()
        begun = await guard.sessions.take_login(state, request.cookies.get(LOGIN_COOKIE, ""))
        if begun is None:
            raise _failed("It was begun in another browser, or too long ago.")
        if error or not code:
            raise _failed(f"The issuer answered: {error_description or error or 'no code'}.")
        try:
            token = await client.fetch_access_token(
                redirect_uri=url + CALLBACK, code=code, code_verifier=begun.verifier
            )
            claims = await client.parse_id_token(token, nonce=begun.nonce)
        except _FAULTS as fault:
            logger.warning("login failed", issuer=issuer, error=repr(fault))
            raise _failed(f"The issuer's answer does not hold ({type(fault).__name__}).") from fault
        secret = await _start(config, guard, claims or {})
        answer = RedirectResponse(begun.back, 303)
        answer.delete_cookie(LOGIN_COOKIE, path="/")
        _set(answer, guard, guard.cookie, secret, int(config.session_seconds))
        return answer

    @router.post("/logout")
    async def logout(request: Request) -> Response:
        session = await guard.session(request)
        if session is not None:
            await guard.check_meant(request, session)
            await guard.sessions.end(request.cookies[guard.cookie])
            logger.info("signed out", tenant=session.tenant, actor=session.actor)
        answer = RedirectResponse(await _after(client, config, url), 303)
        answer.delete_cookie(guard.cookie, path="/", secure=guard.secure, httponly=True, samesite="lax")
        return answer

    @router.get("/signed-out")
    async def signed_out(request: Request) -> Response:
        return shell.page(request, None, "signed_out.html")

    return router


async def _start(config: Settings, guard: Guard, claims: Mapping[str, Any]) -> str:
    """Begin the session of whom the claims name; returns its secret. Raises Problem 403."""
    actor = str(claims.get(config.oidc_actor_claim, ""))
    named = claims.get(config.oidc_role_claim)
    roles = [named] if isinstance(named, str) else named if isinstance(named, list) else []
    role = next((role for role in roles if role in ROLES), None)
    tenant, nodes = claims.get(config.oidc_tenant_claim), claims.get(config.oidc_nodes_claim)
    if not actor or len(actor) > _TEXT_MAX or not actor.isprintable():
        raise _not_let_in(f"The claim {config.oidc_actor_claim!r} names nobody.")
    if role is None:
        raise _not_let_in(
            f"The claim {config.oidc_role_claim!r} names no role of the console's ({', '.join(NAMES)})."
        )
    if not isinstance(tenant, str) or not TENANT.fullmatch(tenant):
        raise _not_let_in(f"The claim {config.oidc_tenant_claim!r} names no tenant.")
    if tenant == NOBODY:
        raise _not_let_in(
            f"The claim {config.oidc_tenant_claim!r} names {NOBODY}, which is kept for what belongs to none."
        )
    if nodes is not None and not (
        isinstance(nodes, list)
        and len(nodes) <= _NODES_MAX
        and all(
            isinstance(node, str) and node and len(node) <= _TEXT_MAX and "\x00" not in node for node in nodes
        )
    ):
        raise _not_let_in(f"The claim {config.oidc_nodes_claim!r} is no list of nodes.")
    name = "".join(filter(str.isprintable, str(claims.get("name") or actor)))[:_TEXT_MAX]
    logger.info("signed in", tenant=tenant, actor=actor, role=role)
    return await guard.sessions.start(tenant, actor, name, role, nodes)


def _client(config: Settings, issuer: str, transport: httpx2.AsyncBaseTransport | None) -> Any:
    """Authlib's client of the issuer, whose endpoints it reads when somebody first signs in."""
    file = config.oidc_client_secret_file
    secret = {"client_secret": file.read_text().strip()} if file is not None else {}
    method = {} if secret else {"token_endpoint_auth_method": "none"}
    return OAuth().register(
        "issuer",
        server_metadata_url=f"{issuer.rstrip('/')}/.well-known/openid-configuration",
        client_id=config.oidc_client_id,
        **secret,
        client_kwargs={
            "scope": config.oidc_scope,
            "code_challenge_method": "S256",
            "timeout": config.oidc_timeout_seconds,
            "trust_env": False,
            "verify": trusted(),
            **method,
            **({"transport": transport} if transport is not None else {}),
        },
    )


async def _after(client: Any, config: Settings, url: str) -> str:
    """Where a person goes who has signed out: by the issuer, if it wants to know of it."""
    home = "/signed-out"
    try:
        end = (await client.load_server_metadata()).get("end_session_endpoint") if client else None
    except _FAULTS:
        end = None
    if not isinstance(end, str):
        return home
    query = urlencode({"client_id": config.oidc_client_id, "post_logout_redirect_uri": url + home})
    return f"{end}{'&' if '?' in end else '?'}{query}"


def _own(back: str) -> str:
    """A path of the console, or its first page: nobody is sent elsewhere from here."""
    fine = back.startswith("/") and not back.startswith(("//", "/\\")) and back.isprintable()
    return back if fine and "\\" not in back else "/"


def _set(answer: Response, guard: Guard, name: str, value: str, seconds: int) -> None:
    answer.set_cookie(
        name, value, max_age=seconds, path="/", secure=guard.secure, httponly=True, samesite="lax"
    )


def _no_issuer() -> Problem:
    return Problem(
        503,
        "no_issuer",
        "Nobody can sign in here yet",
        "The console knows no OpenID Connect issuer.",
        "Set ORDERLOG_OIDC_ISSUER; on a local stack, `orderlog up --development-issuer` brings one.",
    )


def _silent(issuer: str, error: Exception) -> Problem:
    logger.warning("issuer does not answer", issuer=issuer, error=repr(error))
    return Problem(
        503,
        "issuer_unavailable",
        "Signing in is not possible at the moment",
        f"The issuer at {issuer} does not answer as one ({type(error).__name__}).",
        "Try again shortly; if it persists, tell your administrator.",
        retry_after_seconds=5,
    )


def _failed(why: str) -> Problem:
    return Problem(400, "login_failed", "You were not signed in", why, "Sign in again from the console.")


def _not_let_in(why: str) -> Problem:
    return Problem(
        403,
        "not_let_in",
        "You are signed in, but not let in",
        why,
        "Ask your administrator to give you a tenant and a role of the console.",
    )
