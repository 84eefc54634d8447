"""Who may come in by a browser: session, permission, and that a change was meant (CSRF)."""

import secrets
from collections.abc import Awaitable, Callable
from urllib.parse import quote, urlsplit

from fastapi import Request

from libs.runtime.log import Unavailable
from libs.runtime.problems import Problem
from services.console.web.roles import NAMES, ROLES, Permission
from services.console.web.sessions import Session, Sessions

COOKIE = "orderlog_session"
LOGIN_COOKIE = "orderlog_login"
CSRF_FIELD = "csrf"
CSRF_HEADER = "x-csrf"
_SAFE = ("GET", "HEAD")


class SignIn(Exception):
    """Nobody is signed in; `location` is where to."""

    def __init__(self, location: str) -> None:
        super().__init__("not signed in")
        self.location = location


class Guard:
    """Dependencies of the pages' routes, of the console at `url`. Where that is https, cookies are too."""

    def __init__(self, sessions: Sessions, url: str) -> None:
        self.url = url
        self.sessions, self.secure = sessions, url.startswith("https:")
        self._netloc = urlsplit(url).netloc

    @property
    def cookie(self) -> str:
        """The session cookie's name; with the prefix a browser takes it by https and from this host only."""
        return f"__Host-{COOKIE}" if self.secure else COOKIE

    def require(self, permission: Permission) -> Callable[[Request], Awaitable[Session]]:
        """A dependency: the session of who asks, if its role has the permission. A request that changes
        something must carry the session's CSRF token, as a field of its form or a header.

        Raises SignIn, or Problem 403.
        """

        async def signed_in(request: Request) -> Session:
            session = await self.session(request)
            if session is None:
                raise SignIn(_login_from(request))
            if not session.may(permission):
                raise _not_permitted(session, permission)
            if request.method not in _SAFE:
                await self.check_meant(request, session)
            request.state.session = session
            return session

        return signed_in

    async def session(self, request: Request) -> Session | None:
        """Who asks, if anybody is signed in."""
        secret = request.cookies.get(self.cookie)
        found = await self.sessions.find(secret) if secret else None
        return found if found is not None and found.role in ROLES else None

    async def lasts(self, request: Request) -> bool:
        """Whether who asked is still signed in; where the database does not answer, as far as is known."""
        try:
            return await self.sessions.lasts(request.cookies.get(self.cookie, ""))
        except Unavailable:
            return True

    async def check_meant(self, request: Request, session: Session) -> None:
        """Raises Problem 403 unless the request comes from a form of ours."""
        given = request.headers.get(CSRF_HEADER)
        if given is None:
            field = (await request.form()).get(CSRF_FIELD)
            given = field if isinstance(field, str) else ""
        origin = request.headers.get("origin")
        strange = origin is not None and urlsplit(origin).netloc not in (
            self._netloc,
            request.headers.get("host"),
        )
        if strange or not secrets.compare_digest(given.encode(), session.csrf.encode()):
            raise Problem(
                403,
                "not_meant",
                "This did not come from a page of the console",
                "The form's token is missing or of another session; nothing was changed.",
                "Open the page again and send its form from there.",
            )


def _login_from(request: Request) -> str:
    """Where to sign in, and to come back from there if it is a page that was asked for."""
    if request.method not in _SAFE or request.headers.get("hx-request"):
        return "/login"
    query = f"?{request.url.query}" if request.url.query else ""
    return f"/login?back={quote(request.url.path + query, safe='')}"


def _not_permitted(session: Session, permission: Permission) -> Problem:
    able = [NAMES[role] for role, has in ROLES.items() if permission in has]
    return Problem(
        403,
        "forbidden",
        "Your role may not do this",
        f"You are signed in as {NAMES[session.role].lower()}; this takes one of: {', '.join(able)}.",
        "Ask somebody with that role, or your administrator for the role.",
    )
