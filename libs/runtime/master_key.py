"""The deployment's master key, read from its file."""

import base64
import binascii
import stat
from pathlib import Path

from libs.runtime.complaint import Complaint
from libs.runtime.privacy import KEY_BYTES


def read_master_key(file: Path) -> bytes:
    """The master key's 32 bytes. Complaint: no such file, others may read it, or it holds no such key."""
    where = f"Master key file {file}"
    try:
        mode = file.stat().st_mode
        text = file.read_bytes()
    except OSError as error:
        raise Complaint(
            f"{where} cannot be read: {error.strerror}.",
            "Point ORDERLOG_MASTER_KEY_FILE at it, or run `orderlog up` to make a local one.",
        ) from None
    if mode & stat.S_IRWXO:
        raise Complaint(
            f"{where} is open to every user of this machine (mode {stat.S_IMODE(mode):04o}).",
            f"Run `chmod 600 {file}` (in Kubernetes: defaultMode 0440 with an fsGroup), then start again.",
        )
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except binascii.Error:
        key = b""
    if len(key) != KEY_BYTES:
        raise Complaint(
            f"{where} must hold {KEY_BYTES} random bytes as base64, and does not.",
            "Restore it from where it is kept. A new one (`head -c 32 /dev/urandom | base64`)"
            " opens nothing that was sealed before.",
        )
    return key
