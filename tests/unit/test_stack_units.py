"""The local stack's parts, each with real processes, ports and files, but without Kafka or PostgreSQL."""

import gc
import hashlib
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import orjson
import pytest

from cli.stack import parse_ttl
from deploy.local import programs
from deploy.local.home import Home
from deploy.local.jars import ensure_jars
from deploy.local.keys import ensure_keys, ensure_password
from deploy.local.mail_sink import MailCount, Sink, count_mails
from deploy.local.programs import Program
from libs.runtime.complaint import Complaint


@pytest.fixture
def home(tmp_path: Path) -> Home:
    place = Home(tmp_path / "home")
    place.make()
    return place


def python(name: str, source: str, *ports: int) -> Program:
    return Program(name, (sys.executable, "-c", source), ports, port_setting="ORDERLOG_SMTP_PORT")


SLEEPER = "import signal; print('begun', flush=True); signal.pause()"
STUBBORN = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {SLEEPER}"


def has_begun(home: Home, name: str) -> bool:
    return "begun" in programs.tail(home.log(name), 1)


@pytest.mark.parametrize("source", [SLEEPER, STUBBORN], ids=["polite", "stubborn"])
def test_a_program_is_started_found_and_stopped(home: Home, source: str) -> None:
    program = python("sleeper", source)
    started = programs.start(home, program)
    programs.await_ready(home, program, lambda: has_begun(home, "sleeper"), 20.0)
    assert programs.find(home, "sleeper") == started
    assert programs.stop(home, "sleeper", signal.SIGTERM, 0.2)
    assert os.waitpid(started.pid, os.WNOHANG)[0] == started.pid  # it has ended
    assert programs.find(home, "sleeper") is None
    assert not programs.was_started(home, "sleeper")
    assert not programs.stop(home, "sleeper", signal.SIGTERM, 0.2)


def test_a_recycled_pid_is_not_taken_for_the_program(home: Home) -> None:
    program = python("sleeper", SLEEPER)
    programs.start(home, program)
    file = home.pids / "sleeper.json"
    noted = orjson.loads(file.read_bytes())
    file.write_bytes(orjson.dumps({**noted, "pid": os.getpid()}))
    assert programs.find(home, "sleeper") is None
    file.write_bytes(orjson.dumps({**noted, "began": ""}))
    assert programs.find(home, "sleeper") is None
    file.write_bytes(orjson.dumps(noted))
    assert programs.stop(home, "sleeper", signal.SIGKILL, 5.0)


def test_a_port_in_use_is_told_with_its_owner(home: Home) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(Complaint) as told:
            programs.start(home, python("sink", SLEEPER, port))
    assert told.value.sentence.startswith(f"Port {port}, which sink needs, is in use by pid {os.getpid()} (")
    assert "ORDERLOG_SMTP_PORT" in told.value.next_step
    assert programs.find(home, "sink") is None


def test_a_program_that_dies_is_told_with_its_last_words(home: Home) -> None:
    program = python("broken", "raise SystemExit('no such lane')")
    programs.start(home, program)
    with pytest.raises(Complaint, match="broken stopped while it was starting") as told:
        programs.await_ready(home, program, lambda: False, 20.0)
    assert told.value.details == "no such lane"
    assert programs.was_started(home, "broken")


def test_a_program_that_is_not_ready_in_time_is_told(home: Home) -> None:
    program = python("slow", SLEEPER)
    programs.start(home, program)
    with pytest.raises(Complaint, match="slow is running but was not ready"):
        programs.await_ready(home, program, lambda: False, 0.0)
    assert programs.stop(home, "slow", signal.SIGKILL, 5.0)


def test_one_command_at_a_time(home: Home) -> None:
    with home.locked(), pytest.raises(Complaint, match="at work"), home.locked():
        pytest.fail("two held the lock")
    with home.locked():
        pass


def test_wipe_spares_only_downloads(home: Home) -> None:
    ensure_keys(home)
    (home.cache / "jar").touch()
    (home.kafka / "segment").touch()
    home.wipe()
    assert sorted(entry.name for entry in home.root.iterdir()) == ["cache"]
    assert (home.cache / "jar").exists()


