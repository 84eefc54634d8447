"""`orderlog up`, `down`, `status`, `logs`, `topics` and `token`: the local stack and a way into it.

What needs the local extra is imported inside the commands, so that the rest of the command line works where
only production's dependencies are installed.
"""

import asyncio
import re
import subprocess
import time
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated

import typer

from cli.output import JsonOption, Steps, console, emit, say, table
from libs.runtime.complaint import Complaint
from libs.runtime.settings import settings

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_COLOURS = {
    "ready": "green",
    "halted": "red",
    "not ready": "yellow",
    "died": "red",
    "stopped": "dim",
    "elsewhere": "dim",
}


def up(
    replicas: Annotated[
        list[str] | None,
        typer.Option(
            "--replicas",
            metavar="SERVICE=COUNT",
            help="Processes of a service, which share its lanes; kept until it is changed. May be repeated.",
        ),
    ] = None,
    development_issuer: Annotated[
        bool,
        typer.Option(
            "--development-issuer",
            help="Let anybody sign in at the console as anybody, from now on. For this machine only.",
        ),
    ] = False,
    json: JsonOption = False,
) -> None:
    """Bring up Kafka, PostgreSQL, the mail sink, every stage and the console. Safe to repeat.

    Example: orderlog up --replicas inventory=2
    """
    from deploy.local import stack
    from deploy.local.replicas import parse

    counts = parse(",".join(replicas or ()), settings().partitions)
    began = time.monotonic()
    with Steps() as steps:
        outcomes = stack.up(steps, counts, development_issuer=development_issuer)
    seconds = round(time.monotonic() - began, 1)
    say(f"The stack is up ([bold]{seconds} s[/]). See `orderlog status`; `orderlog down` stops it.")
    if json:
        emit(
            {
                "ok": True,
                "seconds": seconds,
                "steps": steps.seconds,
                "programs": {o.name: {"pid": o.pid, "action": o.action} for o in outcomes},
            }
        )


def down(
    json: JsonOption = False,
    wipe: Annotated[bool, typer.Option("--wipe", help="Delete data, logs and secrets too.")] = False,
) -> None:
    """Stop everything; what is committed stays, unless it is wiped."""
    from deploy.local import stack

    with Steps() as steps:
        stopped = stack.down(steps, wipe)
    say(f"Stopped: {', '.join(stopped)}." if stopped else "Nothing was running.")
    if json:
        emit({"ok": True, "stopped": stopped, "wiped": wipe})


def status(json: JsonOption = False) -> None:
    """Each program: its pid, how long it has been up, health, lanes, records it lags behind, memory.

    Example: orderlog status --json
    """
    from deploy.local.status import read_status

    found = read_status()
    drawn = table("program", "health", "pid#", "up since", "lanes", "lag#", "memory MB#")
    for one in found:
        drawn.add_row(
            one.name,
            f"[{_COLOURS[one.health]}]{one.health}[/]",
            "" if one.pid is None else str(one.pid),
            ""
            if one.since is None
            else datetime.fromtimestamp(one.since, UTC).strftime("%Y-%m-%d %H:%M:%SZ"),
            _ranges(one.lanes or []),
            "" if one.lag_records is None else f"{one.lag_records:,}",
            "" if one.memory_mb is None else f"{one.memory_mb:,.0f}",
        )
    console.print(drawn)
    for one in found:
        for lane, why in sorted(one.halted.items()):
            console.print(f"{one.name} has halted lane {lane}: {why}.", style="red", markup=False)
    if any(one.health in ("died", "stopped") for one in found):
        say("`orderlog up` starts what is not running.")
    if json:
        ready = all(one.health in ("ready", "elsewhere") for one in found)
        emit({"ok": True, "ready": ready, "programs": {one.name: asdict(one) for one in found}})


