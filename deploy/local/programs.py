"""Background programs of the local stack: started detached, known again later, stopped politely.

A program is known by its pid *and* by when that process began, so that a recycled pid, or one from before
a reboot, is never mistaken for it.
"""

import os
import pwd
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TypedDict

import orjson
import psutil

from deploy.local.home import Home
from libs.runtime.complaint import Complaint

interrupted = threading.Event()
"""Set when the work was given up (Ctrl-C, or another part failed): threads that wait stop waiting."""

_BEGIN = "--- started: "
"""Parts one run's lines from the next in a log."""

LOG_BYTES_MAX = 50 * 1024 * 1024
"""A log larger than this is set aside as `<name>.log.1` when its program starts."""


@dataclass(frozen=True, slots=True)
class Program:
    """How to run one. `port_setting` is the variable that moves its ports."""

    name: str
    argv: tuple[str, ...]
    ports: tuple[int, ...]
    port_setting: str
    environment: dict[str, str] = field(default_factory=dict)
    user: pwd.struct_passwd | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    stop_seconds: float = 10.0


class _Identity(TypedDict, total=False):
    user: int
    group: int
    extra_groups: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Running:
    """A live process of the stack; `since` is its start in seconds since the epoch."""

    pid: int
    since: float
    ports: tuple[int, ...]


def find(home: Home, name: str) -> Running | None:
    """The program's live process, or None."""
    try:
        noted = orjson.loads(_pid_file(home, name).read_bytes())
        pid, began = int(noted["pid"]), str(noted["began"])
        running = Running(pid, float(noted["since"]), tuple(noted["ports"]))
    except (OSError, ValueError, KeyError):
        return None
    return running if began and _began(pid) == began else None


def start(home: Home, program: Program) -> Running:
    """Start it detached from this process and terminal, its output appended to its log.

    Complaint: one of its ports is taken by somebody else.
    """
    for port in program.ports:
        _check_free(port, program)
    log = home.log(program.name)
    if log.exists() and log.stat().st_size > LOG_BYTES_MAX:
        log.replace(log.with_suffix(".log.1"))
    with log.open("ab") as output:
        output.write(
            f"{_BEGIN}{program.name} {time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())}\n".encode()
        )
        output.flush()
        child = subprocess.Popen(  # noqa: S603 - our own command line
            program.argv,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **program.environment},
            start_new_session=True,
            **as_user(program.user),
            cwd=home.root,
        )
    child.returncode = 0  # it outlives us on purpose; without this, Popen warns when it is forgotten
    running = Running(child.pid, time.time(), program.ports)
    note = {**asdict(running), "began": _began(child.pid)}
    pid_file = _pid_file(home, program.name)
    pid_file.with_suffix(".new").write_bytes(orjson.dumps(note))
    pid_file.with_suffix(".new").replace(pid_file)
    return running


def as_user(user: pwd.struct_passwd | None) -> _Identity:
    """Popen's arguments to run as that user and none of our groups; as we are, if None."""
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": ()} if user else {}


def stop(home: Home, name: str, with_signal: signal.Signals, wait_seconds: float) -> bool:
    """Ask it to end, wait, then kill. True if it was running, False if there was nothing to stop."""
    running = find(home, name)
    if running is not None:
        os.kill(running.pid, with_signal)
        if not _gone(home, name, wait_seconds):
            os.kill(running.pid, signal.SIGKILL)
            _gone(home, name, 5.0)
    _pid_file(home, name).unlink(missing_ok=True)
    return running is not None


def noted(home: Home) -> list[str]:
    """Programs that were started and not stopped since, whether they still run or died."""
    return sorted(file.stem for file in home.pids.glob("*.json"))


def was_started(home: Home, name: str) -> bool:
    """Whether it was started and not stopped since: if it is not running now, it died."""
    return _pid_file(home, name).exists()


