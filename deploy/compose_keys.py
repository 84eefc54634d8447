"""Secrets for `docker compose up`: made once, as files under .orderlog/compose.

The folder is for its owner alone; the files in it are readable by any user, because a container's user is not
the one who made them.
"""

import base64
import os
import secrets
import sys
from pathlib import Path

from libs.runtime.tokens import new_signing_key

FOLDER = Path(".orderlog/compose")


def make_keys(folder: Path = FOLDER) -> list[str]:
    """Write the files that are missing and return their names; what is there is never replaced."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    password = folder / "postgres.password"
    made = _write_once(password, secrets.token_urlsafe(24))
    dsn = f"postgresql://orderlog:{password.read_text()}@postgres:5432/{{database}}"
    made += _write_once(folder / "stack.env", f"ORDERLOG_DATABASE_URL={dsn}\n")
    made += _write_once(folder / "jwt.json", new_signing_key().decode())
    made += _write_once(folder / "master.key", base64.b64encode(secrets.token_bytes(32)).decode() + "\n")
    return made


def _write_once(file: Path, text: str) -> list[str]:
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o444)
    except FileExistsError:
        return []
    with os.fdopen(descriptor, "w") as out:
        out.write(text)
    return [file.name]


if __name__ == "__main__":
    written = make_keys()
    print(f"{FOLDER}: {', '.join(written) + ' written' if written else 'all keys are there already'}.")
    sys.exit(0)
