"""Ids that are derived, never drawn: the same input has the same id on every replay."""

from uuid import UUID, uuid5

_ORDERS = UUID("6f1c2a0e-5d0b-5c59-9a52-0b6b0b7a1d10")


def order_id(tenant: str, channel: str, external_id: str) -> str:
    """The order's id, so that the same order entering twice meets its twin in one lane."""
    return str(uuid5(_ORDERS, f"{tenant}\x1f{channel}\x1f{external_id}"))


def event_id(cause: UUID, index: int) -> UUID:
    """Id of the `index`-th event that one input caused."""
    return uuid5(cause, str(index))


def command_id(tenant: str, key: str) -> UUID:
    """Command id of a request that came with an `Idempotency-Key`."""
    return uuid5(_ORDERS, f"{tenant}\x1fcommand\x1f{key}")


def partition_key(tenant: str, stream: str) -> str:
    """Kafka record key of a stream; with the default (murmur2) partitioner it decides the lane."""
    return f"{tenant}/{stream}"
