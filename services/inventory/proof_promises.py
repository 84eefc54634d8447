"""The part of the proof that is about held promises: each is held once and resolved once, with all its units.

For `proof`, which walks the log in the order of what happened to each SKU and each promise.
"""

from libs.events.contract import Event
from libs.events.promise import (
    PromiseConfirmed,
    PromiseDated,
    PromiseExpired,
    PromiseHeld,
    PromiseMissed,
    PromiseReleased,
    promise_stream,
)
from services.inventory.ledger import Placed
from services.inventory.stock import AnyMovement

_AFTER = {
    ("new", PromiseHeld): "held",
    ("new", PromiseMissed): "void",
    ("held", PromiseDated): "held",
    ("held", PromiseConfirmed): "confirmed",
    ("held", PromiseExpired): "expired",
    ("held", PromiseReleased): "released",
    ("confirmed", PromiseReleased): "confirmed and given back",
}
"""What a promise is after an event, by what it was."""


class HeldPromises:
    """Every promise that the log has told of, and what each still holds."""

    def __init__(self) -> None:
        self._status: dict[tuple[str, str], str] = {}
        self._open: dict[tuple[str, str], int] = {}

    def move(self, tenant: str, holder: str, units: int) -> None:
        """A promise holds so many units more, or less."""
        self._open[tenant, holder] = self._open.get((tenant, holder), 0) + units

    def take(self, tenant: str, event: Event) -> str | None:
        """Note what an event, whose movements were counted, does to its promise; or what is wrong with it."""
        if not isinstance(event, Placed) or event.position is None:
            return None
        key = (tenant, promise_stream(event.promise_id))
        was = self._status.get(key, "new")
        becomes = _AFTER.get((was, type(event)))
        if becomes is None:
            return f"comes to the promise {event.promise_id}, which is {was}"
        self._status[key] = becomes
        return None

    def left(self) -> str | None:
        """At the end: a promise that was resolved and holds units all the same. Not sooner, as the count that
        took some from it may stand in another lane than its resolution."""
        for (tenant, stream), units in self._open.items():
            status = self._status.get((tenant, stream), "new")
            if units and status not in ("held", "confirmed"):
                return f"{stream} is {status} and holds {units} units"
        return None


def holder_of(event: Event) -> str:
    """Whose units an event moves out of or into the bucket `held`."""
    promise_id = getattr(event, "promise_id", None)
    return "" if promise_id is None else promise_stream(promise_id)


def soft(move: AnyMovement) -> bool:
    """Whether both sides of a movement are promises or their contra."""
    return {move.source, move.target} <= {"reserved", "unreserved", "held"}
