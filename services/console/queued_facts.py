"""How an order that waits stands in queues, as its state keeps it."""

from datetime import datetime

from libs.events.record import record


@record
class ServedFrom:
    """What a waiting order is to have its units of a SKU from; nothing, none is to come for it."""

    sku: str
    supply_id: str | None = None
    usable_at: datetime | None = None


@record
class Queued:
    """How an order stands in the queues of the SKUs that it waits for."""

    since: datetime
    rank: int = 50
    """Of its class; 50, of none."""
    step_days: int = 0
    """After each so many days it stands a rank higher; 0, never."""
    whole: bool = False
    """It wants all or nothing."""
    served_from: tuple[ServedFrom, ...] = ()
    """As was told last."""
