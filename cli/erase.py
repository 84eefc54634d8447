"""`orderlog erase`: a data subject's keys are destroyed; what was sealed with them is unreadable for ever."""

import asyncio
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from cli.client import DEFAULT_TENANT, TenantOption, checked_tenant, user
from cli.output import JsonOption, console, emit
from cli.text import count, tell
from libs.runtime.complaint import Complaint
from libs.runtime.settings import settings

if TYPE_CHECKING:
    from libs.runtime.keyring import Erasure


@dataclass(frozen=True, slots=True)
class _Done:
    """`before` are the earlier erasures of the subject that destroyed something."""

    keys: int
    before: "tuple[Erasure, ...]"


def erase(
    subject: Annotated[
        str,
        typer.Argument(
            metavar="SUBJECT", help="c:CUSTOMER_ID, or o:ORDER_ID for a guest; see `orders show`."
        ),
    ],
    tenant: TenantOption = DEFAULT_TENANT,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    json: JsonOption = False,
) -> None:
    """Destroy the keys of a data subject. It cannot be undone.

    Name, address, mail and phone of all the subject's orders become unreadable in the logs, on the topics, in
    projections and in backups; orders, stock and money stay as they are, and every digest still matches.

    Example: orderlog erase c:17850 --tenant demo-1 --yes
    """
    checked_tenant(tenant)
    if not yes:
        _confirm(subject, tenant)
    done = asyncio.run(_erase(tenant, subject))
    if not done.keys and not done.before:
        raise Complaint(
            f"Tenant {tenant} has no data subject {subject}; nothing was destroyed.",
            "Check --tenant and the subject: `orderlog orders show ID` tells an order's.",
        )
    seconds = settings().key_cache_seconds
    complete_at = datetime.now(UTC) + timedelta(seconds=seconds)
    if done.keys:
        tell(f"{count(done.keys, 'key')} of {subject} destroyed.", "green")
        tell(f"Complete by {complete_at:%Y-%m-%d %H:%M:%S} UTC: until then a stage may have it in memory.")
        tell("Backups of the keyring's database hold it until they are gone.")
    else:
        at = done.before[-1].erased_at
        tell(f"{subject} was erased before{f' ({at:%Y-%m-%d %H:%M:%S} UTC)' if at else ''}; no key is left.")
    if json:
        emit(
            {
                "ok": True,
                "tenant": tenant,
                "subject": subject,
                "keys_destroyed": done.keys,
                "complete_by": complete_at.isoformat(timespec="seconds") if done.keys else None,
                "erased_before": bool(done.before),
            }
        )


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(erase)


def _confirm(subject: str, tenant: str) -> None:
    if not _somebody_is_there():
        raise Complaint(
            f"Nobody is there to confirm that {subject} of tenant {tenant} shall be erased for ever.",
            "Say --yes if you mean it.",
            exit_code=2,
        )
    tell(f"Name, address, mail and phone of {subject} of tenant {tenant} become unreadable everywhere.")
    console.print("It cannot be undone.", style="bold")
    if not typer.confirm("Destroy the keys?", err=True):
        raise Complaint("Nothing was destroyed.", "Run it again when you are sure.")


def _somebody_is_there() -> bool:
    return sys.stdin.isatty()


async def _erase(tenant: str, subject: str) -> _Done:
    import asyncpg

    from libs.runtime.keyring import open_keyring

    try:
        async with open_keyring(settings()) as keyring:
            before = await keyring.erasures(tenant, subject)
            keys = await keyring.erase(tenant, subject, user())
    except (OSError, asyncpg.PostgresConnectionError, asyncpg.InvalidCatalogNameError) as error:
        raise Complaint(
            f"The keyring's database cannot be reached ({type(error).__name__}).",
            "Run `orderlog up`, or check ORDERLOG_DATABASE_URL, then run this again.",
        ) from None
    return _Done(keys, tuple(row for row in before if row.generations))
