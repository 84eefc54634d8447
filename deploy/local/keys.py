"""Secrets of the local stack: made once, readable by the owner alone."""

import base64
import os
import secrets
from pathlib import Path

from deploy.local.home import Home
from libs.runtime.tokens import new_signing_key


def ensure_keys(home: Home) -> dict[str, Path]:
    """The files by setting name; those that are missing are made."""
    jwt_key, master_key = home.secrets / "jwt.json", home.secrets / "master.key"
    if not jwt_key.exists():
        write_private(jwt_key, new_signing_key())
    if not master_key.exists():
        write_private(master_key, base64.b64encode(secrets.token_bytes(32)) + b"\n")
    return {"ORDERLOG_JWT_KEY_FILE": jwt_key, "ORDERLOG_MASTER_KEY_FILE": master_key}


def ensure_password(home: Home, role: str) -> str:
    """The role's PostgreSQL password; needs no escaping in a URL."""
    file = home.secrets / f"postgres-{role}"
    home.secrets.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not file.exists():
        write_private(file, secrets.token_urlsafe(24).encode())
    return file.read_text().strip()


def write_private(file: Path, content: bytes) -> None:
    """Write whole or not at all, mode 600 from the first byte on."""
    new = file.with_name(f".{file.name}.new")
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as out:
        out.write(content)
        out.flush()
        os.fsync(out.fileno())
    new.replace(file)
