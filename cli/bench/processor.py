"""Processor time of each program of the local stack, to say where an order's cost goes."""

from collections.abc import Sequence
from contextlib import suppress

import psutil

from deploy.local import postgres
from deploy.local.programs import find
from deploy.local.stack import home, names


def seconds_by_program() -> dict[str, float]:
    """User and system seconds since each program started, its child processes included, also those that have
    ended since, as PostgreSQL's sessions do: these are counted by who started them."""
    found = {}
    for name in names():
        running = find(home(), name)
        if running is None:
            continue
        try:
            process = psutil.Process(running.pid)
            family = [process, *process.children(recursive=True)]
            times = [member.cpu_times() for member in family]
        except psutil.NoSuchProcess:
            continue
        found[name] = sum(
            time.user + time.system + time.children_user + time.children_system for time in times
        )
    return found


def session_seconds(databases: Sequence[str]) -> float:
    """User and system seconds of PostgreSQL's open sessions in these databases, where it is ours to run."""
    running = find(home(), postgres.NAME)
    if running is None:
        return 0.0
    seconds = 0.0
    for session in psutil.Process(running.pid).children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            # PostgreSQL names a session's process `postgres: <role> <database> <client> <state>`.
            if set(databases).intersection(" ".join(session.cmdline()).split()):
                times = session.cpu_times()
                seconds += times.user + times.system
    return seconds


def micros_per_order(before: dict[str, float], after: dict[str, float], orders: int) -> dict[str, int]:
    """What each program spent an order, in microseconds, the greatest first."""
    spent = {name: (after[name] - before.get(name, 0.0)) / orders * 1e6 for name in after}
    return {name: round(micros) for name, micros in sorted(spent.items(), key=lambda item: -item[1])}