def await_ready(home: Home, program: Program, ready: Callable[[], bool], deadline_seconds: float) -> None:
    """Block until `ready()`. Complaint: the program died, or the deadline passed; its log's end is shown."""
    give_up_at = time.monotonic() + deadline_seconds
    while not ready():
        if find(home, program.name) is None:
            raise Complaint(
                f"{program.name} stopped while it was starting.",
                f"Its log's last lines are below; `orderlog logs {program.name}` shows more.",
                details=last_words(home, program.name),
            )
        if time.monotonic() > give_up_at:
            raise Complaint(
                f"{program.name} is running but was not ready within {deadline_seconds:.0f} s.",
                f"Its log's last lines are below; `orderlog logs {program.name} -f` follows it,"
                " and `orderlog up` waits again.",
                details=last_words(home, program.name),
            )
        check_interrupted()
        time.sleep(0.05)


def check_interrupted() -> None:
    """Complaint: the work was given up in the meantime."""
    if interrupted.is_set():
        raise Complaint("The start was given up.", "`orderlog up` takes it up again.")


def tail(log: Path, lines: int) -> str:
    """The last lines of a log, read from its end; at most 256 kB of it."""
    if lines <= 0 or not log.exists():
        return ""
    with log.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - 262_144))
        text = file.read().decode(errors="replace")
    return "\n".join(text.splitlines()[-lines:])


def last_words(home: Home, name: str) -> str:
    """The end of what the program logged since it was last started."""
    return tail(home.log(name), 200).rpartition(_BEGIN)[2].partition("\n")[2][-2000:].strip()


def memory_mb(pid: int) -> float:
    """Resident megabytes; of a process with children, the sum of their shares (PSS), so that shared
    memory counts once."""
    try:
        process = psutil.Process(pid)
        children = process.children(recursive=True)
        if not children:
            return float(process.memory_info().rss) / 1e6
        return sum(_share(member) for member in (process, *children)) / 1e6
    except psutil.Error:
        return 0.0


def port_open(port: int) -> bool:
    """Whether something listens there on the loopback."""
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _share(process: psutil.Process) -> float:
    try:
        return float(process.memory_full_info().pss)
    except (psutil.Error, AttributeError):  # not ours to read, or a system without PSS
        try:
            return float(process.memory_info().rss)
        except psutil.Error:
            return 0.0


def _check_free(port: int, program: Program) -> None:
    """Complaint, naming the owner where it can be seen, if the port is taken."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            owner = _owner(port)
            raise Complaint(
                f"Port {port}, which {program.name} needs, is in use{owner}.",
                f"Stop that process, or choose other ports with {program.port_setting},"
                " and run `orderlog up` again.",
            ) from None


def _owner(port: int) -> str:
    """` by pid 12 (nginx)`, or nothing where the system does not tell."""
    try:
        listening = [c for c in psutil.net_connections("tcp") if c.status == psutil.CONN_LISTEN]
        pids = [c.pid for c in listening if c.laddr and c.laddr.port == port and c.pid]
        return f" by pid {pids[0]} ({psutil.Process(pids[0]).name()})" if pids else ""
    except psutil.Error:
        return ""


def _gone(home: Home, name: str, wait_seconds: float) -> bool:
    give_up_at = time.monotonic() + wait_seconds
    while find(home, name) is not None:
        if time.monotonic() > give_up_at:
            return False
        time.sleep(0.05)
    return True


def _began(pid: int) -> str:
    """When the process began, in a form that neither a reboot nor a clock change can repeat; empty when
    there is no such process, or only its unreaped remains."""
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return ""
        stat = Path(f"/proc/{pid}/stat")
        if not stat.exists():
            return f"{process.create_time():.2f}"
        # Field 22 of proc(5): ticks since boot. The name in field 2 may hold spaces and brackets.
        ticks = stat.read_text().rpartition(")")[2].split()[19]
        boot = Path("/proc/sys/kernel/random/boot_id")
        return f"{boot.read_text().strip()}/{ticks}"
    except (psutil.Error, OSError):
        return ""


def _pid_file(home: Home, name: str) -> Path:
    return home.pids / f"{name}.json"
