"""Bounds of a stage's loop."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of the loop, from the settings."""

    batch_records_max: int = 500
    record_bytes_max: int = 1_048_576
    parked_keys_max: int = 1000
    parts_kept_max: int = 4000
    """Streams' parts that a process keeps decoded, by version, so that it need not read them again."""
    timer_retry_seconds: float = 60.0
    """A timer whose decision failed is due again after so long."""
