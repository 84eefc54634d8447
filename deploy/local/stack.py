"""The whole local stack: Kafka, PostgreSQL, mail sink, the stages and the console, up and down.

Used by the command line. One folder is one stack; two stacks beside each other need other ports.
"""

import asyncio
import json
import os
import re
import signal
import sys
from collections.abc import Mapping
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from importlib.util import find_spec
from typing import Any

from deploy.local import kafka, postgres, programs, replicas
from deploy.local.home import Home
from deploy.local.keys import ensure_keys, write_private
from deploy.local.programs import Program
from deploy.local.progress import Progress
from deploy.local.replicas import SERVICES
from libs.runtime.complaint import Complaint
from libs.runtime.migrate import migrate_all
from libs.runtime.settings import Settings, settings, stack_env
from libs.runtime.topics import ensure_topics

SINK = "mail"
FOLLOWERS = ("notifications", "returns", "console")
FOLLOWING = {
    "ORDERLOG_NICE": "19",
    "ORDERLOG_FETCH_BYTES_MIN": "262144",
    "ORDERLOG_FETCH_WAIT_MS": "200",
    "ORDERLOG_BATCH_RECORDS_MAX": "1000",
    "ORDERLOG_FETCH_BYTES_MAX": "4194304",
}
"""Who tells of orders yields to who moves them: under a peak they follow later, and in larger batches. The
console does not yield while somebody has a page of it open."""
BEGINNING = {"ORDERLOG_NICE": "10"}
"""Who begins orders yields to who finishes them: under a peak more leave the house while more come in."""
YIELDING = dict.fromkeys(FOLLOWERS, FOLLOWING) | {"intake": BEGINNING}
SESSION_SECONDS = 10.0
"""A killed stage counts as alive for so long. Shorter than the default: here people wait for it."""
SERVICE_READY_SECONDS = 60.0
STOP_GRACE_SECONDS = 5.0
"""How much longer than it was given a service may take to stop before it is killed."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What `up` found or did for one program: `action` is started, restarted (it had died), running, or
    stopped (a process of a service that is to have fewer)."""

    name: str
    pid: int
    action: str


def home() -> Home:
    """The stack's folder, as set for this process."""
    return Home(settings().home.resolve())


def names() -> tuple[str, ...]:
    """Every program of the stack, in the order in which they come up."""
    return (kafka.NAME, postgres.NAME, SINK, *_services(home(), settings()))


def _services(place: Home, chosen: Settings) -> tuple[str, ...]:
    """Processes of services: those that are to be, and those that still are."""
    wanted = set(replicas.names(chosen))
    begun = {name for name in programs.noted(place) if replicas.service_of(name)}
    return tuple(sorted(wanted | begun, key=_rank))


def _rank(program: str) -> tuple[int, int]:
    service, number = replicas.service_of(program) or ("", 0)
    return SERVICES.index(service), number


def up(
    progress: Progress, counts: Mapping[str, int] | None = None, *, development_issuer: bool = False
) -> list[Outcome]:
    """Bring up what is not running, and wait until all of it is ready. Blocks.

    `counts` says of how many processes these services are to be from now on; too many are stopped. With
    `development_issuer`, people may sign in at the console's own issuer from now on.
    Complaint: something stands in the way that a person must clear.
    """
    place = home()
    with place.locked():
        place.make()
        file = stack_env(place.root)
        before = file.read_bytes() if file.exists() else None
        try:
            had_issuer = settings().development_issuer
            chosen = configure(place, counts, development_issuer)
            if chosen.development_issuer and not had_issuer:
                _stop_console(place, chosen)
            return _up(place, chosen, progress)
        except BaseException:
            if before is not None:  # a setting that did not work must not stay
                write_private(file, before)
            raise


def _up(place: Home, chosen: Settings, progress: Progress) -> list[Outcome]:
    services = replicas.names(chosen)
    everything = (kafka.NAME, postgres.NAME, SINK, *services)
    actions = {name: _condition(place, name) for name in everything}
    programs.interrupted.clear()
    with ThreadPoolExecutor(2) as pool:
        parts = [pool.submit(part, place, chosen, progress) for part in (_broker_up, _database_up)]
        try:
            wait(parts, return_when=FIRST_EXCEPTION)
            for part in sorted(parts, key=Future.done, reverse=True):
                part.result(timeout=0)
        except BaseException:
            programs.interrupted.set()
            raise
    wanted = [_sink(chosen), *(_service(chosen, name) for name in services if _is_built(name))]
    with progress.step("mail sink, stages, console") as step:
        for program in wanted:
            if programs.find(place, program.name) is None:
                programs.start(place, program)
        for count, program in enumerate(wanted):
            step.note(f"{count} of {len(wanted)} ready, waiting for {program.name}")
            _await_service(place, program)
        step.note(f"{len(wanted)} ready")
    return [
        Outcome(name, running.pid, actions[name])
        for name in everything
        if (running := programs.find(place, name)) is not None
    ] + _without(place, chosen, services, progress)


