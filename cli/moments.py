"""Moments as people write them."""

from datetime import UTC, datetime

from libs.runtime.complaint import Complaint


def moment(text: str) -> datetime:
    """`2026-03-02` or RFC 3339; without an offset it is UTC. Complaint: it is neither."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise Complaint(
            f"`{text}` is no moment.", "Write 2026-03-02 or 2026-03-02T09:00:00Z.", exit_code=2
        ) from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
