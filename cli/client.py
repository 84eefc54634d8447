"""A way in for the command line: calls the HTTP edges of the stages and the console as the person who types.

Whoever may read the signing key may call, so the token is minted here, for the tenant of `--tenant` and the
user's own name. Every request that changes something carries an Idempotency-Key, so it is repeated after a
lost connection without being done twice.
"""

import getpass
import time
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Annotated, Any
from uuid import uuid4

import orjson
import typer

from libs.events import ids
from libs.runtime.complaint import Complaint
from libs.runtime.settings import settings

if TYPE_CHECKING:
    import httpx

_TENANT_HELP = "The brand or client whose data it is."
TenantOption = Annotated[str, typer.Option("--tenant", envvar="ORDERLOG_TENANT", help=_TENANT_HELP)]
AnyTenantOption = Annotated[
    str | None,
    typer.Option("--tenant", envvar="ORDERLOG_TENANT", help="Only this tenant's; else everybody's."),
]
DEFAULT_TENANT = ids.DEFAULT_TENANT

_TOKEN_SECONDS = 3600
_ANSWER_SECONDS = 60.0
_TRIES = 4
_PAUSE_SECONDS_MAX = 5.0
_PAGE_ROWS = 200
_EVERYWHERE = ("0.0.0.0", "::", "")  # noqa: S104  (told apart from an address, not bound)


class Refused(Complaint):
    """An edge answered with a problem (RFC 9457). `code` is stable, `status` is HTTP's."""

    def __init__(self, status: int, code: str, problem: Mapping[str, Any]) -> None:
        super().__init__(
            _sentence(str(problem.get("detail") or problem.get("title") or f"HTTP status {status}.")),
            str(problem.get("next_step") or "Look at the service's log: `orderlog logs STAGE`."),
            details="\n".join(error_lines(problem)),
        )
        self.status = status
        self.code = code


class Unanswered(Complaint):
    """Nobody answers at a service's address, or not in time."""


class Edges:
    """The HTTP edges, seen by one tenant's user. Blocks; one thread at a time."""

    def __init__(
        self, tenant: str, role: str = "operator", transport: "httpx.BaseTransport | None" = None
    ) -> None:
        """`transport` replaces the network. Complaint: no such tenant name, or no signing key."""
        import httpx

        self.tenant = checked_tenant(tenant)
        self._headers = {"Authorization": f"Bearer {_token(tenant, role)}"}
        self._http = httpx.Client(transport=transport, timeout=_ANSWER_SECONDS, trust_env=False)

    def __enter__(self) -> "Edges":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def get(self, service: str, path: str, **query: object) -> dict[str, Any]:
        """What a GET answers. Refused, Unanswered."""
        asked = {name.rstrip("_"): str(value) for name, value in query.items() if value is not None}
        return self._call(service, "GET", path, asked, {}, None)

    def send(
        self,
        service: str,
        path: str,
        body: object,
        *,
        method: str = "POST",
        wait_seconds: int = 15,
        key: str | None = None,
        events: bool = True,
    ) -> dict[str, Any]:
        """Send a command or a batch of them and wait for the outcome; `decided` says whether it came in time.
        Without `events`, those of a batch are left out.

        `key` is the idempotency key; without one it is new. Refused, Unanswered.
        """
        headers = {
            "Content-Type": "application/json",
            "Idempotency-Key": key or str(uuid4()),
            "Prefer": f"wait={wait_seconds}" + ("" if events else ", return=minimal"),
        }
        return self._call(service, method, path, {}, headers, orjson.dumps(body))

    def decided(
        self, service: str, path: str, body: object, *, method: str = "POST", key: str | None = None
    ) -> dict[str, Any]:
        """The outcome of one command. Complaint: it was taken, and was not decided in time."""
        answer = self.send(service, path, body, method=method, key=key)
        if not answer.get("decided"):
            raise Complaint(
                f"{service} has taken the command and not decided it yet"
                f" (command {answer.get('command_id')}).",
                "It will be decided. See `orderlog status` for lag, and `orderlog parked list`.",
                exit_code=3,
            )
        return answer

    def pages(self, path: str, rows: str, **query: object) -> Iterator[dict[str, Any]]:
        """Every row of one of the console's lists, page by page."""
        after: object = None
        while True:
            page = self.get("console", path, limit=_PAGE_ROWS, after=after, **query)
            yield from page[rows]
            after = page["next"]
            if after is None:
                return

    def _call(
        self,
        service: str,
        method: str,
        path: str,
        query: Mapping[str, str],
        headers: Mapping[str, str],
        content: bytes | None,
    ) -> dict[str, Any]:
        import httpx

        url = httpx.URL(address(service) + path).copy_merge_params(query)  # `params=` would drop its own
        for attempt in range(1, _TRIES + 1):
            try:
                answer = self._http.request(
                    method, url, content=content, headers={**self._headers, **headers}
                )
                if answer.status_code not in (429, 503) or attempt == _TRIES:
                    return _read(answer)
                time.sleep(_pause(answer))
            except httpx.ConnectError:
                raise Unanswered(
                    f"{service} does not answer at {address(service)}.",
                    "Start the stack with `orderlog up`; `orderlog status` shows what runs.",
                ) from None
            except httpx.TransportError as error:
                if attempt == _TRIES:
                    raise Unanswered(
                        f"{service} at {address(service)} broke off ({type(error).__name__}).",
                        f"See `orderlog logs {service}`, then try again.",
                    ) from None
            time.sleep(0.25 * attempt)
        raise AssertionError("the last attempt returns or raises")