def logs(
    program: Annotated[
        str, typer.Argument(help="A stage (its second process is STAGE-2), console, kafka, postgres or mail.")
    ],
    lines: Annotated[int, typer.Option("-n", "--lines", min=1, help="How many of the last lines.")] = 50,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on with what is added.")] = False,
    json: JsonOption = False,
) -> None:
    """The last lines of a program's log."""
    from deploy.local import programs, stack
    from deploy.local.replicas import service_of

    known = stack.names()
    if program not in known and not (service_of(program) and stack.home().log(program).exists()):
        raise Complaint(
            f"There is no program `{program}`.", f"Choose one of: {', '.join(known)}.", exit_code=2
        )
    log = stack.home().log(program)
    if not log.exists():
        raise Complaint(f"{program} has no log yet.", "Start the stack with `orderlog up`.")
    if json:
        emit({"ok": True, "program": program, "lines": programs.tail(log, lines).splitlines()})
    elif follow:
        subprocess.run(("/usr/bin/env", "tail", "-n", str(lines), "-F", str(log)), check=False)  # noqa: S603
    else:
        typer.echo(programs.tail(log, lines))


def _ranges(lanes: list[int]) -> str:
    """`0-3, 7` of 0, 1, 2, 3, 7."""
    parts: list[tuple[int, int]] = []
    for lane in sorted(lanes):
        if parts and parts[-1][1] == lane - 1:
            parts[-1] = (parts[-1][0], lane)
        else:
            parts.append((lane, lane))
    return ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in parts)


def topics(json: JsonOption = False) -> None:
    """The topics of the lifecycle: partitions, and records in each."""
    from aiokafka.errors import KafkaError

    from libs.runtime.topics import count_topics

    try:
        counts = asyncio.run(count_topics(settings()))
    except KafkaError:
        raise Complaint(
            f"Kafka at {settings().kafka} does not answer.", "Start the stack with `orderlog up`."
        ) from None
    drawn = table("topic", "partitions#", "records#")
    for count in counts:
        drawn.add_row(count.topic, str(count.partitions), f"{count.records:,}")
    console.print(drawn)
    if json:
        emit({"ok": True, "topics": [asdict(count) for count in counts]})


def token(
    tenant: Annotated[str, typer.Option(help="The brand or client whose data it opens.")],
    actor: Annotated[str, typer.Option(help="The person or system that will use it.")],
    role: Annotated[str, typer.Option(help="What it may do.")] = "operator",
    ttl: Annotated[str, typer.Option(help="How long it is good for: 90s, 30m, 12h or 7d.")] = "12h",
    json: JsonOption = False,
) -> None:
    """Mint a bearer token for the HTTP edge of the local stack.

    Example: orderlog token --tenant shop --actor till-3 --role integrator --ttl 30m
    """
    from libs.runtime.tokens import mint

    seconds = parse_ttl(ttl)
    key_file = settings().jwt_key_file
    try:
        minted = mint(key_file, tenant, actor, role, seconds)
    except FileNotFoundError:
        raise Complaint(
            f"There is no signing key at {key_file}.",
            "`orderlog up` makes one; elsewhere, set ORDERLOG_JWT_KEY_FILE.",
        ) from None
    except ValueError as refused:
        raise Complaint(f"No token: {refused}.", "Correct it and try again.", exit_code=2) from None
    if json:
        expires_at = datetime.fromtimestamp(time.time() + seconds, UTC).isoformat(timespec="seconds")
        emit({"ok": True, "token": minted, "tenant": tenant, "actor": actor, "expires_at": expires_at})
    else:
        typer.echo(minted)


def parse_ttl(text: str) -> int:
    """Seconds of `90s`, `30m`, `12h`, `7d`. Complaint: anything else, or more than a year."""
    found = re.fullmatch(r"(\d{1,8})([smhd])", text.strip().lower())
    seconds = int(found[1]) * _SECONDS[found[2]] if found else 0
    if not 0 < seconds <= 366 * 86400:
        raise Complaint(
            f"`{text}` is not a time to live.", "Give a number and a unit, as in 30m or 12h.", exit_code=2
        )
    return seconds


def register(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    for command in (up, down, status, logs, topics, token):
        app.command()(command)