def _stop_console(place: Home, chosen: Settings) -> None:
    """It began with other settings, so that it is to begin again."""
    for name in _services(place, chosen):
        if (replicas.service_of(name) or ("", 0))[0] == "console":
            programs.stop(place, name, signal.SIGTERM, chosen.stop_seconds + STOP_GRACE_SECONDS)


def _without(place: Home, chosen: Settings, services: tuple[str, ...], progress: Progress) -> list[Outcome]:
    """Stop processes that are no longer wanted; their lanes go to the others of their service."""
    extra = [name for name in _services(place, chosen) if name not in services]
    outcomes = []
    for name in extra:
        running = programs.find(place, name)
        with progress.step(f"stopping {name}"):
            programs.stop(place, name, signal.SIGTERM, chosen.stop_seconds + STOP_GRACE_SECONDS)
        if running is not None:
            outcomes.append(Outcome(name, running.pid, "stopped"))
    return outcomes


def down(progress: Progress, wipe: bool) -> list[str]:
    """Stop everything, the stages first and PostgreSQL last; returns what was running. With `wipe`, data,
    logs and secrets are deleted too; downloads stay."""
    place = home()
    if not place.root.exists():
        return []
    stopped: list[str] = []
    with place.locked():
        chosen = settings()
        services, patience = _services(place, chosen), chosen.stop_seconds + STOP_GRACE_SECONDS
        with progress.step("stages and console"), ThreadPoolExecutor(len(services)) as pool:
            stops = {
                name: pool.submit(programs.stop, place, name, signal.SIGTERM, patience) for name in services
            }
            stopped += [name for name, done in stops.items() if done.result()]
        for name, with_signal, wait_seconds in (
            (SINK, signal.SIGTERM, 10.0),
            (kafka.NAME, signal.SIGTERM, 20.0),
            (postgres.NAME, *postgres.stop_how()),
        ):
            with progress.step(name):
                if programs.stop(place, name, with_signal, wait_seconds):
                    stopped.append(name)
        if wipe:
            with progress.step("deleting data, logs and secrets"):
                place.wipe()
    return stopped


def configure(
    place: Home, counts: Mapping[str, int] | None = None, development_issuer: bool = False
) -> Settings:
    """Write what this stack uses to its file, so that every later command and process finds it, and make
    the secrets. The environment wins over the file; ports stay as they are until it changes them, and the
    number of partitions is that of the first time.

    Complaint: a program is running on other ports than are asked for now.
    """
    chosen = settings()
    wanted = replicas.parse(chosen.replicas, chosen.partitions) | dict(counts or {})
    chosen = chosen.model_copy(update={"replicas": replicas.written(wanted)})
    for name, ports in _ports(chosen).items():
        running = programs.find(place, name)
        if running and running.ports != ports:
            raise Complaint(
                f"{name} is running on port {running.ports[0]}, but the settings ask for {ports[0]}.",
                "Run `orderlog down` first, with the settings as they were, or take the change back.",
            )
    file = stack_env(place.root)
    text = file.read_text() if file.exists() else ""
    first_partitions = re.search(r"^ORDERLOG_PARTITIONS='(\d+)'$", text, re.MULTILINE)
    values = {
        "ORDERLOG_KAFKA": chosen.kafka,
        "ORDERLOG_POSTGRES_PORT": chosen.postgres_port,
        "ORDERLOG_SMTP_PORT": chosen.smtp_port,
        "ORDERLOG_HTTP_PORT_BASE": chosen.http_port_base,
        "ORDERLOG_REPLICAS": chosen.replicas,
        "ORDERLOG_DEVELOPMENT_ISSUER": "on" if development_issuer or chosen.development_issuer else "off",
        "ORDERLOG_SESSION_TIMEOUT_SECONDS": os.environ.get(
            "ORDERLOG_SESSION_TIMEOUT_SECONDS", SESSION_SECONDS
        ),
        "ORDERLOG_PARTITIONS": first_partitions[1] if first_partitions else chosen.partitions,
        **ensure_keys(place),
    }
    if _own_database():
        values["ORDERLOG_DATABASE_URL"] = postgres.local_url(place, chosen.postgres_port)
    new = "# Written by `orderlog up`. Variables of the environment win over these.\n"
    new += "".join(f"{name}='{value}'\n" for name, value in values.items())
    if new != text:
        write_private(file, new.encode())
    settings.cache_clear()
    return settings().model_copy(update={"replicas": chosen.replicas})