def _pause(answer: "httpx.Response") -> float:
    """How long an edge that is busy asks to be left alone, in seconds; not for ever."""
    asked = answer.headers.get("retry-after", "")
    return min(float(asked), _PAUSE_SECONDS_MAX) if asked.isdigit() else 0.0


def connect(tenant: str, role: str = "operator") -> Edges:
    """The edges at the addresses that the settings give."""
    return Edges(tenant, role)


def address(service: str) -> str:
    """Where a stage or the console is called from this machine."""
    host = settings().http_host
    return f"http://{'127.0.0.1' if host in _EVERYWHERE else host}:{settings().port(service)}"


def user() -> str:
    """Who acts: the name of the operating system's user."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "unknown"


def checked_tenant(tenant: str) -> str:
    """The tenant. Complaint: no tenant can be called that."""
    if not ids.TENANT.fullmatch(tenant):
        raise Complaint(
            f"`{tenant}` is not the name of a tenant.",
            "It has 1 to 32 small letters, digits and hyphens, and starts with no hyphen.",
            exit_code=2,
        )
    return tenant


def error_lines(problem: Mapping[str, Any]) -> list[str]:
    """A problem's errors, a line each: where, and what."""
    found = problem.get("errors", ())
    return [f"{one.get('where')}: {str(one.get('what')).removeprefix('Value error, ')}" for one in found]


def event_types(answer: Mapping[str, Any]) -> list[str]:
    """The types of an outcome's events without their stage: `order_accepted`."""
    return [event["type"].rpartition(".")[2] for event in answer.get("events", ())]


def _token(tenant: str, role: str) -> str:
    from libs.runtime.tokens import mint  # late: its JOSE library is a good part of a command's start

    key_file = settings().jwt_key_file
    try:
        return mint(key_file, tenant, user(), role, _TOKEN_SECONDS)
    except OSError:
        raise Complaint(
            f"There is no signing key at {key_file}.",
            "`orderlog up` makes one; elsewhere, set ORDERLOG_JWT_KEY_FILE.",
        ) from None
    except ValueError as refused:
        raise Complaint(f"No token: {refused}.", "Correct it and try again.", exit_code=2) from None


def _read(answer: "httpx.Response") -> dict[str, Any]:
    try:
        found = orjson.loads(answer.content)
    except orjson.JSONDecodeError:
        found = {}
    if not isinstance(found, dict):
        found = {}
    if answer.status_code >= 400:
        raise Refused(answer.status_code, str(found.get("type", "")).rpartition(":")[2], found)
    return found


def _sentence(text: str) -> str:
    text = text[:1].upper() + text[1:]
    return text if text.endswith((".", "!", "?")) else f"{text}."