def test_secrets_are_made_once_and_private(home: Home) -> None:
    files = [*ensure_keys(home).values(), home.secrets / "postgres-orderlog"]
    password = ensure_password(home, "orderlog")
    before = [file.read_bytes() for file in files]
    ensure_keys(home)
    assert ensure_password(home, "orderlog") == password
    assert [file.read_bytes() for file in files] == before
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("30m", 1800), ("12h", 43200), ("7D", 604800)])
def test_a_time_to_live_is_read(text: str, seconds: int) -> None:
    assert parse_ttl(text) == seconds


@pytest.mark.parametrize("text", ["", "12", "h", "-1h", "0s", "1.5h", "9999d", "12 h", "12h30m"])
def test_what_is_no_time_to_live_is_refused(text: str) -> None:
    with pytest.raises(Complaint) as told:
        parse_ttl(text)
    assert told.value.exit_code == 2


def mail(message_id: str, body: str = "Dear Kim") -> bytes:
    return f"From: a@shop.example\r\nmessage-ID: {message_id}\r\n\r\n{body}\r\n".encode()


def test_a_mail_sent_twice_is_seen_as_such(tmp_path: Path) -> None:
    sink = Sink(tmp_path)
    first, second = sink.keep(mail("<1@shop>")), sink.keep(mail("<2@shop>"))
    again = sink.keep(mail("<1@shop>", "Dear Kim, once more"))
    assert first.name.endswith("-1.eml")
    assert second.name.endswith("-1.eml")
    assert again.name == first.name.replace("-1.eml", "-2.eml")
    assert b"once more" in again.read_bytes()
    assert count_mails(tmp_path) == MailCount(mails=3, duplicates=1)


def test_the_sink_goes_on_counting_after_a_restart(tmp_path: Path) -> None:
    Sink(tmp_path).keep(mail("<1@shop>"))
    assert Sink(tmp_path).keep(mail("<1@shop>")).name.endswith("-2.eml")
    assert Sink(tmp_path).keep(b"no header at all").name.endswith("-1.eml")
    assert count_mails(tmp_path) == MailCount(mails=3, duplicates=1)


JAR = b"PK" + bytes(5000)
COORDINATE = "org.example:broker:1.0"


class Registry(BaseHTTPRequestHandler):
    """A Maven registry on a bad day: `answers` holds, request by request, what it gives for the jar."""

    answers: list[bytes | int]

    def do_GET(self) -> None:
        answer = self.answers.pop(0) if self.path.endswith(".jar") and self.answers else 404
        if isinstance(answer, int):
            self.send_error(answer)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(JAR)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def registry() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Registry)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


class Notes:
    """A step that remembers what it was told."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def note(self, text: str) -> None:
        self.texts.append(text)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # jgo leaves sockets to the GC
def test_a_broken_download_is_cleared_and_tried_again(home: Home, registry: str, tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    lock.write_text(f"{COORDINATE} {hashlib.sha256(JAR).hexdigest()}\n")
    Registry.answers = [503, JAR[:100], b"X" * len(JAR), JAR]  # busy, cut off, altered, good
    notes = Notes()
    (jar,) = ensure_jars(home.cache, notes, lock, registry, pause_seconds=0)
    assert jar.read_bytes() == JAR
    assert Registry.answers == []
    assert len([text for text in notes.texts if "trying again" in text]) == 2
    assert ensure_jars(home.cache, notes, lock, registry, pause_seconds=0) == [jar]  # nothing is asked
    gc.collect()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_registry_that_never_delivers_is_told(home: Home, registry: str, tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    lock.write_text(f"{COORDINATE} {hashlib.sha256(JAR).hexdigest()}\n")
    Registry.answers = []
    with pytest.raises(Complaint) as told:
        ensure_jars(home.cache, Notes(), lock, registry, pause_seconds=0)
    assert "did not deliver" in told.value.sentence
    assert "orderlog up" in told.value.next_step
    gc.collect()
