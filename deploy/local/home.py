"""Where the local stack keeps what: one folder, `.orderlog/` unless ORDERLOG_HOME says otherwise."""

import fcntl
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from libs.runtime.complaint import Complaint


@dataclass(frozen=True, slots=True)
class Home:
    """Folders of one local stack; `root` is absolute."""

    root: Path

    @property
    def cache(self) -> Path:
        """Downloaded jars. Survives `orderlog down --wipe`."""
        return (self.root / "cache").resolve()

    @property
    def kafka(self) -> Path:
        return self.root / "kafka"

    @property
    def postgres(self) -> Path:
        return self.root / "postgres"

    @property
    def mail(self) -> Path:
        """What the mail sink received, a file a mail."""
        return self.root / "mail"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def pids(self) -> Path:
        return self.root / "pids"

    @property
    def secrets(self) -> Path:
        return self.root / "secrets"

    def log(self, program: str) -> Path:
        return self.logs / f"{program}.log"

    def make(self) -> None:
        """Create the folders that are missing; secrets are for the owner alone."""
        for folder in (self.cache, self.kafka, self.mail, self.logs, self.pids):
            folder.mkdir(parents=True, exist_ok=True)
        self.secrets.mkdir(mode=0o700, exist_ok=True)

    def wipe(self) -> None:
        """Delete all but the cache, and the lock file that the caller holds."""
        for entry in self.root.iterdir():
            if entry.name in ("cache", "lock"):
                continue
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """One `up` or `down` at a time. Complaint: another one is at work, or we may not write there."""
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            lock = (self.root / "lock").open("w")
        except OSError as refused:
            raise Complaint(
                f"The stack's folder {self.root} cannot be used: {refused.strerror}.",
                "Set ORDERLOG_HOME to a folder that you may write to.",
            ) from refused
        with lock as held:
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Complaint(
                    f"Another `orderlog up` or `orderlog down` is at work in {self.root}.",
                    "Wait until it has ended, then try again.",
                ) from None
            yield
