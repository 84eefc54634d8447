"""Small parts of which the read side's tests build lives: times, units, movements, published events."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid5

from libs.events.contract import Event
from libs.events.envelope import Envelope
from libs.events.inventory import Movement
from libs.events.order import Destination, LineQuantity, Sealed
from libs.events.promise import (
    HeldUnits,
    HoldMovement,
    HoldsBroken,
    PromiseExpired,
    PromiseHeld,
    PromiseReleased,
    PromiseTermsDefined,
    SoftBucket,
    Wanted,
)

T0 = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
TENANT = "acme"
GB = Destination(country="GB", postcode_area="SW1A")
CONTACT = Sealed(subject="c:17850", nonce="A" * 16, ciphertext="B" * 24)
_IDS = UUID("8c1c3f6e-2d2f-5d0a-9d0e-6b1c7a4e5f21")


def at(minutes: float) -> datetime:
    """A time in the life."""
    return T0 + timedelta(minutes=minutes)


def units(line: int, quantity: int, sku: str = "") -> LineQuantity:
    """So many units of a line; SKU `A` for line 1, `B` for line 2."""
    return LineQuantity(line=line, sku=sku or "AB"[line - 1], quantity=quantity)


def move(sku: str, node: str, source: str, target: str, quantity: int) -> Movement:
    """A movement; its position does not matter here."""
    return Movement.model_validate(
        {"sku": sku, "node": node, "source": source, "target": target, "quantity": quantity, "position": 1}
    )


def envelopes(
    stage: str, events: Iterable[Event], *, lane: int = 0, first: int = 1, tenant: str = TENANT
) -> list[Envelope[Event]]:
    """A stage's events as its lane publishes them, from sequence `first` on, a minute apart."""
    published = []
    for sequence, event in enumerate(events, first):
        own_id = uuid5(_IDS, f"{tenant}/{stage}/{lane}/{sequence}")
        published.append(
            Envelope(
                id=own_id,
                tenant=tenant,
                stream=event.stream,
                body=event,
                at=at(sequence),
                actor="ann",
                reason="",
                causation_id=uuid5(own_id, "cause"),
                correlation_id=own_id,
                source=f"orderlog/{stage}",
                lane=lane,
                sequence=sequence,
            )
        )
    return published


def baskets() -> list[Event]:
    """Inventory's events of held promises' own streams, and of the SKU that some were held of."""

    def soft(source: SoftBucket, target: SoftBucket, position: int) -> tuple[HoldMovement, ...]:
        return (HoldMovement(sku="A", source=source, target=target, quantity=1, position=position),)

    return [
        PromiseHeld(
            promise_id="b3",
            position=1,
            lines=(Wanted(sku="A", quantity=1),),
            ttl_seconds=60,
            expires_at=T0 + timedelta(seconds=60),
            movements=soft("unreserved", "held", 90),
        ),
        PromiseExpired(promise_id="b3", position=2, movements=soft("held", "unreserved", 91)),
        PromiseReleased(promise_id="b4", position=2, cause="asked", movements=()),
        PromiseTermsDefined(sku="A", terms_version=1),
        HoldsBroken(sku="A", holds=(HeldUnits(promise_id="b4", quantity=1),), movements=()),
    ]
