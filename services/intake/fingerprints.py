"""What tells the same order, submitted again, from another one under its id."""

import hashlib

from libs.events.intake import SubmitOrder


def fingerprint(order: SubmitOrder) -> str:
    """SHA-256 (hex) of the terms as submitted, in canonical JSON: the contract's field order, no defaults.

    Defaults are left out so that an optional addition to the contract leaves every known order's digest
    alone. The sealed contact takes part: the same personal data seals to the same bytes.
    """
    canonical = order.__pydantic_serializer__.to_json(order, exclude={"order_id"}, exclude_defaults=True)
    return hashlib.sha256(canonical).hexdigest()
