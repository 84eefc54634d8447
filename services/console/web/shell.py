"""How a page is drawn: templates, what stands on each of them, and the headers that keep a browser strict."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from fastapi import Request, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from libs.runtime.settings import Settings
from services.console.causes import cause_of
from services.console.web.assets import Assets
from services.console.web.roles import NAMES, Permission
from services.console.web.sessions import Session

TEMPLATES = Path(__file__).parents[1] / "templates"


@dataclass(frozen=True, slots=True)
class Place:
    """A page in the navigation: its address, name, who sees it, and the key after `g` that goes there."""

    path: str
    name: str
    permission: Permission
    key: str


PLACES = (
    Place("/", "Today", "read", "t"),
    Place("/orders", "Orders", "read", "o"),
    Place("/stock", "Stock", "read", "s"),
    Place("/exceptions", "Exceptions", "read", "e"),
    Place("/delays", "Delays", "read", "d"),
    Place("/measures", "Measures", "read", "m"),
    Place("/platform", "Platform", "platform", "p"),
    Place("/access", "Access", "audit", "a"),
)


class Shell:
    """Draws pages. `served` says which addresses there are: the navigation shows those."""

    def __init__(self, config: Settings, assets: Assets) -> None:
        self._served: frozenset[str] = frozenset()
        self._development = config.development_issuer
        self._headers = headers(config)
        self._templates = templates(assets)

    def serve(self, paths: frozenset[str]) -> None:
        """From now on these pages are there."""
        self._served = paths

    def page(
        self,
        request: Request,
        session: Session | None,
        template: str,
        *,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        **values: Any,
    ) -> Response:
        """A page, or a part of one, from a template of `templates/`. It is never kept: it is somebody's."""
        places = [
            place
            for place in PLACES
            if place.path in self._served and session is not None and session.may(place.permission)
        ]
        text = self._templates.get_template(template).render(
            session=session,
            places=places,
            here=request.url.path,
            development=self._development,
            now=datetime.now(UTC),
            **values,
        )
        text = text.replace("\x00", "\ufffd")  # HTML has no NUL; what was sent to us may
        return Response(text, status, {**self._headers, **(headers or {})}, "text/html")


@cache
def templates(assets: Assets) -> Environment:
    """All of them, each compiled once a process; they link to these assets."""
    found = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.globals |= {"asset": assets.url, "role_names": NAMES}
    found.filters |= {
        "when": when,
        "ago": ago,
        "cause": cause_of,
        "number": number,
        "span": span,
        "minutes": minutes,
    }
    return found


def headers(config: Settings) -> dict[str, str]:
    """Of each page: nothing inline, nothing from elsewhere, in nobody's frame."""
    issuer = urlsplit(config.oidc_issuer)
    elsewhere = f" {issuer.scheme}://{issuer.netloc}" if issuer.netloc else ""
    return {
        "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self';"
        f" connect-src 'self'; form-action 'self'{elsewhere}; base-uri 'none'; frame-ancestors 'none'",
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "same-origin",
        "Cross-Origin-Opener-Policy": "same-origin",
    }


def when(at: datetime | None) -> Markup:
    """A moment: in UTC as it comes, in the reader's time zone once their browser has seen it."""
    if at is None:
        return Markup('<span class="none">—</span>')
    at = at.astimezone(UTC)
    return Markup('<time datetime="{}">{}</time>').format(
        at.isoformat(timespec="milliseconds"), at.strftime("%Y-%m-%d %H:%M UTC")
    )


def ago(at: datetime | None, now: datetime) -> Markup:
    """How long ago a moment was, with the moment itself to hover over."""
    if at is None:
        return Markup('<span class="none">—</span>')
    at = at.astimezone(UTC)
    return Markup('<time class="ago" datetime="{}">{}</time>').format(
        at.isoformat(timespec="milliseconds"), escape(span((now - at).total_seconds()))
    )


def span(seconds: float) -> str:
    """`0.4 s`, `12 s`, `5 min`, `3 h 20 min`, `4 d 2 h`."""
    seconds = max(0.0, seconds)
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = int(seconds // 60)
    if minutes < 90:
        return f"{minutes} min"
    hours, rest = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {rest} min" if rest else f"{hours} h"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h" if hours and days < 10 else f"{days:,} d"


def number(value: int) -> str:
    """`12,345`."""
    return f"{value:,}"


def minutes(value: int) -> str:
    """`0 min`, `90 min`, `8 h`, `3 d`: the largest unit that is exact, so that it can be typed in again."""
    for size, unit in ((1440, "d"), (60, "h")):
        if value and value % size == 0:
            return f"{value // size:,} {unit}"
    return f"{value:,} min"
