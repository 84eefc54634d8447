"""Who is signed in: sessions in PostgreSQL, so that every process knows them and a logout ends them.

The browser holds a secret, the table its hash. Times are the database's.
"""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

import asyncpg

from libs.runtime.postgres_log import reachable
from services.console.web.roles import ROLES, Permission

LOGIN_SECONDS = 600
"""For what a person does at the issuer: passwords are looked up, second factors are searched for."""

_FIND = """SELECT tenant, actor, name, role, nodes, csrf, seen_at < now() - interval '1 minute' AS old
    FROM access.sessions
    WHERE secret_sha256 = $1 AND ends_at > now() AND seen_at > now() - $2 * interval '1 s'"""
_SEEN = "UPDATE access.sessions SET seen_at = now() WHERE secret_sha256 = $1"
_START = """INSERT INTO access.sessions (secret_sha256, tenant, actor, name, role, nodes, csrf, ends_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, now() + $8 * interval '1 s')"""
_TIDY = "DELETE FROM access.sessions WHERE ends_at < now() OR seen_at < now() - $1 * interval '1 s'"
_PEOPLE = """SELECT DISTINCT actor, name FROM access.sessions
    WHERE tenant = $1 AND role = ANY($2::text[]) AND ends_at > now() ORDER BY actor LIMIT 200"""
_BEGIN = "INSERT INTO access.logins VALUES ($1, $2, $3, $4, $5, now() + $6 * interval '1 s')"
_TAKE = """DELETE FROM access.logins WHERE state_sha256 = $1 AND browser_sha256 = $2
    RETURNING nonce, verifier, back, ends_at > now() AS good"""


@dataclass(frozen=True, slots=True)
class Session:
    """A person who is signed in. `nodes`: those whose stock and orders they may see; none means all."""

    tenant: str
    actor: str
    name: str
    role: str
    csrf: str
    nodes: tuple[str, ...] | None = None

    def may(self, permission: Permission) -> bool:
        """Whether the person's role has that permission."""
        return permission in ROLES.get(self.role, frozenset())


@dataclass(frozen=True, slots=True)
class Login:
    """A login under way: what the issuer's answer is held against, and where the person wanted to go."""

    nonce: str
    verifier: str
    back: str


class Sessions:
    """The table of sessions. `idle_seconds` without a request end one, `seconds` in any case."""

    def __init__(self, pool: asyncpg.Pool, seconds: float, idle_seconds: float) -> None:
        self._pool, self._seconds, self._idle_seconds = pool, seconds, idle_seconds

    async def find(self, secret: str) -> Session | None:
        """The session of a browser's secret, if it goes on. Raises Unavailable."""
        with reachable():
            row = await self._pool.fetchrow(_FIND, _hash(secret), self._idle_seconds)
            if row is None:
                return None
            if row["old"]:
                await self._pool.execute(_SEEN, _hash(secret))
        nodes = None if row["nodes"] is None else tuple(row["nodes"])
        return Session(row["tenant"], row["actor"], row["name"], row["role"], row["csrf"], nodes)

    async def lasts(self, secret: str) -> bool:
        """Whether a browser's session goes on; asking does not prolong it. Raises Unavailable."""
        with reachable():
            return await self._pool.fetchrow(_FIND, _hash(secret), self._idle_seconds) is not None

    async def start(self, tenant: str, actor: str, name: str, role: str, nodes: Sequence[str] | None) -> str:
        """Begin a session; returns the secret for the browser. Raises Unavailable."""
        secret = secrets.token_urlsafe(32)
        listed = None if nodes is None else list(nodes)
        with reachable():
            await self._pool.execute(_TIDY, self._idle_seconds)
            await self._pool.execute("DELETE FROM access.logins WHERE ends_at < now()")
            csrf = secrets.token_urlsafe(24)
            await self._pool.execute(
                _START, _hash(secret), tenant, actor, name, role, listed, csrf, self._seconds
            )
        return secret

    async def end(self, secret: str) -> None:
        """End a session, if there is one. Raises Unavailable."""
        with reachable():
            await self._pool.execute("DELETE FROM access.sessions WHERE secret_sha256 = $1", _hash(secret))

    async def people(self, tenant: str, permission: Permission) -> list[tuple[str, str]]:
        """Who of a tenant is signed in and has that permission: actor and name. Raises Unavailable."""
        roles = [role for role, has in ROLES.items() if permission in has]
        with reachable():
            return [(row["actor"], row["name"]) for row in await self._pool.fetch(_PEOPLE, tenant, roles)]

    async def begin_login(self, state: str, login: Login) -> str:
        """Remember a login; returns the secret that binds it to the browser. Raises Unavailable."""
        browser = secrets.token_urlsafe(32)
        with reachable():
            await self._pool.execute(
                _BEGIN, _hash(state), _hash(browser), login.nonce, login.verifier, login.back, LOGIN_SECONDS
            )
        return browser

    async def take_login(self, state: str, browser: str) -> Login | None:
        """The login that this browser began, once; none when it did not or took too long.

        Raises Unavailable."""
        with reachable():
            row = await self._pool.fetchrow(_TAKE, _hash(state), _hash(browser))
        return Login(row["nonce"], row["verifier"], row["back"]) if row is not None and row["good"] else None


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
