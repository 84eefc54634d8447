"""Apache Kafka's jars, by Maven coordinate: fetched with jgo, checked against the SHA-256 in kafka.lock.

`python -m deploy.local.jars` resolves ROOTS anew and writes kafka.lock, after a change of version.
"""

import hashlib
import logging
import tempfile
import time
from collections.abc import Iterable
from concurrent.futures import CancelledError, ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from jgo.constants import MAVEN_CENTRAL_URL
from jgo.maven import MavenContext

from deploy.local import programs
from deploy.local.progress import Step
from libs.runtime.complaint import Complaint

KAFKA_VERSION = "4.3.0"
ROOTS = (f"org.apache.kafka:kafka_2.13:{KAFKA_VERSION}", "org.apache.logging.log4j:log4j-slf4j-impl:2.25.4")
"""The broker, and the binding without which it is mute."""
LOCK = Path(__file__).with_name("kafka.lock")
ATTEMPTS = 6
TIMEOUT_SECONDS = 60
DOWNLOADS_AT_ONCE = 4


def ensure_jars(
    cache: Path, step: Step, lock: Path = LOCK, registry: str = MAVEN_CENTRAL_URL, pause_seconds: float = 2.0
) -> list[Path]:
    """The class path, downloaded as far as it is missing.

    A jar counts only when its digest is right, so a broken download is never used: it is cleared and
    fetched again. Complaint: the registry did not deliver after several attempts.
    """
    locked = dict(line.split() for line in lock.read_text().splitlines())
    seal = cache / f"kafka-{hashlib.sha256(lock.read_bytes()).hexdigest()[:16]}.complete"
    context = _context(cache, registry)
    paths = {coordinate: _path(context, coordinate) for coordinate in locked}
    if seal.exists() and all(path.exists() for path in paths.values()):
        return list(paths.values())
    for attempt in range(1, ATTEMPTS + 1):
        missing = [name for name, path in paths.items() if _digest(path) != locked[name]]
        if not missing:
            seal.touch()
            return list(paths.values())
        for name in missing:
            paths[name].unlink(missing_ok=True)
        programs.check_interrupted()
        failure = _download(context, missing, step, attempt)
        if failure and attempt < ATTEMPTS:
            step.note(f"the registry failed ({failure}); trying again, {attempt + 1} of {ATTEMPTS}")
            time.sleep(pause_seconds * attempt)
    raise Complaint(
        f"The Maven registry did not deliver Kafka's jars in {ATTEMPTS} attempts.",
        "Check the network (a proxy needs HTTPS_PROXY; an authority of its own for certificates,"
        " REQUESTS_CA_BUNDLE), then run `orderlog up` again:"
        " what was downloaded is kept.",
    )


def _download(context: MavenContext, coordinates: Iterable[str], step: Step, attempt: int) -> str:
    """Fetch them, a few at once; returns the last failure's kind, or nothing."""
    failure = ""
    with ThreadPoolExecutor(DOWNLOADS_AT_ONCE) as pool:
        wanted = [pool.submit(_artifact(context, name).resolve) for name in coordinates]
        for done, outcome in enumerate(as_completed(wanted), start=1):
            if programs.interrupted.is_set():
                pool.shutdown(wait=False, cancel_futures=True)
            try:
                outcome.result()
            except CancelledError:
                continue
            except (RuntimeError, OSError) as refused:  # requests' errors are OSErrors
                failure = type(refused).__name__
            again = f", attempt {attempt}" if attempt > 1 else ""
            step.note(f"downloading Apache Kafka {KAFKA_VERSION}: {done} of {len(wanted)} jars{again}")
    return failure


def _context(cache: Path, registry: str = MAVEN_CENTRAL_URL) -> MavenContext:
    logging.getLogger("jgo").setLevel(logging.ERROR)
    return MavenContext(
        repo_cache=cache / "maven",
        remote_repos={"central": registry},
        timeout=TIMEOUT_SECONDS,
    )


def _artifact(context: MavenContext, coordinate: str) -> Any:
    group, name, version = coordinate.split(":")
    return context.project(group, name).at_version(version).artifact()


def _path(context: MavenContext, coordinate: str) -> Path:
    return Path(_artifact(context, coordinate).cached_path)


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else ""


def write_lock() -> None:
    """Resolve ROOTS with all they need at run time, and write coordinates with digests."""
    with tempfile.TemporaryDirectory() as scratch:
        context = _context(Path(scratch))
        artifacts: dict[tuple[str, str], Any] = {}
        for root in reversed(ROOTS):  # each alone, or one's version management would govern the other
            own, needed = context.resolver.resolve([context.create_dependency(_coordinate(root))])
            found = [d.artifact for d in (*own, *needed) if d.scope in ("compile", "runtime")]
            artifacts |= {(a.groupId, a.artifactId): a for a in found}
        lines = sorted(
            f"{a.groupId}:{a.artifactId}:{a.version} {_digest(Path(a.resolve()))}" for a in artifacts.values()
        )
    LOCK.write_text("\n".join(lines) + "\n")


def _coordinate(root: str) -> Any:
    from dataclasses import replace

    from jgo.parse import Endpoint

    return replace(Endpoint.parse(root).coordinates[0], scope="compile")


if __name__ == "__main__":
    write_lock()