def _ports(chosen: Settings) -> dict[str, tuple[int, ...]]:
    """Where each program listens that is ours to run."""
    ports: dict[str, tuple[int, ...]] = {SINK: (chosen.smtp_port,)}
    ports |= {name: (replicas.port(chosen, name),) for name in replicas.names(chosen)}
    if listen := kafka.port(chosen):
        ports[kafka.NAME] = kafka.ports(listen)
    if _own_database():
        ports[postgres.NAME] = (chosen.postgres_port,)
    return ports


def is_ready(program: str) -> bool:
    """Whether the service's own readiness probe says so."""
    return bool(readiness(program).get("ready"))


def readiness(program: str) -> dict[str, Any]:
    """What a service's process says of itself: ready, its lanes, those that are halted and why. Empty when
    it does not answer."""
    connection = HTTPConnection("127.0.0.1", replicas.port(settings(), program), timeout=3.0)
    try:
        connection.request("GET", "/readyz")
        answer = json.loads(connection.getresponse().read())
        return answer if isinstance(answer, dict) else {}
    except (OSError, HTTPException, ValueError):
        return {}
    finally:
        connection.close()


def runs_elsewhere(name: str) -> bool:
    """Whether Kafka or PostgreSQL is not ours to run, since the settings point at another one."""
    return (name == kafka.NAME and kafka.port(settings()) is None) or (
        name == postgres.NAME and not _own_database()
    )


def _own_database() -> bool:
    """Whether the database is ours to run: nobody has pointed the environment at another one."""
    given = os.environ.get("ORDERLOG_DATABASE_URL")
    return given is None or given == postgres.local_url(home(), settings().postgres_port)


def _broker_up(place: Home, chosen: Settings, progress: Progress) -> None:
    listen = kafka.port(chosen)
    with progress.step("Apache Kafka") as step:
        if listen is None:
            step.note(f"using {chosen.kafka}")
        else:
            kafka.ensure_started(place, listen, step)
            step.note(f"on 127.0.0.1:{listen}")
    with progress.step("topics") as step:
        created = asyncio.run(ensure_topics(chosen))
        step.note(f"{len(created)} created" if created else "all there")


def _database_up(place: Home, chosen: Settings, progress: Progress) -> None:
    with progress.step("PostgreSQL") as step:
        if _own_database():
            postgres.ensure_started(place, chosen.postgres_port, step)
            step.note(f"on 127.0.0.1:{chosen.postgres_port}")
        else:
            step.note("using ORDERLOG_DATABASE_URL")
    with progress.step("migrations") as step:
        applied = migrate_all(chosen)
        count = sum(map(len, applied.values()))
        step.note(f"{count} applied in {len(applied)} databases" if count else "nothing pending")


def _is_built(program: str) -> bool:
    service, _ = replicas.service_of(program) or ("", 0)
    return find_spec(f"services.{service}.app") is not None


def _service(chosen: Settings, name: str) -> Program:
    service, _ = replicas.service_of(name) or ("", 0)
    port = replicas.port(chosen, name)
    return Program(
        name,
        (sys.executable, "-m", f"services.{service}.app"),
        ports=(port,),
        port_setting="ORDERLOG_HTTP_PORT_BASE",
        environment=_environment(chosen) | YIELDING.get(service, {}) | {"ORDERLOG_HTTP_PORT": str(port)},
    )


def _sink(chosen: Settings) -> Program:
    return Program(
        SINK,
        (sys.executable, "-m", "deploy.local.mail_sink"),
        ports=(chosen.smtp_port,),
        port_setting="ORDERLOG_SMTP_PORT",
        environment=_environment(chosen),
    )


def _environment(chosen: Settings) -> dict[str, str]:
    """What a child needs beyond what it inherits: the folder, wherever it runs, and steady memory."""
    return {
        "ORDERLOG_HOME": str(chosen.home.resolve()),
        "PYTHONUNBUFFERED": "1",
        "MALLOC_ARENA_MAX": "2",
        # What was fetched or written in one piece is given back at once, and not kept in the heap.
        "MALLOC_MMAP_THRESHOLD_": "1048576",
        "MALLOC_TRIM_THRESHOLD_": "1048576",
    }


def _await_service(place: Home, program: Program) -> None:
    if program.name == SINK:
        programs.await_ready(place, program, lambda: programs.port_open(program.ports[0]), 20.0)
    else:
        programs.await_ready(place, program, lambda: is_ready(program.name), SERVICE_READY_SECONDS)


def _condition(place: Home, name: str) -> str:
    if programs.find(place, name) is not None:
        return "running"
    return "restarted" if programs.was_started(place, name) else "started"
